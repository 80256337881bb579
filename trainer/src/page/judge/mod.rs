//! Pages that people fill in: which of two texts is better, not knowing whose is whose; which generated texts are wrong; and how
//! good they are on three scales.
//!
//! A page has the pictures, the texts and the rule, and no word about the texts' sources: those stand in the key, a file
//! of its own. What a person chose is saved from the page as JSON or CSV and counted against the key ([`score`]).

mod draw;
mod html;
mod results;
pub mod scales;
pub mod score;

use crate::error::{Result, TrainerError};
use crate::fsx;
pub use draw::{Draw, Drawn};
pub use html::page;
pub use results::Filled;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Version of the key's and the results' layout.
const VERSION: u32 = 1;

/// What is asked about each pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Which of two texts is better.
    Compare,
    /// Whether a text is right.
    Check,
    /// How good a text is, on [`scales::SCALES`].
    Rate,
}

/// Something that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its word in results.
    pub value: &'static str,
    /// Its word on the page.
    pub label: &'static str,
    /// What it means, for the rule on top of the page.
    pub meaning: &'static str,
}

const fn choice(value: &'static str, label: &'static str, meaning: &'static str) -> Choice {
    Choice { value, label, meaning }
}

/// The value of [`Kind::Check`]'s choice that is no error.
pub const RIGHT: &str = "right";

const COMPARE: [Choice; 4] = [
    choice("a", "A is better", "Text A says better how to get from the reference to the target."),
    choice("b", "B is better", "Text B does."),
    choice("same", "As good", "Both say it as well, or as badly."),
    choice("wrong", "Both wrong", "Both name something that is not so, or cannot be understood."),
];

const CHECK: [Choice; 6] = [
    choice(
        RIGHT,
        "Right",
        "Everything that the text names is so in the target, and at least one part of it is a change.",
    ),
    choice(
        "attribute",
        "Names what is not so",
        "A thing, colour, number, place or action in the text is not so in the target.",
    ),
    choice(
        "no-change",
        "No true change",
        "All that the text asks for is so in the reference already, or it names nothing.",
    ),
    choice("way-back", "The wrong way", "The text leads from the target to the reference."),
    choice("unclear", "Not understandable", "A reader cannot tell what should be different."),
    choice("other", "Wrong otherwise", "Another error; say which in the note."),
];

impl Kind {
    /// What can be chosen; the page's keys 1, 2, … in this order. Of a page of scales there is nothing to choose from.
    pub fn choices(self) -> &'static [Choice] {
        match self {
            Self::Compare => &COMPARE,
            Self::Check => &CHECK,
            Self::Rate => &[],
        }
    }

    /// How many texts a pair has.
    pub fn texts(self) -> usize {
        match self {
            Self::Compare => 2,
            Self::Check | Self::Rate => 1,
        }
    }

    /// The word for people and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compare => "compare",
            Self::Check => "check",
            Self::Rate => "rate",
        }
    }
}

/// A text and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    /// A place in [`Key::sources`].
    pub source: usize,
    /// The text.
    pub text: String,
}

/// One pair of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its number, from 1.
    pub item: usize,
    /// The reference's name.
    pub reference: String,
    /// The target's name.
    pub target: String,
    /// The texts in the page's order: A, B.
    pub texts: Vec<Voice>,
}

/// What a page does not tell: whose texts stand where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    version: u32,
    /// The page's mark, which results carry.
    pub page: String,
    /// What is asked.
    pub kind: Kind,
    /// The seed of the draw.
    pub seed: u64,
    /// Where the texts come from.
    pub sources: Vec<String>,
    /// The pairs in the page's order.
    pub items: Vec<Item>,
}

impl Key {
    /// The key of drawn pairs, the first `count` of them whose pictures can be shown. For [`Kind::Compare`] the seed and the
    /// pair's names decide which text comes first.
    ///
    /// # Errors
    /// When no pair is left.
    pub fn new(kind: Kind, seed: u64, sources: Vec<String>, drawn: Vec<Drawn>, count: usize) -> Result<Self> {
        let mut items: Vec<Item> = Vec::new();
        for drawn in drawn.into_iter().take(count) {
            let mut texts: Vec<Voice> = (0..).zip(drawn.texts).map(|(source, text)| Voice { source, text }).collect();
            if kind == Kind::Compare && draw::coin(seed, &drawn.reference, &drawn.target) {
                texts.reverse();
            }
            items.push(Item { item: items.len() + 1, reference: drawn.reference, target: drawn.target, texts });
        }
        if items.is_empty() {
            let mend = "check that the triplets and the data set belong together";
            return Err(TrainerError::data("the page", "no pair has its texts and both pictures", mend));
        }
        let mut key = Self { version: VERSION, page: String::new(), kind, seed, sources, items };
        key.page = key.mark()?;
        Ok(key)
    }

    fn mark(&self) -> Result<String> {
        let bare = Self { page: String::new(), ..self.clone() };
        let json =
            serde_json::to_vec(&bare).map_err(|e| TrainerError::checkpoint("the key", e.to_string(), "report this"))?;
        Ok(fsx::sha256_hex(&json).chars().take(16).collect())
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When the file cannot be read, is no key, or was changed.
    pub fn read(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let mend = "give the .key.json file that was written beside the page";
        let key: Self = serde_json::from_str(&fsx::read_text(path, fsx::MIDDLE)?)
            .map_err(|e| TrainerError::data(&place, format!("is not a page's key ({e})"), mend))?;
        if key.version != VERSION {
            let problem = format!("has version {}, this build reads {VERSION}", key.version);
            return Err(TrainerError::data(place, problem, "write the page again"));
        }
        let numbered = (1..).zip(&key.items).all(|(number, item)| item.item == number);
        let voiced = key.items.iter().all(|item| {
            item.texts.len() == key.kind.texts() && item.texts.iter().all(|text| text.source < key.sources.len())
        });
        if !numbered || !voiced || key.mark()? != key.page {
            return Err(TrainerError::data(place, "is not as it was written", mend));
        }
        Ok(key)
    }

    /// Writes the key.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|e| TrainerError::checkpoint(path.display().to_string(), e.to_string(), "report this"))?;
        fsx::write_atomic(path, &json)
    }
}

/// Pairs whose pictures can both be read; the names of the others' broken pictures go to `complain`. Stops at `count`.
pub fn pictured(
    drawn: Vec<Drawn>,
    files: &HashMap<String, PathBuf>,
    count: usize,
    complain: &mut dyn FnMut(String),
) -> Vec<Drawn> {
    let mut usable: HashMap<String, bool> = HashMap::new();
    let mut look = |name: &String| {
        *usable.entry(name.clone()).or_insert_with(|| {
            let found = files.get(name).map(|path| crate::images::decode_file(path).map(drop));
            if let Some(Err(e)) = &found {
                complain(format!("{e}; its pairs are left out"));
            }
            matches!(found, Some(Ok(())))
        })
    };
    let fits = |drawn: &Drawn| [&drawn.reference, &drawn.target].into_iter().all(&mut look);
    drawn.into_iter().filter(fits).take(count).collect()
}

#[cfg(test)]
mod tests;
