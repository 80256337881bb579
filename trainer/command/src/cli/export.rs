//! `thisbut export`: a checkpoint and a data set's images as a bundle that a page can use, or a checkpoint as others load it.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use thisbut_model::bundle::Form;
use thisbut_trainer::bundle_io::Bundle;
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::export::{Packing, Width, bundle, gather, stage, take_encoder};
use thisbut_trainer::footprint::{Bytes, Footprint, heading};
use thisbut_trainer::fsx;
use thisbut_trainer::import::blip2::Precision;
use thisbut_trainer::index::engine::EngineEncoder;
use thisbut_trainer::index::{Options, index};
use thisbut_trainer::publish::{self, Form as Layout, publish};
use thisbut_trainer::train::checkpoint;

/// Quantize a checkpoint and index a data set's images with it: weights, gallery and bundle.json in one folder. With --to: write
/// a BLIP-2 checkpoint back in the layout of LAVIS, SPRC or Hugging Face.
#[derive(clap::Args)]
pub struct Args {
    /// The checkpoint.
    #[arg(required_unless_present = "plan")]
    checkpoint: Option<PathBuf>,
    /// The data set whose gallery becomes the bundle's gallery.
    #[arg(long, required_unless_present_any = ["to", "plan"])]
    dataset: Option<PathBuf>,
    /// Only print what a preset (or a configuration file) would take in a browser, in every form and precision.
    #[arg(long, value_name = "PRESET", conflicts_with_all = ["checkpoint", "dataset", "to"])]
    plan: Option<String>,
    /// The data set's layout (default: told from its files).
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The split whose gallery it is.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// The folder to write.
    #[arg(long, default_value = "exported")]
    out: PathBuf,
    /// What a search may start from.
    #[arg(long, value_enum, default_value = "full")]
    form: FormArg,
    /// How weights are stored.
    #[arg(long, value_enum, default_value = "q8", visible_alias = "precision")]
    width: Width,
    /// Weights files hold at most so many megabytes.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    split_mb: u64,
    /// Write the bundle though no browser can hold it.
    #[arg(long)]
    force: bool,
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
    to: Option<Layout>,
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

/// [`Form`] on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum FormArg {
    /// From any image: the image encoder is in the bundle.
    Full,
    /// From the gallery's images alone: no image encoder; an image's tokens are fetched when it is chosen.
    GalleryReference,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        if let Some(preset) = &self.plan {
            return self.print_plan(preset);
        }
        let Some(checkpoint) = &self.checkpoint else { bail!("give a checkpoint, or --plan PRESET") };
        let Some(dataset) = &self.dataset else { return self.hand_back(checkpoint) };
        // From the checkpoint's header alone, before gigabytes are read.
        let described = checkpoint::open(checkpoint)?.header.config;
        let packing = self.packing(described.target_tokens)?;
        match Footprint::of(&described, packing)?.problem() {
            Some(problem) if !self.force => bail!("{problem}; or --force, to write it all the same"),
            Some(problem) => super::note(format_args!("as --force says: {problem}")),
            None => {}
        }
        let (config, mut tensors) = gather(checkpoint, &self.weights)?;
        let footprint = Footprint::of(&config, packing)?;
        let vocabulary = fsx::read_text(&self.weights.join("vocab.txt"))?;
        let device = choose(self.device)?;
        let encoder = match packing.form {
            Form::GalleryReference => Some(take_encoder(&config, &mut tensors, &device)?),
            Form::Full => None,
        };
        let made: Bundle = bundle(&config, tensors, packing, vocabulary)?;
        let (table, complaints) = DataSet::open(dataset, self.format)?.load(self.split, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        let staged = stage(dataset, &table, self.limit)?;
        let mut encoder = EngineEncoder::new(&made, encoder, &device)?;
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
        ))?;
        let gallery = footprint.image * outcome.indexed as u64;
        let visit = weights + made.manifest.vocab.file.bytes + gallery;
        super::print(format_args!(
            "first visit: {} in {} weights files and a gallery of {}, beside titles and thumbnails",
            Bytes(visit),
            made.manifest.weights.len(),
            Bytes(gallery)
        ))?;
        if let Some(reference) = footprint.reference {
            super::print(format_args!("each image that a search starts from: {}", Bytes(reference)))?;
        }
        super::print(format_args!("memory in the page: about {}", Bytes(footprint.memory + gallery)))?;
        if let Some(remark) = footprint.remark() {
            super::note(remark);
        }
        Ok(())
    }

    fn packing(&self, all: usize) -> Result<Packing> {
        let tokens = self.tokens.unwrap_or(all);
        if !(1..=all).contains(&tokens) {
            bail!("--tokens {tokens} for a model of {all}; give 1 to {all}");
        }
        let form = match self.form {
            FormArg::Full => Form::Full,
            FormArg::GalleryReference => Form::GalleryReference,
        };
        Ok(Packing { form, width: self.width, split: self.split_mb * 1_000_000, tokens })
    }

    fn print_plan(&self, preset: &str) -> Result<()> {
        let config = super::preset(preset)?;
        let packing = self.packing(config.target_tokens)?;
        super::print(heading())?;
        let mut remarks = Vec::new();
        for form in [Form::GalleryReference, Form::Full] {
            for width in [Width::Q4, Width::Q8] {
                let footprint = Footprint::of(&config, Packing { form, width, ..packing })?;
                super::print(&footprint)?;
                remarks.extend(footprint.problem());
            }
        }
        super::print(
            "a reference: fetched when an image is chosen; an image: the gallery's share; memory: of the page, about",
        )?;
        remarks.into_iter().try_for_each(super::print)
    }

    /// `--to`.
    fn hand_back(&self, checkpoint: &Path) -> Result<()> {
        let Some(form) = self.to else { bail!("give --dataset or --to") };
        if self.no_encoder && form == Layout::Hf {
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
        let files = publish(checkpoint, &self.weights, &self.out, &options, &mut |done, all| {
            super::advance(&bar, done as usize, all as usize);
        })?;
        bar.finish_and_clear();
        for file in files {
            super::print(file.display())?;
        }
        Ok(())
    }
}
