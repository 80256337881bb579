//! The frozen language model, from a GGUF file or a Hugging Face folder.

use crate::runtime::names::Published;
use crate::runtime::{Adapters, Bpe, Gguf, Llama, LlamaConfig, QuantizedLlama};
use crate::sentencepiece;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use std::path::Path;
use thisbut_model::number::NumberFormat;
use thisbut_trainer::device::DeviceKind;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::formats::Formats;
use thisbut_trainer::fsx;
use thisbut_trainer::import::source::Source;
use thisbut_trainer::train::settings;

/// What a language model may be held in and compute its linear maps in.
pub const PRECISIONS: Formats = Formats(&[
    (NumberFormat::F32, "32 bits"),
    (NumberFormat::Bf16, "bfloat16; norms and softmax in f32"),
    (NumberFormat::Int8, "Weights and activations in 8 bits, sums in 32; on the CPU"),
]);

/// Checks that a language model on the device can compute in `precision`.
///
/// # Errors
/// [`TrainerError::Settings`] for 8 bits elsewhere than on the CPU, and for bfloat16 on a device that does not compute in it;
/// `ModelError::NumberFormat` for what is none of [`PRECISIONS`].
pub fn check_precision(precision: NumberFormat, kind: DeviceKind, device: &Device) -> Result<()> {
    PRECISIONS.check("--precision", precision)?;
    match (precision, kind) {
        (NumberFormat::Int8, DeviceKind::Cpu) => Ok(()),
        (NumberFormat::Int8, _) => {
            let mend = "use --device cpu, or --precision f32";
            Err(TrainerError::settings("--precision int8", "its kernels are the CPU's", mend))
        }
        _ => settings::check_precision(precision, device),
    }
}

/// A language model with its tokenizer.
pub struct Language<D = Llama> {
    /// Its sizes.
    pub config: LlamaConfig,
    /// Its weights.
    pub decoder: D,
    /// Its tokenizer.
    pub words: Bpe,
    /// What tells it from others.
    pub fingerprint: String,
}

/// What is known of a language model before its weights are read.
pub type About = Language<()>;

impl About {
    fn check(&self, path: &Path) -> Result<()> {
        if self.words.len() <= self.config.vocabulary {
            return Ok(());
        }
        let problem =
            format!("its tokenizer has {} tokens, its table {} rows", self.words.len(), self.config.vocabulary);
        Err(TrainerError::checkpoint(path.display().to_string(), problem, "download it again"))
    }

    fn with<D>(self, decoder: D) -> Language<D> {
        let Self { config, words, fingerprint, .. } = self;
        Language { config, decoder, words, fingerprint }
    }
}

impl Language {
    /// Loads a `.gguf` file, or a folder with `config.json`, `tokenizer.json` or `tokenizer.model`, and safetensors in one file or several;
    /// its weights are held in `precision`.
    ///
    /// # Errors
    /// When a file is missing, damaged, or of another architecture.
    pub fn load(path: &Path, precision: FloatDType, device: &Device) -> Result<Self> {
        read(path, |_, weights| weights.load(precision, device))
    }
}

impl Language<QuantizedLlama> {
    /// The same with its linear maps in 8 bits, and the changes in them that `changes` knows for it. The f32 weights are never in memory
    /// as a whole.
    ///
    /// # Errors
    /// As [`Language::load`], when the device is not the CPU, and what `changes` fails with.
    pub fn load_int8(
        path: &Path,
        changes: impl FnOnce(&About) -> Result<Option<Adapters>>,
        device: &Device,
    ) -> Result<Self> {
        read(path, |about, weights| QuantizedLlama::load(weights, changes(about)?.as_ref(), device))
    }
}

fn read<D>(
    path: &Path,
    decoder: impl FnOnce(&About, Published<'_, '_, TrainerError>) -> Result<D>,
) -> Result<Language<D>> {
    if path.is_dir() {
        return read_folder(path, decoder);
    }
    // Gigabytes of something else are not read.
    if fsx::start(path, 4)? != b"GGUF" {
        let mend = "give a .gguf file, or the folder of a Hugging Face model";
        return Err(TrainerError::checkpoint(path.display().to_string(), "it is not a GGUF file", mend));
    }
    let bytes = fsx::read(path, fsx::ANY)?;
    let file = Gguf::parse(&bytes, &path.display().to_string())?;
    let (config, words) = (LlamaConfig::from_gguf(&file)?, Bpe::from_gguf(&file)?);
    let fingerprint = fsx::sha256_hex(&bytes).chars().take(32).collect();
    let about = About { config, decoder: (), words, fingerprint };
    about.check(path)?;
    let decoder = decoder(&about, Published::gguf(&about.config, &mut |name| Ok(file.tensor(name)?)))?;
    Ok(about.with(decoder))
}

