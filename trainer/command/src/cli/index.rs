//! `thisbut index`: a gallery from a folder of images.

use super::export::{FormArg, Packed, footprint};
use super::suggest::Offers;
use anyhow::{Result, bail};
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use thisbut_model::bundle::{Form, MAX_UNDERSTANDS};
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_trainer::bundle_io::{Bundle, MANIFEST, check_target};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::export::{STORES, bundle, take_encoder};
use thisbut_trainer::footprint::{Bytes, PAGE};
use thisbut_trainer::import::encoder::load_encoder_from;
use thisbut_trainer::index::engine::EngineEncoder;
use thisbut_trainer::index::walk::walk;
use thisbut_trainer::index::{About, Options, Outcome, index};
use thisbut_trainer::unpacked::Unpacked;

/// Make a bundle from a folder of images: a searchable gallery with its model
///
/// Images are JPEG, PNG, WebP and GIF. The model is a bundle's, or one that is packed on the way: published weights as `thisbut
/// fetch` brought them, or a checkpoint that `thisbut import` or training wrote.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut index ~/photos --out my-gallery
  thisbut index ~/photos --csv titles.csv --title 'My shop' --suggest 'but in red' --out my-gallery
  thisbut index ~/photos --model data/checkpoints/tinyclip --out my-gallery")]
pub struct Args {
    /// The folder of images; folders inside it are entered.
    photos: PathBuf,
    /// The model that answers: a bundle's folder, published weights, or a checkpoint.
    ///
    /// The model that answers: a bundle's folder; the folder that `thisbut fetch tinyclip` wrote; or a checkpoint, with the image
    /// encoder and the vocabulary in its own folder or in --weights.
    #[arg(long, value_name = "MODEL", alias = "bundle", default_value = "exported")]
    model: PathBuf,
    /// The folder to write: a whole bundle with model and gallery, ready for the page. It is new, empty, or a bundle.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Titles and tags: a CSV with the columns file, title, tags [default: from the names of files and folders].
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    about: AboutArgs,
    #[command(flatten)]
    offers: Offers,
    /// The image encoder's weights, for a bundle without one.
    ///
    /// The image encoder's weights, for a bundle without one (form gallery-reference): the file that `thisbut import` wrote,
    /// or its folder.
    #[arg(long, value_name = "FILE")]
    encoder: Option<PathBuf>,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
    /// Complaints to print: images that were left out.
    #[arg(long, value_name = "N", alias = "limit", default_value_t = 20)]
    complaints: usize,
    #[command(flatten, next_help_heading = "Packing a model that is no bundle")]
    pack: Pack,
}

/// How a model that is no bundle yet is packed.
#[derive(clap::Args)]
struct Pack {
    /// What a search may start from: any image, or an image of the gallery [default: full].
    #[arg(long, value_enum)]
    form: Option<FormArg>,
    /// The number format of what is written [default: q8].
    #[arg(long, value_parser = STORES.parser())]
    store: Option<NumberFormat>,
    #[command(flatten)]
    packed: Packed,
    /// Write the bundle though no browser can hold it.
    #[arg(long)]
    force: bool,
    /// The folder of base weights [default: the checkpoint's own folder].
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    weights: Option<PathBuf>,
    /// A preset or a configuration file, for published weights of no preset's sizes.
    #[arg(long, hide_short_help = true)]
    preset: Option<String>,
}

/// A text that says what a model understands: a line or two.
pub fn understood(text: &str) -> Result<String, String> {
    match text.len() {
        0..=MAX_UNDERSTANDS if !text.contains(char::is_control) => Ok(text.trim().to_owned()),
        0..=MAX_UNDERSTANDS => Err("is more than one line".into()),
        bytes => Err(format!("has {bytes} bytes, more than {MAX_UNDERSTANDS}")),
    }
}

/// What people read of a gallery.
#[derive(clap::Args)]
pub struct AboutArgs {
    /// Title of what is written: the gallery's name [default: the bundle's that is there, or the folder's name].
    #[arg(long)]
    title: Option<String>,
    /// Licence and origin of the images [default: the bundle's that is there].
    #[arg(long)]
    licence: Option<String>,
    /// A modification text that the page offers; may be given several times [default: the bundle's that is there].
    #[arg(long, value_name = "TEXT")]
    suggest: Option<Vec<String>>,
    /// What the model understands, for people: kind of images; model and training data; licence [default: as it says itself].
    #[arg(long, value_name = "TEXT", value_parser = understood)]
    understands: Option<String>,
}

impl AboutArgs {
    /// As the library has it; `--suggest ''` means none.
    pub fn about(self) -> About {
        let suggestions = self.suggest.map(|texts| texts.into_iter().filter(|text| !text.trim().is_empty()).collect());
        About { title: self.title, licence: self.licence, suggestions, understands: self.understands }
    }
}

