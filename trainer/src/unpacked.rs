//! A model that no bundle holds yet: a published dual encoder in the folder that it was downloaded to, or a checkpoint that
//! `thisbut import` or training wrote, with the image encoder and the vocabulary that lie beside it.

use crate::error::{Result, TrainerError};
use crate::export::{gather, reduce};
use crate::fetch::origin;
use crate::fsx;
use crate::import::plan::Plan;
use crate::import::source::Source;
use crate::import::{self, dual, merges};
use crate::train::checkpoint;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::TextConfig;
use thisbut_model::weights::Tensors;

/// Where base weights lie unless told otherwise, as `thisbut fetch small` and `thisbut import` bring them.
pub const WEIGHTS: &str = "data/weights";

/// A model whose weights were not read yet.
pub struct Unpacked {
    /// The architecture, whole.
    pub config: RetrievalConfig,
    /// The vocabulary's text.
    pub vocabulary: String,
    /// What the model understands, for people; empty where that is not known.
    pub understands: String,
    /// What is taken for granted of it, for people.
    pub assumed: Option<String>,
    weights: Weights,
}

enum Weights {
    Published(Source, Box<Plan>),
    Checkpoint { file: PathBuf, beside: PathBuf },
}

impl Unpacked {
    /// The model in `path`: a published dual encoder's folder or file, of the preset of its shapes or `named`; a checkpoint, or a
    /// folder with one checkpoint. The image encoder and the vocabulary of a checkpoint lie in `weights`; where that is not given, in
    /// the checkpoint's own folder, or in [`WEIGHTS`].
    ///
    /// # Errors
    /// When `path` is none of these, or lacks a part.
    pub fn open(path: &Path, weights: Option<&Path>, named: Option<RetrievalConfig>) -> Result<Self> {
        let file = match path.is_dir() {
            true => only_checkpoint(path)?,
            false => Some(path.to_path_buf()).filter(|path| is_checkpoint(path)),
        };
        match file {
            Some(file) => Self::checkpoint(file, weights),
            None => Self::published(path, named),
        }
    }

    fn checkpoint(file: PathBuf, weights: Option<&Path>) -> Result<Self> {
        let header = checkpoint::open(&file)?.header;
        if header.generator.is_some() {
            let mend = "give a retrieval model's";
            return Err(TrainerError::settings(file.display().to_string(), "is a text generator's checkpoint", mend));
        }
        let beside = match weights {
            Some(given) => given.to_path_buf(),
            None => base_weights(&file, &header.config, Path::new(WEIGHTS))?,
        };
        let vocabulary = import::vocabulary(&header.config, &beside)?;
        header.check_vocabulary(&file, &fsx::sha256_hex(vocabulary.as_bytes()))?;
        let (config, understands) = (header.config, header.understands.unwrap_or_default());
        let weights = Weights::Checkpoint { file, beside };
        Ok(Self { config, vocabulary, understands, assumed: None, weights })
    }

    fn published(path: &Path, named: Option<RetrievalConfig>) -> Result<Self> {
        let files = [path.to_path_buf()];
        let source = if holds_weights(path) { Some(Source::open(&files)?) } else { None };
        let Some((source, layout)) = source.and_then(|source| dual::layout(&source).map(|layout| (source, layout)))
        else {
            return Err(TrainerError::settings(
                path.display().to_string(),
                "is no bundle, no published dual encoder, and no checkpoint of thisbut",
                "give a bundle's folder, the folder that `thisbut fetch tinyclip` wrote, or a checkpoint that `thisbut import` or \
                 training wrote",
            ));
        };
        let config = dual::configure(&source, layout, &files, named)?;
        let plan = dual::plan(&source, &config, layout)?;
        plan.check_whole(&path.display().to_string())?;
        let vocabulary = published_vocabulary(&config, &files)?;
        let understands = origin::beside(&files)?.unwrap_or_default();
        let assumed = dual::assumed(layout, &files, &config);
        let weights = Weights::Published(source, Box::new(plan));
        Ok(Self { config, vocabulary, understands, assumed, weights })
    }

