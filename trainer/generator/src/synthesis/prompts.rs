//! Prompts: files that a person edits, those of the papers built in.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// The files of `recipes/prompts`, by name.
pub const BUILT_IN: [(&str, &str); 4] = [
    ("syncir", include_str!("../../../../recipes/prompts/syncir.toml")),
    ("good4cir", include_str!("../../../../recipes/prompts/good4cir.toml")),
    ("facap", include_str!("../../../../recipes/prompts/facap.toml")),
    ("small", include_str!("../../../../recipes/prompts/small.toml")),
];

/// The slot of the image that a pair starts from: its caption.
pub const REFERENCE: &str = "reference";
/// The slot of the image that a pair leads to: its caption.
pub const TARGET: &str = "target";
/// The slot of an image's own name.
pub const NAME: &str = "name";

/// What an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// One paragraph.
    #[default]
    Text,
    /// Lines that stay together.
    List,
    /// Every line is a text of its own.
    Texts,
    /// JSON: objects, each with a list of descriptors.
    Objects,
    /// JSON: a list, of which each is a text of its own.
    Differences,
}

impl Form {
    /// Whether the answer is JSON.
    pub fn is_json(self) -> bool {
        matches!(self, Self::Objects | Self::Differences)
    }

    /// Whether an answer may be several texts.
    pub fn is_several(self) -> bool {
        matches!(self, Self::Texts | Self::Differences)
    }
}

/// Which image of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one that it starts from.
    Reference,
    /// The one that it leads to.
    Target,
}

/// A question with slots.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// The slot that the answer fills.
    #[serde(default)]
    pub name: String,
    /// What is said before the question.
    pub system: Option<String>,
    /// The question.
    pub prompt: String,
    /// The images that go with it; a caption's question always has its own.
    #[serde(default)]
    pub images: Vec<Role>,
    /// Whether a model on this machine goes on from it to the end of the line, instead of answering in its chat template.
    #[serde(default)]
    pub plain: bool,
    /// What its answer is.
    #[serde(default)]
    pub form: Form,
    /// Where an answer is several texts: further ones, each of so many that do not contradict each other.
    #[serde(default)]
    pub joined: Vec<usize>,
    /// Tokens of an answer at most.
    pub tokens: usize,
    /// Words of an answer at most, or of each text.
    pub words: usize,
    /// Letters and signs of a whole answer at least.
    #[serde(default)]
    pub least: usize,
    /// 0: the likeliest answer.
    #[serde(default)]
    pub temperature: f32,
}

/// A file of prompts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    /// The question for a caption.
    pub describe: Prompt,
    /// The questions for a modification text, in order.
    #[serde(default)]
    pub rewrite: Vec<Prompt>,
}

/// A prompt with its slots filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// What is said before the question.
    pub system: Option<String>,
    /// The question.
    pub user: String,
}

/// Tokens and words that a prompt may ask for.
const MOST: usize = 1 << 14;

impl Prompts {
    /// The prompts of a built-in name or a file.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] when there is none of that name, or the file has a mistake: with the place.
    pub fn find(name: &str) -> Result<Self> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::parse(text, &format!("prompts {name}"));
        }
        let path = Path::new(name);
        if path.extension().is_some_and(|e| e == "toml") || path.exists() {
            return Self::parse(&fsx::read_text(path, fsx::SMALL)?, name);
        }
        let known = BUILT_IN.map(|(name, _)| name).join(", ");
        Err(TrainerError::settings(
            format!("--prompts {name}"),
            "there are none of that name",
            format!("use one of {known}, or the path of a .toml file"),
        ))
    }

    /// Reads a file's text; `place` names it in errors.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] for a key that is unknown or missing, a slot that nothing fills, and a number out of range.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let prompts: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| text.get(..span.start).unwrap_or(text).matches('\n').count() + 1);
            wrong(format!("{place}, line {line}"), e.message().replace('\n', " "))
        })?;
        prompts.describe.check(&format!("{place}, [describe]"), None)?;
        if prompts.rewrite.is_empty() {
            return Err(wrong(place.to_owned(), "it has no [[rewrite]]".into()));
        }
        let mut known: BTreeSet<&str> = [REFERENCE, TARGET].into();
        let last = prompts.rewrite.len() - 1;
        for (at, prompt) in prompts.rewrite.iter().enumerate() {
            let place = format!("{place}, [[rewrite]] {}", at + 1);
            if prompt.name.is_empty() {
                return Err(wrong(place, "it has no name".into()));
            }
            if prompt.form.is_several() && at < last {
                return Err(wrong(place, "only the last may have the form texts or differences".into()));
            }
            prompt.check(&place, Some(&known))?;
            known.insert(&prompt.name);
        }
        Ok(prompts)
    }

    /// Whether a question of a pair is about an image itself.
    pub fn rewrite_sees(&self) -> bool {
        self.rewrite.iter().any(|prompt| !prompt.images.is_empty())
    }

    /// Whether a pair needs its target's caption: a question reads it before one makes it.
    pub fn reads_target(&self) -> bool {
        let made = self.rewrite.iter().position(|prompt| prompt.name == TARGET).unwrap_or(self.rewrite.len());
        made + 1 >= self.rewrite.len() || self.rewrite.iter().take(made + 1).any(|p| p.slots().contains(TARGET))
    }
}

