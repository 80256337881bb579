//! `thisbut export`: a checkpoint and a data set's images as a bundle that a page can use, or a checkpoint as others load it.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use thisbut::bundle_io::Bundle;
use thisbut::data::{DataSet, Format, LoadOptions, Split};
use thisbut::device::{DeviceKind, choose};
use thisbut::export::{Width, bundle, gather, stage};
use thisbut::fsx;
use thisbut::import::blip2::Precision;
use thisbut::index::engine::EngineEncoder;
use thisbut::index::{Options, index};
use thisbut::publish::{self, Form, publish};

/// Quantize a checkpoint and index a data set's images with it: weights, gallery and bundle.json in one folder. With --to: write
/// a BLIP-2 checkpoint back in the layout of LAVIS, SPRC or Hugging Face.
#[derive(clap::Args)]
pub struct Args {
    /// The checkpoint.
    checkpoint: PathBuf,
    /// The data set whose gallery becomes the bundle's gallery.
    #[arg(long, required_unless_present = "to")]
    dataset: Option<PathBuf>,
    /// The data set's layout (default: told from its files).
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The split whose gallery it is.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// The folder to write.
    #[arg(long, default_value = "exported")]
    out: PathBuf,
    /// How weights are stored.
    #[arg(long, value_enum, default_value = "q8")]
    width: Width,
    /// Target tokens an image that the gallery keeps, the first of the model's N (default: all).
    #[arg(long)]
    tokens: Option<usize>,
    /// The folder of `fetch-weights`.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// Name of the gallery.
    #[arg(long, default_value = "")]
    title: String,
    /// Licence and origin of the images.
    #[arg(long, default_value = "")]
    licence: String,
    /// A modification text that the page offers; may be given several times.
    #[arg(long)]
    suggest: Vec<String>,
    /// Images in the gallery at most, evenly chosen.
    #[arg(long)]
    limit: Option<usize>,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
    /// Write the checkpoint in this layout instead, to --out: a folder for hf, else a file.
    #[arg(long, value_enum, conflicts_with = "dataset")]
    to: Option<Form>,
    /// How --to stores numbers (default: as they are stored here).
    #[arg(long, value_enum, requires = "to")]
    dtype: Option<Precision>,
    /// Leave the image encoder out of --to lavis or sprc; LAVIS keeps it in a file of its own.
    #[arg(long, requires = "to")]
    no_encoder: bool,
    /// The class whose state dict --to sprc says it is.
    #[arg(long, default_value = "Blip2QformerCirAlignPrompt")]
    class: String,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let Some(dataset) = &self.dataset else { return self.hand_back() };
        let (config, tensors) = gather(&self.checkpoint, &self.weights)?;
        let vocabulary = fsx::read_text(&self.weights.join("vocab.txt"))?;
        let all = config.qformer.query_tokens;
        let kept = self.tokens.unwrap_or(all);
        if !(1..=all).contains(&kept) {
            bail!("--tokens {kept} for a model of {all}; give 1 to {all}");
        }
        let made: Bundle = bundle(&config, &tensors, self.width, kept, vocabulary)?;
        let (table, complaints) = DataSet::open(dataset, self.format)?.load(self.split, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        let staged = stage(dataset, &table, self.limit)?;
        let mut encoder = EngineEncoder(made.engine(&choose(self.device)?)?);
        let options = Options {
            photos: staged.photos.clone(),
            out: self.out,
            csv: Some(staged.titles.clone()),
            title: self.title,
            licence: self.licence,
            suggestions: self.suggest,
        };
        let bar = super::progress("images");
        let outcome = index(&options, &made, &mut encoder, &mut |done, all| super::advance(&bar, done, all))?;
        bar.finish_and_clear();
        super::complain(&outcome.complaints, 20);
        let weights: u64 = made.manifest.weights.iter().map(|w| w.file.bytes).sum();
        super::print(format_args!(
            "{}: {} images, weights of {:.1} MB",
            options.out.display(),
            outcome.indexed,
            weights as f64 / 1e6
        ))
    }
    /// `--to`.
    fn hand_back(&self) -> Result<()> {
        let Some(form) = self.to else { bail!("give --dataset or --to") };
        if self.no_encoder && form == Form::Hf {
            bail!(
                "--no-encoder: Hugging Face's class holds the image encoder; leave the option out, or use --to lavis"
            );
        }
        publish::check_class(&self.class)?;
        let options = publish::Options {
            form,
            class: self.class.clone(),
            precision: self.dtype,
            encoder: !self.no_encoder,
            shard: publish::SHARD,
        };
        // `exported` is where bundles go.
        if self.out == Path::new("exported") {
            bail!("--to: give --out too, a folder for hf, else a file such as model.pth");
        }
        let bar = super::progress_bytes();
        let files = publish(&self.checkpoint, &self.weights, &self.out, &options, &mut |done, all| {
            super::advance(&bar, done as usize, all as usize);
        })?;
        bar.finish_and_clear();
        for file in files {
            super::print(file.display())?;
        }
        Ok(())
    }
}
