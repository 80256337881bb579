//! What attributes and values are called: the built-in file of words, with what a user's own file adds.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// The built-in file.
const BUILT_IN: &str = include_str!("words.toml");

/// Words of one attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnWords {
    /// Other headers that mean it.
    pub also: Vec<String>,
    /// How people call it.
    pub called: Vec<String>,
    /// A value as a noun: "skirt".
    pub noun: Vec<String>,
    /// A value as an adjective: "red".
    pub adjective: Vec<String>,
    /// A value as something had: "long sleeves".
    pub with: Vec<String>,
    /// A value as an adjunct: "in red".
    pub adjunct: Vec<String>,
    /// A value as a whole clause: "make the sleeves long".
    pub whole: Vec<String>,
    /// More of it.
    pub more: Vec<String>,
    /// Less of it.
    pub less: Vec<String>,
    /// The values from least to most.
    pub order: Vec<String>,
    /// Values keep their capital letters.
    pub proper: Option<bool>,
    /// Other words for a value.
    pub values: BTreeMap<String, Vec<String>>,
}

/// Words of every attribute, by its name in small letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Words {
    columns: BTreeMap<String, ColumnWords>,
}

impl Words {
    /// The built-in words, with those of `file`.
    ///
    /// # Errors
    /// When the file cannot be read or is not such a file.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let mut words = Self::parse(BUILT_IN, "the built-in words")?;
        if let Some(file) = file {
            words.extend(Self::parse(&fsx::read_text(file, fsx::SMALL)?, &file.display().to_string())?);
        }
        Ok(words)
    }

    fn parse(text: &str, place: &str) -> Result<Self> {
        let read: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
            let mend = "write [columns.NAME] with lists of words, as docs/reference/catalogues.md shows";
            TrainerError::data(format!("{place}, line {line}"), e.message().to_owned(), mend)
        })?;
        for (name, column) in &read.columns {
            let frames = [&column.noun, &column.adjective, &column.with, &column.adjunct, &column.whole];
            if let Some(frame) = frames.into_iter().flatten().find(|frame| !frame.contains("{v}")) {
                let problem = format!("'{frame}' of [columns.{name}] has no {{v}}");
                return Err(TrainerError::data(place, problem, "write {v} where the value goes"));
            }
        }
        Ok(read)
    }

    fn extend(&mut self, other: Self) {
        for (name, more) in other.columns {
            let column = self.columns.entry(plain(&name)).or_default();
            let lists = [
                (&mut column.also, more.also),
                (&mut column.called, more.called),
                (&mut column.noun, more.noun),
                (&mut column.adjective, more.adjective),
                (&mut column.with, more.with),
                (&mut column.adjunct, more.adjunct),
                (&mut column.whole, more.whole),
                (&mut column.more, more.more),
                (&mut column.less, more.less),
            ];
            lists.into_iter().for_each(|(list, more)| list.extend(more));
            // An order is said whole or not at all.
            if !more.order.is_empty() {
                column.order = more.order;
            }
            column.proper = more.proper.or(column.proper);
            for (value, words) in more.values {
                column.values.entry(value).or_default().extend(words);
            }
        }
    }

    /// The name that a header is known by: its own in small letters, or that of the attribute whose `also` has it. Spaces and hyphens
    /// in a known name do not matter: "Neck line" is the neckline.
    pub fn canonical(&self, header: &str) -> String {
        let name = plain(header);
        if self.columns.contains_key(&name) {
            return name;
        }
        let means = |fits: &dyn Fn(&str) -> bool| {
            let known = |(own, words): &(&String, &ColumnWords)| fits(own) || words.also.iter().any(|also| fits(also));
            self.columns.iter().find(known).map(|(own, _)| own.clone())
        };
        means(&|known| plain(known) == name)
            .or_else(|| means(&|known| letters(known) == letters(&name)))
            .unwrap_or(name)
    }

    /// The names of the attributes of `headers`, in their order. Where several headers mean one attribute, it is the one that is called
    /// so, else the first; the others keep their own names.
    ///
    /// # Errors
    /// When two have one name even so; `place` is where the headers stand.
    pub fn names(&self, headers: &[String], place: &str) -> Result<Vec<String>> {
        let known: Vec<String> = headers.iter().map(|header| self.canonical(header)).collect();
        let owner = |name: &String| {
            let exact = headers.iter().position(|header| plain(header) == *name);
            exact.or_else(|| known.iter().position(|other| other == name))
        };
        let mut names: Vec<String> = Vec::with_capacity(headers.len());
        for (at, header) in headers.iter().enumerate() {
            let name = known.get(at).filter(|name| owner(name) == Some(at)).cloned().unwrap_or_else(|| plain(header));
            if names.contains(&name) {
                let problem = format!("two columns are the attribute '{name}', of which one is '{header}'");
                return Err(TrainerError::data(place, problem, "rename or remove one of the two"));
            }
            names.push(name);
        }
        Ok(names)
    }

    /// The words of an attribute, by its canonical name; general ones where the files say nothing of it.
    pub fn of(&self, name: &str) -> ColumnWords {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let mut words = self.columns.get(name).cloned().unwrap_or_default();
        if words.called.is_empty() {
            words.called = vec![name.to_owned()];
        }
        let silent = [&words.noun, &words.adjective, &words.with, &words.adjunct, &words.whole];
        if silent.into_iter().all(Vec::is_empty) {
            words.with = list(&["{v} {c}", "{v} as {c}"]);
            words.whole = list(&["change the {c} to {v}", "{c}: {v}", "make the {c} {v}", "{v} for the {c}"]);
        }
        if words.more.is_empty() {
            words.more = vec![format!("with a higher {name}"), format!("with more {name}")];
        }
        if words.less.is_empty() {
            words.less = vec![format!("with a lower {name}"), format!("with less {name}")];
        }
        words
    }
}

