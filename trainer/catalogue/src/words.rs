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
            let column = self.columns.entry(name.to_lowercase()).or_default();
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

    /// The name that a header is known by: its own in small letters, or that of the attribute whose `also` has it.
    pub fn canonical(&self, header: &str) -> String {
        let name = header.replace('_', " ").trim().to_lowercase();
        if self.columns.contains_key(&name) {
            return name;
        }
        let known =
            self.columns.iter().find(|(_, words)| words.also.iter().any(|also| also.eq_ignore_ascii_case(&name)));
        known.map_or(name, |(known, _)| known.clone())
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
