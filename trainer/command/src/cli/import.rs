//! `thisbut import`: published BLIP-2, SPRC and MTST_PTHA checkpoints, dual encoders, and bundles.

use anyhow::Result;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{Activation, TextConfig};
use thisbut_model::number::NumberFormat;
use thisbut_trainer::bundle_io::{self, Bundle};
use thisbut_trainer::error::TrainerError;
use thisbut_trainer::fetch::origin;
use thisbut_trainer::import::plan::{Plan, grouped};
use thisbut_trainer::import::{blip2, bundle, dual, encoder_path, merges, source::Source};
use thisbut_trainer::tensor_file::FORMATS;
use thisbut_trainer::{fsx, partial};

/// What a BLIP-2 checkpoint is taken for where no preset is named.
const BLIP2: &str = "blip2-vit-g";

/// Read a published checkpoint into an image encoder and a checkpoint to start from
///
/// Reads LAVIS (`blip2_pretrained.pth` with `eva_vit_g.pth`), SPRC and MTST_PTHA (`.pt`), Hugging Face BLIP-2, and dual encoders:
/// CLIP (Hugging Face, OpenAI's state dicts, OpenCLIP), BLIP for retrieval (Hugging Face, Salesforce's `.pth`) and ConText-CIR (Lightning's
/// `.ckpt`). Files are safetensors, sharded or not, PyTorch's, or a model's folder, in f32, f16 or bf16. Nothing in a file is run. A bundle's folder gives
/// the model that its page answers with: training goes on from it.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut fetch tinyclip
  thisbut import data/checkpoints/tinyclip --out data/weights/tinyclip.safetensors
  thisbut import exported --out runs/shipped.safetensors")]
pub struct Args {
    /// The checkpoint's files, or its folder.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A preset or a configuration file: that which the checkpoint was made for [default: of a dual encoder, the preset of its
    /// shapes; else blip2-vit-g].
    #[arg(long)]
    preset: Option<String>,
    /// The checkpoint to write, for `finetune --start` and `evaluate --checkpoint`.
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// The folder of base weights, which the image encoder and the list of merges go to.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// CLIP's list of merges: merges.txt, tokenizer.json or bpe_simple_vocab_16e6.txt[.gz] [default: that beside the checkpoint, or
    /// in --weights].
    #[arg(long, value_name = "FILE")]
    merges: Option<PathBuf>,
    /// The activation of CLIP's towers, for a state dict without config.json that is not OpenAI's.
    #[arg(long, value_enum, value_name = "NAME")]
    activation: Option<Choice>,
    /// The number format of what is written: of the image encoder [default: f16; of a dual encoder, the file's own].
    #[arg(long, alias = "precision", value_parser = FORMATS.parser())]
    store: Option<NumberFormat>,
    /// What the model understands, for people: kind of images; model and training data; licence [default: as fetched].
    #[arg(long, value_name = "TEXT", value_parser = super::index::understood)]
    understands: Option<String>,
    /// Load what there is, and start the rest afresh.
    #[arg(long)]
    partial: bool,
    /// Of a bundle: let image tokens tell the colours of their cells too. The model answers as before until it is trained further.
    #[arg(long)]
    colours: bool,
    /// Only say what would be used, left and missing.
    #[arg(long)]
    dry_run: bool,
}

/// An activation on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Choice {
    /// OpenAI's x · σ(1.702 x).
    QuickGelu,
    /// The exact x · Φ(x), as most of OpenCLIP's.
    Gelu,
}