/// A header in small letters, with single spaces between its words.
pub fn plain(header: &str) -> String {
    header.replace('_', " ").split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The letters and digits of a name in small letters.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_users_words_add_to_the_built_in_ones() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[columns.colour]\ncalled = [\"hue\"]\n[columns.colour.values]\ngrey = [\"ash\"]\n[columns.Heel]\norder = [\"flat\", \"high\"]\n";
        std::fs::write(file.path(), text).unwrap();
        let words = Words::load(Some(file.path())).unwrap();
        let colour = words.of(&words.canonical("Color"));
        assert!(colour.called.contains(&"hue".to_owned()) && colour.called.contains(&"color".to_owned()));
        assert!(["gray", "ash"].iter().all(|word| colour.values["grey"].contains(&(*word).to_owned())));
        assert_eq!(words.of("heel").order, ["flat", "high"]);
        assert_eq!((words.canonical("Sleeve_Length").as_str(), words.canonical("Fit").as_str()), ("sleeve", "fit"));
        assert!(words.of("fit").with.contains(&"{v} {c}".to_owned()));
    }

    #[test]
    fn headers_of_several_words_are_attributes() {
        let words = Words::load(None).unwrap();
        for (header, name) in [
            ("Neck line", "neckline"),
            ("NECK-LINE", "neckline"),
            ("Neck_Line", "neckline"),
            ("Sleeve  Length", "sleeve"),
            ("Heel height", "heel height"),
            ("Größe des Absatzes", "größe des absatzes"),
        ] {
            assert_eq!(words.canonical(header), name, "{header}");
        }
        let names = |headers: &[&str]| {
            let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
            words.names(&headers, "t.csv, line 1").map_err(|e| e.to_string())
        };
        let own = names(&["type", "Category", "Main colour", "color", "Heel height"]);
        assert_eq!(own.unwrap(), ["type", "category", "colour", "color", "heel height"]);
        assert_eq!(names(&["neck line", "Neckline"]).unwrap(), ["neck line", "neckline"]);
        let twice = names(&["Heel height", "heel_height"]).unwrap_err();
        assert_eq!(
            twice,
            "t.csv, line 1: two columns are the attribute 'heel height', of which one is 'heel_height'; rename or remove one \
             of the two"
        );
    }

    #[test]
    fn a_broken_file_of_words_is_named_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, said) in [
            ("[columns.colour]\nsayings = []\n", "line 2: unknown field `sayings`"),
            ("[columns.colour]\nadjective = [\"red\"]\n", "'red' of [columns.colour] has no {v}"),
            ("[columns.colour\n", "line 1"),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let problem = Words::load(Some(file.path())).unwrap_err().to_string();
            assert!(problem.contains(said), "{problem}");
        }
    }
}
