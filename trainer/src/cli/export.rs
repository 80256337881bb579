//! `thisbut export`: a checkpoint and a data set's images as a bundle that a page can use.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut::bundle_io::Bundle;
use thisbut::data::{DataSet, Format, LoadOptions, Split};
use thisbut::device::{DeviceKind, choose};
use thisbut::export::{Width, bundle, gather, stage};
use thisbut::fsx;
use thisbut::index::engine::EngineEncoder;
use thisbut::index::{Options, index};

/// Quantize a checkpoint and index a data set's images with it: weights, gallery and bundle.json in one folder.
#[derive(clap::Args)]
pub struct Args {
    /// The checkpoint.
    checkpoint: PathBuf,
    /// The data set whose gallery becomes the bundle's gallery.
    #[arg(long)]
    dataset: PathBuf,
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
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let (config, tensors) = gather(&self.checkpoint, &self.weights)?;
        let vocabulary = fsx::read_text(&self.weights.join("vocab.txt"))?;
        let all = config.qformer.query_tokens;
        let kept = self.tokens.unwrap_or(all);
        if !(1..=all).contains(&kept) {
            bail!("--tokens {kept} for a model of {all}; give 1 to {all}");
        }
        let made: Bundle = bundle(&config, &tensors, self.width, kept, vocabulary)?;
        let (table, complaints) =
            DataSet::open(&self.dataset, self.format)?.load(self.split, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        let staged = stage(&self.dataset, &table, self.limit)?;
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
}
