//! A caption for each image: from a model that sees it, from its title, or from a table.

use super::About;
use super::output::{Made, row};
use super::prompts::{NAME, Prompt};
use super::work::{Item, Outcome, Tell, Work};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use thisbut_trainer::data::pictures::Picture;
use thisbut_trainer::error::Result;

/// Why an image has no caption: it has no title.
pub const NO_TITLE: &str = "no-title";
/// Why an image has no caption: the table has none.
pub const NO_TEXT: &str = "no-text";

/// What a table says of an image: by its name, its file's name, or that without the ending.
pub fn known<'a>(about: &'a About, picture: &Picture) -> Option<&'a BTreeMap<String, String>> {
    let file = picture.path.file_name().and_then(|name| name.to_str());
    let stem = picture.path.file_stem().and_then(|name| name.to_str());
    [Some(picture.name.as_str()), file, stem].into_iter().flatten().find_map(|name| about.get(name))
}

fn named(picture: &Picture) -> Map<String, Value> {
    row(json!({"image": picture.name}))
}

/// A caption's row: what the table says stays in it.
fn captioned(picture: &Picture, caption: &str, about: Option<&BTreeMap<String, String>>) -> Made {
    let own = [("image", picture.name.as_str()), ("caption", caption)];
    let known = about.into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()));
    let fields = known.filter(|(name, _)| !matches!(*name, "image" | "caption")).chain(own);
    Made::Rows(vec![fields.map(|(name, value)| (name.to_owned(), json!(value))).collect()])
}

/// Captions from titles.
pub fn titles(pictures: &[Picture], about: &About) -> Vec<Made> {
    let caption = |picture: &Picture| match picture.title.as_deref().map(str::trim) {
        Some(title) if !title.is_empty() => captioned(picture, title, known(about, picture)),
        _ => Made::without(named(picture), NO_TITLE),
    };
    pictures.iter().map(caption).collect()
}

/// Captions from a column of a table.
pub fn column(pictures: &[Picture], about: &About, column: &str) -> Vec<Made> {
    let caption = |picture: &Picture| {
        let fields = known(about, picture);
        match fields.and_then(|fields| fields.get(&column.to_lowercase())) {
            Some(text) => captioned(picture, text, fields),
            None => Made::without(named(picture), NO_TEXT),
        }
    };
    pictures.iter().map(caption).collect()
}

/// The slots of `prompt` that no image has a value for.
pub fn unfilled(prompt: &Prompt, about: &About) -> Vec<String> {
    let has = |slot: &String| slot == NAME || about.values().any(|fields| fields.contains_key(slot));
    prompt.slots().into_iter().filter(|slot| !has(slot)).collect()
}

/// What is asked about each image.
pub fn items(pictures: &[Picture], about: &About) -> Vec<Item> {
    let item = |picture: &Picture| {
        let mut values = known(about, picture).cloned().unwrap_or_default();
        values.insert(NAME.to_owned(), picture.name.clone());
        Item { values, images: vec![vec![picture.path.clone()]], sources: &[] }
    };
    pictures.iter().map(item).collect()
}

/// Captions from a model that sees the images.
///
/// # Errors
/// As [`Work::run`].
pub fn asked(pictures: &[Picture], about: &About, work: &Work, tell: Tell) -> Result<Vec<Made>> {
    let outcomes = work.run(&items(pictures, about), tell)?;
    let made = |(picture, outcome): (&Picture, Outcome)| match outcome {
        Outcome::Texts(texts) => captioned(picture, &texts.concat().concat(), known(about, picture)),
        Outcome::Rejected(_, rejected) => Made::Rejected(named(picture), "describe".into(), rejected),
    };
    Ok(pictures.iter().zip(outcomes).map(made).collect())
}

/// Whether `place` is a file that a run over it reads: the output must not replace it.
pub fn is_input(out: &Path, inputs: &[&Path]) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    inputs.iter().any(|input| *input == out || (whole(out).is_some() && whole(out) == whole(input)))
}