/// A checkpoint's configuration, what becomes of its tensors, and its list of merges where it has one.
struct Found {
    config: RetrievalConfig,
    plan: Plan,
    merges: Option<String>,
    store: NumberFormat,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        if let [folder] = &self.files[..]
            && bundle_io::is_bundle(folder)
        {
            return self.run_bundle(folder);
        }
        if self.colours {
            return Err(self.without_colours().into());
        }
        let mut source = Source::open(&self.files)?;
        let Found { config, mut plan, merges, store } = self.find(&source)?;
        plan.understands = self.understands(&config)?;
        for (what, names) in [
            ("used", &plan.used),
            ("left, having no place here", &plan.left),
            ("started afresh, as checkpoints of this kind lack them", &plan.fresh),
            ("missing", &plan.missing),
        ] {
            super::note(format_args!("{} tensors {what}", names.len()));
            for group in grouped(names) {
                super::note(format_args!("  {group}"));
            }
        }
        if !self.partial {
            let place: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
            plan.check_whole(&place.join(", "))?;
        }
        let Some(out) = self.out.as_ref().filter(|_| !self.dry_run) else { return Ok(()) };
        // An import that was killed may have left gigabytes.
        for folder in [out.parent().unwrap_or(Path::new(".")), self.weights.as_path()] {
            partial::sweep(folder, &mut |line| super::note(line));
        }
        if let Some(merges) = merges {
            super::print(merges::keep(&merges, &self.weights)?.display())?;
        }
        if plan.has_encoder() {
            let path = encoder_path(&config, &self.weights);
            let bar = super::progress_bytes();
            plan.write_encoder(&mut source, &config, store, &path, &mut |done, all| {
                super::advance(&bar, done as usize, all as usize);
            })?;
            bar.finish_and_clear();
            super::print(path.display())?;
        }
        plan.write_checkpoint(&mut source, &config, out)?;
        super::print(out.display())?;
        self.describe(&config, out)
    }

    /// A bundle has its own configuration and number formats: options that say others are refused.
    fn run_bundle(&self, folder: &Path) -> Result<()> {
        let given = [
            ("--preset", self.preset.is_some()),
            ("--merges", self.merges.is_some()),
            ("--activation", self.activation.is_some()),
            ("--store", self.store.is_some()),
            ("--understands", self.understands.is_some()),
            ("--partial", self.partial),
        ];
        if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
            let problem = format!("{} is a bundle, which says this itself", folder.display());
            return Err(TrainerError::settings(*option, problem, "leave it out").into());
        }
        let bundle = Bundle::read_model(folder)?;
        let Some(out) = self.out.as_ref().filter(|_| !self.dry_run) else {
            super::note(format_args!("a bundle of preset {}", bundle.config.name));
            return Ok(());
        };
        let written = bundle::write(&bundle, &self.weights, self.colours, out)?;
        for path in std::iter::once(&written.vocabulary).chain(&written.encoder).chain([out]) {
            super::print(path.display())?;
        }
        self.describe(&written.config, out)
    }

    /// Writes `config` beside `out` where it is not the preset of its name: other commands ask for it.
    fn describe(&self, config: &RetrievalConfig, out: &Path) -> Result<()> {
        let known = RetrievalConfig::preset_names().contains(&config.name.as_str());
        let named = match (&self.preset, known) {
            (Some(given), _) => Some(super::preset(given)?),
            (None, true) => Some(super::preset(&config.name)?),
            (None, false) => None,
        };
        if named.as_ref() == Some(config) {
            return Ok(());
        }
        let path = out.with_extension("json");
        fsx::write_atomic(&path, format!("{}\n", serde_json::to_string_pretty(config)?).as_bytes())?;
        super::note(format_args!(
            "the architecture is not that of a preset {}: give other commands --preset {}",
            config.name,
            path.display()
        ));
        super::print(path.display())
    }

    fn find(&self, source: &Source) -> Result<Found> {
        let named = self.preset.as_deref().map(super::preset).transpose()?;
        let Some(layout) = dual::layout(source) else {
            let config = named.map_or_else(|| super::preset(BLIP2), Ok)?;
            let plan = blip2::plan(source, &config)?;
            return Ok(Found { config, plan, merges: None, store: self.store.unwrap_or(NumberFormat::F16) });
        };
        let mut config = dual::configure(source, layout, &self.files, named)?;
        if let Some(choice) = self.activation {
            let activation = match choice {
                Choice::QuickGelu => Activation::QuickGelu,
                Choice::Gelu => Activation::Gelu,
            };
            dual::set_activation(&mut config, activation)?;
        }
        super::note(format_args!("{}, preset {}", layout.name(), config.name));
        let assumed = dual::assumed(layout, &self.files, &config).filter(|_| self.activation.is_none());
        assumed.into_iter().for_each(super::note);
        let plan = dual::plan(source, &config, layout)?;
        let merges = match config.text {
            TextConfig::Bpe { vocabulary, .. } => Some(self.merges(vocabulary)?),
            TextConfig::WordPiece { .. } => None,
        };
        let store = self.store.unwrap_or_else(|| plan.encoder_format(source));
        Ok(Found { config, plan, merges, store })
    }

    /// What the model understands: as given, or as `thisbut fetch` wrote it down.
    fn understands(&self, config: &RetrievalConfig) -> Result<Option<String>> {
        let known = match &self.understands {
            Some(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            None => origin::beside(&self.files)?,
        };
        if known.is_none() && self.understands.is_none() && config.method.family().is_dual_encoder() {
            super::note("what the model was trained on is not known; --understands says it to the visitors of a page");
        }
        Ok(known)
    }

    /// The list of merges: given, beside the checkpoint, or in the folder of base weights.
    fn merges(&self, vocabulary: usize) -> Result<String> {
        let kept = self.weights.join(merges::FILE);
        let kept = || Some(kept.clone()).filter(|path| path.is_file());
        let path = self.merges.clone().or_else(|| merges::beside(&self.files)).or_else(kept);
        match path {
            Some(path) => Ok(merges::read(&path, vocabulary)?),
            None => Err(self.without_merges().into()),
        }
    }

    fn without_colours(&self) -> TrainerError {
        let problem = "the files are no bundle: only a bundle's model is widened";
        TrainerError::settings("--colours", problem, "leave it out, or give a bundle's folder")
    }

    fn without_merges(&self) -> TrainerError {
        let place = self.files.first().map_or(Path::new(""), PathBuf::as_path).display().to_string();
        TrainerError::checkpoint(
            place,
            "its tokenizer's list of merges is missing: texts could not be read",
            "put the model's merges.txt beside it, or give --merges FILE (OpenAI's bpe_simple_vocab_16e6.txt.gz will do)",
        )
    }
}
