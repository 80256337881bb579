//! A trained retrieval model with what its queries need, from a checkpoint and the feature cache that it was trained on.

use crate::error::{Result, TrainerError};
use crate::evaluate::Subject;
use crate::features::Features;
use crate::train::checkpoint::{self, Header};
use crate::{compress, fsx, import};
use burn::tensor::{Device, Tensor};
use serde_json::Value;
use std::path::{Path, PathBuf};
use thisbut_model::weights::Tensors;
use thisbut_model::{ModelError, Retrieval, RetrievalConfig};

/// A model that answers (reference, text).
pub struct Retriever {
    /// The model; without an image encoder.
    pub retrieval: Retrieval,
    /// SHA-256 of the checkpoint.
    pub fingerprint: String,
    /// What the checkpoint says of itself.
    pub header: Header,
    vocabulary: String,
    trained_encoder: Option<String>,
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
        let vocabulary = import::vocabulary(&config, weights_dir)?;
        reader.header.check_vocabulary(path, &fsx::sha256_hex(vocabulary.as_bytes()))?;
        let encoder = import::adapted::of_checkpoint(&mut reader, path, weights_dir)?;
        let trained_encoder = encoder.map(|tensors| import::fingerprint_of(&config, &tensors)).transpose()?;
        let retrieval = answering(config, &mut reader.model()?, &vocabulary, device)?;
        let fingerprint = fsx::sha256_of(path)?;
        Ok(Self {
            retrieval,
            fingerprint,
            header: reader.header,
            vocabulary,
            trained_encoder,
            path: path.to_path_buf(),
        })
    }

    /// Its architecture.
    pub fn config(&self) -> &RetrievalConfig {
        self.retrieval.config()
    }

    /// The fingerprint of the image encoder in the checkpoint: `None` where none was trained.
    pub fn trained_encoder(&self) -> Option<&str> {
        self.trained_encoder.as_deref()
    }

    /// The fingerprint of this model's image encoder, in the checkpoint or in `weights_dir`.
    ///
    /// # Errors
    /// When the encoder's file cannot be read.
    pub fn encoder_fingerprint(&self, weights_dir: &Path) -> Result<String> {
        match &self.trained_encoder {
            Some(found) => Ok(found.clone()),
            None => import::encoder_fingerprint(self.config(), weights_dir),
        }
    }

    /// Opens a feature cache, which must be of this model's image encoder.
    ///
    /// # Errors
    /// When the cache cannot be read or was made by another encoder.
    pub fn features(&self, path: &Path, weights_dir: &Path) -> Result<Features> {
        Features::of_encoder(path, self.config(), &self.encoder_fingerprint(weights_dir)?)
    }

    /// The model with what it needs to be evaluated; `tokens` gives image tokens.
    pub fn subject<'a>(&'a self, tokens: &'a dyn Fn(&[u32]) -> Result<Tensor<3>>) -> Subject<'a> {
        let name = format!("{}, step {}", self.path.display(), self.header.step);
        Subject { name, retrieval: &self.retrieval, tokens }
    }

    /// The model whose query and target tokens keep `width` principal dimensions, `axes` of
    /// [`principal_axes`](crate::compress::principal_axes).
    ///
    /// # Errors
    /// When the weights cannot be read back.
    pub fn narrowed(mut self, axes: &[f32], width: usize) -> Result<Self> {
        let mut tensors = self.retrieval.method().collect("")?;
        let mut config = self.config().clone();
        compress::narrow(&mut config, &mut tensors, "", axes, width)?;
        self.retrieval = answering(config, &mut tensors, &self.vocabulary, self.retrieval.device())?;
        Ok(self)
    }

    /// The model asked in another way than it was trained: its family's switches
    /// ([`FamilyConfig::switches`](thisbut_model::config::FamilyConfig::switches)) with other values. MTST_PTHA's code trains
    /// with one read-out and evaluates with another; a dual encoder composes by any weight.
    ///
    /// # Errors
    /// When the model's family has no such switch, or its weights cannot be read back.
    pub fn reading(mut self, switches: &[(&str, Value)]) -> Result<Self> {
        let mut tensors = self.retrieval.method().collect("")?;
        let mut config = self.config().clone();
        for (switch, value) in switches {
            config = config.switched(switch, value.clone())?;
        }
        self.retrieval = answering(config, &mut tensors, &self.vocabulary, self.retrieval.device())?;
        Ok(self)
    }

    /// The checkpoint's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A model without an image encoder, from its method's tensors.
fn answering(config: RetrievalConfig, tensors: &mut Tensors, vocabulary: &str, device: &Device) -> Result<Retrieval> {
    Ok(Retrieval::load_method::<ModelError>(
        config,
        None,
        "",
        &mut |name| Ok(tensors.remove(name)),
        vocabulary,
        device,
    )?)
}
