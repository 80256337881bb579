//! `--captions`: the captions of a run's targets.

use anyhow::{Result, bail};
use std::path::Path;
use thisbut_model::text::TextReader;
use thisbut_trainer::data::{Table, captions};
use thisbut_trainer::train::settings::Settings;

/// Gives the triplets of the data set in `root` the captions of their targets, where the losses read any: their own, those of
/// `file`, or what lies in the folder.
pub fn add(settings: &Settings, train: &mut Table, root: &Path, file: Option<&Path>) -> Result<()> {
    if settings.objective.family().reads_captions().is_none() {
        if let Some(file) = file {
            bail!("--captions {}: these losses read no captions; leave it out", file.display());
        }
        return Ok(());
    }
    let filled = captions::fill(train, root, file)?;
    super::complain(&filled.complaints, 20);
    let file = match &filled.source {
        Some(path) => format!(", {} in {}", filled.file, path.display()),
        None => String::new(),
    };
    super::note(format_args!(
        "captions of {} targets: {} beside the triplets{file}, {} titles; {} without",
        filled.rows, filled.column, filled.titles, filled.without
    ));
    Ok(())
}

/// Says how many captions are longer than the `length` tokens (L) that the model reads.
pub fn say_cut(settings: &Settings, train: &Table, texts: &TextReader, length: usize) {
    if settings.objective.family().reads_captions().is_none() {
        return;
    }
    let cut = |caption: &&str| texts.cuts(caption, false);
    let mut cut = train.triplets.iter().filter_map(|triplet| triplet.caption.as_deref()).filter(cut).peekable();
    let first: String = cut.peek().map(|caption| caption.chars().take(60).collect()).unwrap_or_default();
    match cut.count() {
        0 => {}
        count => super::note(format_args!(
            "{count} of {} captions are longer than {length} tokens, and their ends are not read; the first begins \"{first}\"",
            train.triplets.len()
        )),
    }
}
