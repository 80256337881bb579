//! `thisbut export`: a checkpoint and a data set's images as a bundle that a page can use.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut_model::bundle::{Form, Manifest};
use thisbut_model::number::NumberFormat;
use thisbut_model::quant::CodeWidth;
use thisbut_trainer::bundle_io::{Bundle, MANIFEST, check_target, manifest_of};
use thisbut_trainer::card::{self, Made};
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::export::{Packing, STORES, bundle, gather, stage, take_encoder};
use thisbut_trainer::footprint::{Bytes, Footprint};
use thisbut_trainer::fsx;
use thisbut_trainer::index::engine::EngineEncoder;
use thisbut_trainer::index::{Options, index};
use thisbut_trainer::ranges;
use thisbut_trainer::train::checkpoint;

/// Make a bundle from a checkpoint and a data set's images
///
/// Weights are quantized, the images become the gallery: both and bundle.json lie in one folder that a page can use. What it
/// would take in a browser, `thisbut footprint` says before.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut export runs/finetune/final.safetensors --dataset data/fluent --out my-bundle")]
pub struct Args {
    /// The checkpoint.
    checkpoint: PathBuf,
    /// The data set's folder, for the gallery.
    #[arg(long, value_name = "FOLDER")]
    dataset: PathBuf,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// Which split's gallery.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// The folder to write.
    #[arg(long, value_name = "FOLDER", default_value = "exported")]
    out: PathBuf,
    /// What a search may start from: any image, or an image of the gallery.
    #[arg(long, value_enum, default_value = "full")]
    form: FormArg,
    /// The number format of what is written.
    #[arg(long, value_parser = STORES.parser(), default_value = "q8", aliases = ["width", "precision"])]
    store: NumberFormat,
    #[command(flatten)]
    packed: Packed,
    /// Write the bundle though no browser can hold it.
    #[arg(long)]
    force: bool,
    /// The folder of base weights.
    #[arg(long, default_value = "data/weights", hide_short_help = true)]
    weights: PathBuf,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
    /// At most so many images in the gallery, evenly chosen.
    #[arg(long, value_name = "N", value_parser = ranges::count, help_heading = GALLERY)]
    limit: Option<usize>,
    #[command(flatten, next_help_heading = GALLERY)]
    about: super::index::AboutArgs,
}

const GALLERY: &str = "Gallery";

/// How a bundle is cut, whatever its form and number format.
#[derive(clap::Args)]
pub struct Packed {
    /// Target tokens of an image, the first so many of the model's N [default: all].
    #[arg(long, value_name = "N", alias = "tokens", value_parser = ranges::count)]
    target_tokens: Option<usize>,
    /// Megabytes that a weights file holds at most.
    #[arg(long, value_name = "MB", alias = "split-mb", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub file_mb: u64,
}

impl Packed {
    /// The target tokens of an image that the gallery keeps, for a model of `all`.
    pub fn tokens(&self, all: usize) -> Result<usize> {
        let tokens = self.target_tokens.unwrap_or(all);
        if !(1..=all).contains(&tokens) {
            bail!("--target-tokens {tokens} for a model of {all}; give 1 to {all}");
        }
        Ok(tokens)
    }
}

/// Bytes.
pub fn megabytes(count: u64) -> u64 {
    count * 1_000_000
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
        check_target(&self.out)?;
        let (checkpoint, dataset) = (&self.checkpoint, &self.dataset);
        // From the checkpoint's header alone, before gigabytes are read.
        let header = checkpoint::open(checkpoint)?.header;
        let described = header.config.clone();
        let packing = self.packing(described.target_tokens)?;
        match Footprint::of(&described, packing)?.problem() {
            Some(problem) if !self.force => bail!("{problem}; or --force, to write it all the same"),
            Some(problem) => super::note(format_args!("as --force says: {problem}")),
            None => {}
        }
        let (config, mut tensors) = gather(checkpoint, &self.weights)?;
        let footprint = Footprint::of(&config, packing)?;
        let vocabulary = fsx::read_text(&self.weights.join("vocab.txt"), fsx::SMALL)?;
        header.check_vocabulary(checkpoint, &fsx::sha256_hex(vocabulary.as_bytes()))?;
        let device = choose(self.device)?;
        let encoder = match packing.form {
            Form::GalleryReference => Some(take_encoder(&config, &mut tensors, &device)?),
            Form::Full => None,
        };
        let made: Bundle = bundle(&config, tensors, packing, vocabulary)?;
        let (table, complaints) = DataSet::open(dataset, self.format)?.load(self.split, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        let staged = stage(dataset, &table, self.limit, &self.out)?;
        staged.swept.iter().for_each(|path| super::index::swept(path));
        let mut encoder = EngineEncoder::new(&made, encoder, &device)?;
        let mut about = self.about.about();
        // The images lie in a folder of ours, whose name says nothing.
        let named = dataset.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        if about.title.is_none() && manifest_of(&self.out).is_none_or(|earlier| earlier.gallery.title.is_empty()) {
            about.title = named;
        }
        let options = Options { photos: staged.photos.clone(), out: self.out, csv: Some(staged.titles.clone()), about };
        let bar = super::progress("images");
        let outcome = index(&options, &made, &mut encoder, &mut |done, all| super::advance(&bar, done, all))?;
        bar.finish_and_clear();
        super::complain(&outcome.complaints, 20);
        let manifest = Manifest::parse(&fsx::read(&options.out.join(MANIFEST), fsx::SMALL)?)?;
        let sha256 = fsx::sha256_of(checkpoint)?;
        let source = Made { checkpoint, sha256: &sha256, header: &header, gallery: dataset, manifest: &manifest };
        fsx::write_atomic(&options.out.join(card::NAME), card::card(&source).as_bytes())?;
        super::index::explain(&outcome);
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
        let form = match self.form {
            FormArg::Full => Form::Full,
            FormArg::GalleryReference => Form::GalleryReference,
        };
        let (split, tokens) = (megabytes(self.packed.file_mb), self.packed.tokens(all)?);
        Ok(Packing { form, width: CodeWidth::of(self.store)?, split, tokens })
    }
}
