//! `thisbut export`: a checkpoint and a data set's images as a bundle that a page can use.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::{Form, Manifest};
use thisbut_model::number::NumberFormat;
use thisbut_model::quant::CodeWidth;
use thisbut_model::retrieval::MODEL_PREFIX;
use thisbut_trainer::bundle_io::{Bundle, MANIFEST, check_target, manifest_of};
use thisbut_trainer::card::{self, Made};
use thisbut_trainer::compress;
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::export::{Packing, STORES, bundle, gather, stage, take_encoder};
use thisbut_trainer::footprint::{Bytes, Footprint};
use thisbut_trainer::fsx;
use thisbut_trainer::import;
use thisbut_trainer::index::engine::EngineEncoder;
use thisbut_trainer::index::rows::gallery_rows;
use thisbut_trainer::index::{About, Again, Near, Options, index};
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
    /// Dimensions that are kept of query and target tokens, the principal ones of the gallery [default: all].
    #[arg(long, value_name = "P", value_parser = ranges::count, help_heading = GALLERY)]
    projection: Option<usize>,
    /// At most so many images in the gallery, evenly chosen.
    #[arg(long, value_name = "N", value_parser = ranges::count, help_heading = GALLERY)]
    limit: Option<usize>,
    #[command(flatten, next_help_heading = GALLERY)]
    about: super::index::AboutArgs,
    #[command(flatten, next_help_heading = GALLERY)]
    offers: super::suggest::Offers,
}

const GALLERY: &str = "Gallery";

/// How a bundle is cut, whatever its form and number format.
#[derive(clap::Args)]
pub struct Packed {
    /// Target tokens of an image, the first so many of the model's N [default: all].
    #[arg(long, value_name = "N", alias = "tokens", value_parser = ranges::count)]
    target_tokens: Option<usize>,
    /// Megabytes that a weights file holds at most [default: 64].
    #[arg(long, value_name = "MB", alias = "split-mb")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    file_mb: Option<u64>,
}

/// See [`Packed::split`].
const FILE_MB: u64 = 64;

impl Packed {
    /// The target tokens of an image that the gallery keeps, for a model of `all`.
    pub fn tokens(&self, all: usize) -> Result<usize> {
        let tokens = self.target_tokens.unwrap_or(all);
        if !(1..=all).contains(&tokens) {
            bail!("--target-tokens {tokens} for a model of {all}; give 1 to {all}");
        }
        Ok(tokens)
    }

    /// Most bytes of tensors in a weights file.
    pub fn split(&self) -> u64 {
        self.file_mb.unwrap_or(FILE_MB) * 1_000_000
    }

    /// How a model of `config` is packed.
    pub fn packing(&self, config: &RetrievalConfig, form: FormArg, store: NumberFormat) -> Result<Packing> {
        let form = match form {
            FormArg::Full => Form::Full,
            FormArg::GalleryReference => Form::GalleryReference,
        };
        let (split, tokens) = (self.split(), self.tokens(config.target_tokens)?);
        Ok(Packing { form, width: CodeWidth::of(store)?, split, tokens })
    }

    /// Whether anything was asked for.
    pub fn is_given(&self) -> bool {
        self.target_tokens.is_some() || self.file_mb.is_some()
    }
}

/// What a model takes that is packed so; refuses what no browser can hold, unless forced.
pub fn footprint(config: &RetrievalConfig, packing: Packing, force: bool) -> Result<Footprint> {
    let footprint = Footprint::of(config, packing)?;
    match footprint.problem() {
        Some(problem) if !force => bail!("{problem}; or --force, to write it all the same"),
        Some(problem) => super::note(format_args!("as --force says: {problem}")),
        None => {}
    }
    Ok(footprint)
}

/// [`Form`] on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum FormArg {
    /// From any image: the image encoder is in the bundle.
    Full,
    /// From the gallery's images alone: no image encoder; an image's tokens are fetched when it is chosen.
    GalleryReference,
}

/// What the model makes of the pictures in `photos`.
fn rows(photos: &Path, mut encoder: EngineEncoder, config: &RetrievalConfig) -> Result<Vec<f32>> {
    let bar = super::progress("images, for the axes");
    let told = &mut |done, all| super::advance(&bar, done, all);
    let rows = gallery_rows(photos, &config.preprocess, &mut encoder, told)?;
    bar.finish_and_clear();
    Ok(rows)
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        check_target(&self.out)?;
        let (checkpoint, dataset) = (&self.checkpoint, &self.dataset);
        // From the checkpoint's header alone, before gigabytes are read.
        let header = checkpoint::open(checkpoint)?.header;
        let mut described = header.config.clone();
        if let Some(width) = self.projection {
            compress::narrow_shape(&mut described, width)?;
        }
        let packing = self.packed.packing(&described, self.form, self.store)?;
        let footprint = footprint(&described, packing, self.force)?;
        let (mut config, mut tensors) = gather(checkpoint, &self.weights)?;
        let vocabulary = import::vocabulary(&config, &self.weights)?;
        header.check_vocabulary(checkpoint, &fsx::sha256_hex(vocabulary.as_bytes()))?;
        let device = choose(self.device)?;
        let encoder = match packing.form {
            Form::GalleryReference => Some(take_encoder(&config, &mut tensors, &device)?),
            Form::Full => None,
        };
        let (table, complaints) = DataSet::open(dataset, self.format)?.load(self.split, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        let staged = stage(dataset, &table, self.limit, &self.out)?;
        staged.swept.iter().for_each(|path| super::index::swept(path));
        if let Some(width) = self.projection {
            let whole = Packing { width: None, ..packing };
            let whole = bundle(&config, tensors.clone(), whole, vocabulary.clone())?;
            let rows = rows(&staged.photos, EngineEncoder::new(&whole, encoder.clone(), &device)?, &config)?;
            let axes = compress::principal_axes(&rows, config.projection, width)?;
            compress::narrow(&mut config, &mut tensors, MODEL_PREFIX, &axes, width)?;
        }
        let mut made: Bundle = bundle(&config, tensors, packing, vocabulary)?;
        made.manifest.understands = header.understands.clone().unwrap_or_default();
        let mut encoder = EngineEncoder::new(&made, encoder, &device)?;
        let mut about = self.about.about();
        // The images lie in a folder of ours, whose name says nothing.
        let named = dataset.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        if about.title.is_none() && manifest_of(&self.out).is_none_or(|earlier| earlier.gallery.title.is_empty()) {
            about.title = named;
        }
        let options = Options {
            photos: staged.photos.clone(),
            out: self.out,
            csv: Some(staged.titles.clone()),
            about,
            again: Again::Never,
            near: Near::Keep,
        };
        let bar = super::progress("images");
        let outcome = index(&options, &made, &mut encoder, &mut |done, all| super::advance(&bar, done, all))?;
        bar.finish_and_clear();
        let left_out = outcome.complaints.iter().map(|complaint| staged.at_origin(&table, complaint.clone()));
        super::complain(&left_out.collect::<Vec<_>>(), 20);
        self.offers.make(&options.out, &About::default(), &device)?;
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
}