fn read_folder<D>(
    folder: &Path,
    decoder: impl FnOnce(&About, Published<'_, '_, TrainerError>) -> Result<D>,
) -> Result<Language<D>> {
    let config_path = folder.join("config.json");
    let json = fsx::read_text(&config_path, fsx::SMALL)?;
    let config = LlamaConfig::from_hugging_face(&json, &config_path.display().to_string())?;
    let words = folder_words(folder, &json)?;
    let mut source = Source::open(&[folder.to_path_buf()])?;
    // Hashing many gigabytes would take longer than loading them: both ends of every tensor tell checkpoints apart.
    let sampled = source.sample(SAMPLE)?;
    let about: Vec<String> = source
        .entries()
        .iter()
        .map(|(name, entry)| format!("{name} {:?} {}", entry.dims, entry.start))
        .chain([sampled, json])
        .chain(
            TOKENIZER
                .iter()
                .filter_map(|name| fsx::read(&folder.join(name), fsx::MIDDLE).ok())
                .map(|b| fsx::sha256_hex(&b)),
        )
        .collect();
    let fingerprint = fsx::sha256_hex(about.join("\n").as_bytes()).chars().take(32).collect();
    // InstructBLIP has the language model behind a name of its own.
    const INNER: &str = "language_model.";
    let prefix = if source.entries().keys().any(|name| name.starts_with(INNER)) { INNER } else { "" };
    let about = About { config, decoder: (), words, fingerprint };
    about.check(folder)?;
    let mut fetch = |name: &str| {
        let name = format!("{prefix}{name}");
        match source.entries().contains_key(&name) {
            true => source.read(&name).map(Some),
            false => Ok(None),
        }
    };
    let decoder = decoder(&about, Published::hugging_face(&about.config, &mut fetch))?;
    Ok(about.with(decoder))
}

/// Files of a folder's tokenizer.
const TOKENIZER: [&str; 5] =
    ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "added_tokens.json", TEMPLATE];
const TEMPLATE: &str = "chat_template.jinja";
/// Bytes of each end of a tensor that tell it from another model's.
const SAMPLE: usize = 4096;

/// The tokenizer of a folder: `tokenizer.json`, or else SentencePiece's `tokenizer.model`.
fn folder_words(folder: &Path, config: &str) -> Result<Bpe> {
    let place = folder.join("config.json").display().to_string();
    let wrong = |e: serde_json::Error| TrainerError::checkpoint(place, e.to_string(), "download it again");
    let config: serde_json::Value = serde_json::from_str(config).map_err(wrong)?;
    let path = folder.join(TOKENIZER[0]);
    let words = if !path.is_file() && folder.join(TOKENIZER[1]).is_file() {
        sentencepiece::read(folder, config)?
    } else {
        Bpe::from_hugging_face(&fsx::read_text(&path, fsx::MIDDLE)?, &config, &path.display().to_string())?
    };
    Ok(words.with_template(chat_template(folder)))
}

/// A folder's chat template: a file of its own, or the (default) one of `tokenizer_config.json`.
fn chat_template(folder: &Path) -> Option<String> {
    if let Ok(text) = fsx::read_text(&folder.join(TEMPLATE), fsx::SMALL) {
        return Some(text);
    }
    let config: serde_json::Value =
        serde_json::from_slice(&fsx::read(&folder.join(TOKENIZER[2]), fsx::MIDDLE).ok()?).ok()?;
    let named = |list: &Vec<serde_json::Value>| {
        let default = list.iter().find(|one| one["name"] == "default")?;
        default["template"].as_str().map(str::to_owned)
    };
    let template = &config["chat_template"];
    template.as_str().map(str::to_owned).or_else(|| template.as_array().and_then(named))
}

/// The same weights inside the gradient's graph, without gradients of their own.
pub fn frozen(decoder: &Llama) -> Llama {
    struct Wrap;
    impl ModuleMapper for Wrap {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(Tensor::from_inner)
        }
    }
    decoder.clone().no_grad().map(&mut Wrap).no_grad()
}