/// Says what was removed.
pub fn swept(path: &Path) {
    super::note(format_args!("removed {}, which a run that was killed had left", path.display()));
}

/// Says what became of the folder that was there.
pub fn explain(outcome: &Outcome) {
    outcome.swept.iter().for_each(|path| swept(path));
    if !outcome.kept.is_empty() {
        super::note(format_args!("kept from the bundle that was there: {}", outcome.kept.join(", ")));
    }
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        check_target(&self.out)?;
        let device = choose(self.device)?;
        // The images are counted once more while they are indexed: what a first visit takes is said before.
        let images = walk(&self.photos, &self.out)?.photos.len() as u64;
        let (bundle, mut encoder) = match self.model.join(MANIFEST).is_file() {
            true => self.of_bundle(images, &device)?,
            false => self.pack(images, &device)?,
        };
        let options = Options { photos: self.photos, out: self.out, csv: self.csv, about: self.about.about() };
        let bar = super::progress("images");
        let done = index(&options, &bundle, &mut encoder, &mut |at, all| super::advance(&bar, at, all));
        bar.finish_and_clear();
        let outcome = done?;
        super::complain(&outcome.complaints, self.complaints);
        explain(&outcome);
        // What people read is written by now.
        self.offers.make(&options.out, &About::default(), &device)?;
        super::print(format_args!(
            "{}: {} images indexed, {} complaints, {} other files passed over",
            options.out.display(),
            outcome.indexed,
            outcome.complaints.len(),
            outcome.others
        ))
    }

    /// A bundle's model.
    fn of_bundle(&self, images: u64, device: &Device) -> Result<(Bundle, EngineEncoder)> {
        if self.pack.is_given() {
            bail!(
                "{}: is a bundle, whose weights are packed already; leave --form, --store and the other options of packing out",
                self.model.display()
            );
        }
        let bundle = Bundle::read_model(&self.model)?;
        say_visit(&bundle, images);
        let given = self.encoder.as_ref().map(|path| load_encoder_from(&bundle.config, path, device)).transpose()?;
        let encoder = EngineEncoder::new(&bundle, given, device)?;
        Ok((bundle, encoder))
    }

    /// A model that is packed now.
    fn pack(&self, images: u64, device: &Device) -> Result<(Bundle, EngineEncoder)> {
        if self.encoder.is_some() {
            bail!("--encoder: is for a bundle without an image encoder; {} is no bundle", self.model.display());
        }
        let named = self.pack.preset.as_deref().map(super::preset).transpose()?;
        let model = Unpacked::open(&self.model, self.pack.weights.as_deref(), named)?;
        let form = self.pack.form.unwrap_or(FormArg::Full);
        let packing = self.pack.packed.packing(&model.config, form, self.pack.store.unwrap_or(NumberFormat::Q8))?;
        let footprint = footprint(&model.config, packing, self.pack.force)?;
        super::note(format_args!(
            "{}, packed as {} in the form {}",
            footprint.name,
            footprint.format,
            footprint.form.name()
        ));
        let (vocabulary, understands) = (model.vocabulary.clone(), model.understands.clone());
        let gallery = images * footprint.image;
        visit(footprint.weights_bytes(), vocabulary.len() as u64, gallery);
        super::note(format_args!("memory in the page: about {}", Bytes(footprint.memory + gallery)));
        footprint.remark().into_iter().for_each(super::note);
        let (config, mut tensors) = model.read()?;
        let encoder: Option<ImageEncoder> = match packing.form {
            Form::GalleryReference => Some(take_encoder(&config, &mut tensors, device)?),
            Form::Full => None,
        };
        let mut made = bundle(&config, tensors, packing, vocabulary)?;
        made.manifest.understands = understands;
        let encoder = EngineEncoder::new(&made, encoder, device)?;
        Ok((made, encoder))
    }
}

impl Pack {
    fn is_given(&self) -> bool {
        let of_model = self.weights.is_some() || self.preset.is_some();
        self.form.is_some() || self.store.is_some() || self.force || self.packed.is_given() || of_model
    }
}

/// Says what a first visit to a bundle of `images` images will fetch.
fn say_visit(bundle: &Bundle, images: u64) {
    let weights = bundle.manifest.weights.iter().map(|entry| entry.file.bytes).sum();
    let row = 4 + bundle.manifest.gallery.width as u64;
    visit(weights, bundle.manifest.vocab.file.bytes, images * bundle.manifest.gallery.tokens as u64 * row);
}

fn visit(weights: u64, vocabulary: u64, gallery: u64) {
    super::note(format_args!(
        "first visit: about {} (page and engine {}, weights {}, vocabulary {}, gallery {}), beside titles and thumbnails",
        Bytes(PAGE + weights + vocabulary + gallery),
        Bytes(PAGE),
        Bytes(weights),
        Bytes(vocabulary),
        Bytes(gallery)
    ));
}