impl Prompt {
    fn check(&self, place: &str, known: Option<&BTreeSet<&str>>) -> Result<()> {
        if self.prompt.trim().is_empty() {
            return Err(wrong(place.to_owned(), "its prompt is empty".into()));
        }
        for (name, value) in [("tokens", self.tokens), ("words", self.words)] {
            if !(1..=MOST).contains(&value) {
                return Err(wrong(place.to_owned(), format!("{name} is {value}, not between 1 and {MOST}")));
            }
        }
        if self.least > MOST {
            return Err(wrong(place.to_owned(), format!("least is {}, not between 0 and {MOST}", self.least)));
        }
        if !(0.0..=2.0).contains(&self.temperature) {
            return Err(wrong(place.to_owned(), format!("temperature is {}, not between 0 and 2", self.temperature)));
        }
        if self.joined.iter().any(|count| !(2..=16).contains(count)) {
            return Err(wrong(place.to_owned(), "joined has a number that is not between 2 and 16".into()));
        }
        let Some(known) = known else { return Ok(()) };
        match self.slots().iter().find(|slot| !known.contains(slot.as_str())) {
            Some(slot) => Err(wrong(place.to_owned(), format!("nothing fills its slot {{{slot}}}"))),
            None => Ok(()),
        }
    }

    /// The names of its slots.
    pub fn slots(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for line in self.system.iter().chain([&self.prompt]).flat_map(|text| text.lines()) {
            let _ = fill(line, &mut |slot| {
                found.insert(slot.to_owned());
                Some("x")
            });
        }
        found
    }

    /// The prompt with `values` in its slots. A line with a slot that has no value is left out.
    pub fn filled(&self, values: &BTreeMap<String, String>) -> Filled {
        let whole = |text: &str| {
            let value = |slot: &str| values.get(slot).map(|v| v.trim()).filter(|v| !v.is_empty());
            let lines = text.trim().lines().filter_map(|line| fill(line, &mut |slot| value(slot)));
            lines.collect::<Vec<_>>().join("\n")
        };
        Filled { system: self.system.as_deref().map(whole), user: whole(&self.prompt) }
    }
}

/// A line with its slots filled; `None` when one has no value.
fn fill<'a>(line: &str, value: &mut dyn FnMut(&str) -> Option<&'a str>) -> Option<String> {
    let (mut out, mut rest) = (String::with_capacity(line.len()), line);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let inner = found.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let named =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        rest = match (found.get(..2), inner) {
            (Some(pair @ ("{{" | "}}")), _) => {
                out.push_str(&pair[..1]);
                &found[2..]
            }
            (_, Some((name, after))) if named(name) => {
                out.push_str(value(name)?);
                after
            }
            _ => {
                out.push_str(&found[..1]);
                &found[1..]
            }
        };
    }
    out.push_str(rest);
    Some(out)
}

fn wrong(place: String, problem: String) -> TrainerError {
    TrainerError::settings(place, problem, "see recipes/prompts/README.md for what a file of prompts has")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_papers_prompts_are_read_and_filled() {
        for (name, _) in BUILT_IN {
            let prompts = Prompts::find(name).unwrap();
            let captions = values(&[("reference", "a {red} hat"), ("target", "a blue hat")]);
            for prompt in &prompts.rewrite {
                let filled = prompt.filled(&captions);
                assert!(filled.user.contains("a {red} hat"), "a value's own braces stay: {}", filled.user);
            }
            assert!(!prompts.describe.filled(&values(&[])).user.contains('{'));
        }
        let good4cir = Prompts::find("good4cir").unwrap();
        assert!(good4cir.rewrite_sees() && !good4cir.reads_target());
        let syncir = Prompts::find("syncir").unwrap();
        assert!(!syncir.rewrite_sees() && syncir.reads_target());
    }

    #[test]
    fn lines_without_a_value_are_left_out() {
        let facap = Prompts::find("facap").unwrap().describe;
        let with =
            facap.filled(&values(&[("category", "dress"), ("description", " "), ("attributes", "long, red")])).user;
        assert!(
            with.contains("sold as: dress") && with.contains("long, red") && !with.contains("The shop says"),
            "{with}"
        );
        assert_eq!(facap.slots().into_iter().collect::<Vec<_>>(), ["attributes", "category", "description"]);
        let mut none = |_: &str| None;
        assert_eq!(fill("{{a}} {b c} } {", &mut none).as_deref(), Some("{a} {b c} } {"));
        assert_eq!(fill("é {x}{y}", &mut |slot| (slot == "x").then_some("1")), None);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let good = "[describe]\nprompt = \"x\"\ntokens = 9\nwords = 9\n[[rewrite]]\nname = \"change\"\nprompt = \"{reference}\"\ntokens = 9\nwords = 9\n";
        assert!(Prompts::parse(good, "p").is_ok());
        for (from, to, said) in [
            ("{reference}", "{refrence}", "p, [[rewrite]] 1: nothing fills its slot {refrence}"),
            ("{reference}", "{change}", "nothing fills its slot {change}"),
            ("tokens = 9", "tokens = 0", "p, [describe]: tokens is 0"),
            ("name = \"change\"", "nam = 1", "p, line 6"),
            ("name = \"change\"", "", "it has no name"),
            ("words = 9\n[[", "words = 9\nform = \"poem\"\n[[", "p, line 5"),
            ("\"x\"", "\" \"", "its prompt is empty"),
        ] {
            let problem = Prompts::parse(&good.replacen(from, to, 1), "p").unwrap_err().to_string();
            assert!(problem.contains(said) && problem.contains("recipes/prompts/README.md"), "{to}: {problem}");
        }
        assert!(
            Prompts::parse(&good[..good.find("[[").unwrap()], "p").unwrap_err().to_string().contains("no [[rewrite]]")
        );
        assert!(Prompts::find("sincir").unwrap_err().to_string().contains("one of syncir, good4cir, facap, small"));
    }
}
