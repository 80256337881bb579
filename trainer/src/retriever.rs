//! A trained retrieval model with what its queries need, from a checkpoint and the feature cache that it was trained on.

use crate::error::{Result, TrainerError};
use crate::evaluate::Subject;
use crate::features::Features;
use crate::train::checkpoint;
use crate::{compress, fsx, import};
use burn::tensor::{Device, Tensor};
use std::path::{Path, PathBuf};
use thisbut_model::CirConfig;
use thisbut_model::cir::Cir;
use thisbut_model::text::WordPiece;
use thisbut_model::weights;

/// A model that answers (reference, text).
pub struct Retriever {
    /// The trained part.
    pub model: Cir,
    /// Its architecture.
    pub config: CirConfig,
    /// The tokenizer.
    pub words: WordPiece,
    /// Where it computes.
    pub device: Device,
    /// SHA-256 of the checkpoint.
    pub fingerprint: String,
    path: PathBuf,
}

impl Retriever {
    /// Reads a checkpoint; `weights_dir` is the folder of base weights.
    ///
    /// # Errors
    /// When a file cannot be read, and when the checkpoint is a generator's or was trained with another vocabulary.
    pub fn load(path: &Path, weights_dir: &Path, device: &Device) -> Result<Self> {
        let mut reader = checkpoint::open(path)?;
        let place = path.display().to_string();
        if reader.header.generator.is_some() {
            let mend = "give a file of `thisbut finetune` or `thisbut pretrain`";
            return Err(TrainerError::checkpoint(place, "it is a generator's, not a retrieval model's", mend));
        }
        let config = reader.header.config.clone();
        let vocabulary = weights_dir.join("vocab.txt");
        let words = WordPiece::from_vocab(&fsx::read_text(&vocabulary)?)?;
        if words.vocab_size() > config.qformer.vocabulary {
            let problem = format!("{} words for a model of {}", words.vocab_size(), config.qformer.vocabulary);
            let mend = "give the --weights that the checkpoint was trained with";
            return Err(TrainerError::checkpoint(vocabulary.display().to_string(), problem, mend));
        }
        let model = weights::load(Cir::new(&config, device), "", &mut reader.model()?)?;
        let fingerprint = fsx::sha256_hex(&fsx::read(path)?);
        Ok(Self { model, config, words, device: device.clone(), fingerprint, path: path.to_path_buf() })
    }

    /// Opens a feature cache, which must be of this model's image encoder.
    ///
    /// # Errors
    /// When the cache cannot be read or was made by another encoder.
    pub fn features(&self, path: &Path, weights_dir: &Path) -> Result<Features> {
        let expected = import::encoder_fingerprint(&self.config, weights_dir)?;
        Features::open(path, Some(&expected))
    }

    /// The model with what it needs to be evaluated; `tokens` gives image tokens.
    pub fn subject<'a>(&'a self, tokens: &'a dyn Fn(&[u32]) -> Result<Tensor<3>>) -> Subject<'a> {
        Subject { model: &self.model, config: &self.config, words: &self.words, device: &self.device, tokens }
    }

    /// The model whose query and target tokens keep `width` principal dimensions, `axes` of
    /// [`principal_axes`](crate::compress::principal_axes).
    ///
    /// # Errors
    /// When the weights cannot be read back.
    pub fn narrowed(mut self, axes: &[f32], width: usize) -> Result<Self> {
        let mut tensors = weights::collect(&self.model, "")?;
        compress::narrow(&mut self.config, &mut tensors, "", axes, width)?;
        self.model = weights::load(Cir::new(&self.config, &self.device), "", &mut tensors)?;
        Ok(self)
    }

    /// The checkpoint's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