    /// All of the weights that a bundle holds, with the architecture that they have then.
    ///
    /// # Errors
    /// When a file cannot be read, or lacks a tensor.
    pub fn read(self) -> Result<(RetrievalConfig, Tensors)> {
        match self.weights {
            Weights::Checkpoint { file, beside } => gather(&file, &beside),
            Weights::Published(mut source, plan) => {
                let mut config = self.config;
                let mut tensors = plan.tensors(&mut source, &config)?;
                reduce(&mut config, &mut tensors)?;
                Ok((config, tensors))
            }
        }
    }
}

/// The folder with a checkpoint's vocabulary: its own, or the usual one.
fn base_weights(file: &Path, config: &RetrievalConfig, usual: &Path) -> Result<PathBuf> {
    let (name, own) = (config.text.vocabulary_file(), file.parent().unwrap_or(Path::new("")));
    let found = [own, usual].into_iter().find(|folder| folder.join(name).is_file());
    found.map(Path::to_path_buf).ok_or_else(|| {
        let problem = format!("its vocabulary, {name}, lies neither beside it nor in {}", usual.display());
        TrainerError::checkpoint(file.display().to_string(), problem, import::vocabulary_mend(config))
    })
}

/// The text of the vocabulary that a published model comes with.
fn published_vocabulary(config: &RetrievalConfig, files: &[PathBuf]) -> Result<String> {
    let folder = files.iter().map(|path| if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(path) });
    match config.text {
        TextConfig::Bpe { vocabulary, .. } => match merges::beside(files) {
            Some(path) => merges::read(&path, vocabulary),
            None => Err(TrainerError::checkpoint(
                files.iter().map(|file| file.display().to_string()).collect::<String>(),
                "its tokenizer's list of merges is missing: texts could not be read",
                "put the model's merges.txt, or OpenAI's bpe_simple_vocab_16e6.txt.gz, beside it",
            )),
        },
        TextConfig::WordPiece { .. } => {
            let folder = folder.map(Path::to_path_buf).next().unwrap_or_default();
            import::vocabulary(config, &folder)
        }
    }
}

fn is_checkpoint(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "safetensors") && checkpoint::open(path).is_ok()
}

/// The files in `folder`, in the order of their names.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| TrainerError::io(folder, "read", e, "check the path and its permissions");
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// The one checkpoint in `folder`; none where there is none.
fn only_checkpoint(folder: &Path) -> Result<Option<PathBuf>> {
    let mut found: Vec<PathBuf> = files_of(folder)?.into_iter().filter(|path| is_checkpoint(path)).collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => {
            let names = found.iter().filter_map(|path| path.file_name()).take(5);
            let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
            let more = if count > names.len() { ", …" } else { "" };
            Err(TrainerError::settings(
                folder.display().to_string(),
                format!("has {count} checkpoints: {}{more}", names.join(", ")),
                "give the one that is meant, by its file",
            ))
        }
    }
}

/// Whether a path can be weights at all: a file, or a folder with one that is named like weights.
fn holds_weights(path: &Path) -> bool {
    let named = |file: &PathBuf| {
        let end = file.extension().map(|end| end.to_string_lossy().into_owned()).unwrap_or_default();
        ["safetensors", "bin", "pth", "pt"].contains(&end.as_str())
    };
    path.is_file() || files_of(path).is_ok_and(|files| files.iter().any(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vocabulary_is_looked_for_beside_the_checkpoint_and_in_the_usual_folder() {
        let root = tempfile::tempdir().unwrap();
        let (file, usual) = (root.path().join("run/final.safetensors"), root.path().join("data/weights"));
        let found = |preset: &str| {
            let config = RetrievalConfig::preset(preset).unwrap();
            base_weights(&file, &config, &usual).map_err(|e| e.to_string())
        };
        let refused = found("tiny").unwrap_err();
        for words in
            ["run/final.safetensors: its vocabulary, vocab.txt, lies neither beside it nor in", "data/weights;"]
        {
            assert!(refused.contains(words), "{refused}");
        }
        assert!(refused.contains("`thisbut fetch small`") && refused.contains("--weights"), "{refused}");
        assert!(found("clip-vit-b-32").unwrap_err().contains("`thisbut import`"));
        for folder in ["data/weights", "run"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
            std::fs::write(root.path().join(folder).join("vocab.txt"), "[PAD]\n").unwrap();
            assert_eq!(found("tiny").unwrap(), root.path().join(folder), "its own folder comes first");
        }
    }
}
