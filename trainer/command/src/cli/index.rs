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
use thisbut_trainer::fsx;
use thisbut_trainer::import::encoder::load_encoder_from;
use thisbut_trainer::index::engine::EngineEncoder;
use thisbut_trainer::index::near::THRESHOLD;
use thisbut_trainer::index::upload::{Files, List};
use thisbut_trainer::index::walk::walk;
use thisbut_trainer::index::{About, Again, Near, Options, Outcome, index, state};
use thisbut_trainer::terminal::line;
use thisbut_trainer::unpacked::Unpacked;

/// Make a bundle from a folder of images: a searchable gallery with its model
///
/// Images are JPEG, PNG, WebP and GIF. The model is a bundle's, or one that is packed on the way: published weights as `thisbut
/// fetch` brought them, or a checkpoint that `thisbut import` or training wrote. Again on the same output, only what changed is
/// encoded and written.
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
    /// encoder and the vocabulary in its own folder, in data/weights, or in --weights.
    #[arg(long, value_name = "MODEL", alias = "bundle", default_value = "exported")]
    model: PathBuf,
    /// The folder to write: a whole bundle with model and gallery, ready for the page. It is new, empty, or a bundle.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Titles and tags: a CSV with the columns file, title, tags [default: from the names of files and folders].
    ///
    /// Titles and tags: a CSV with the columns file, title, tags [default: from the names of files and folders]. Its other columns,
    /// such as id, link and price, are published with the images. `thisbut prepare catalogue` reads such tables too, and writes one,
    /// titles.csv.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    again: AgainArgs,
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

/// What is taken over from the bundle that is there, and what is left out.
#[derive(clap::Args)]
struct AgainArgs {
    /// Take nothing over from the bundle that is there: encode every photo.
    #[arg(long)]
    fresh: bool,
    /// List the files that are new, changed or deleted beside the bundle that was there; with =FILE, into a file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    upload_list: Option<Option<PathBuf>>,
    /// What becomes of near-duplicates.
    #[arg(long, value_enum, default_value_t)]
    duplicates: DuplicatesArg,
    /// Similarity of what the image encoder sees, from which on two images are near-duplicates; at most 1.
    #[arg(long, value_name = "S", default_value_t = THRESHOLD, value_parser = similarity, hide_short_help = true)]
    duplicate_similarity: f32,
}

/// What becomes of near-duplicates.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum DuplicatesArg {
    /// They are named.
    #[default]
    Report,
    /// They are named, and one of each group is indexed: the largest.
    Remove,
    /// They are not looked for.
    Keep,
}

fn similarity(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if number > 0.0 && number <= 1.0 => Ok(number),
        _ => Err("is no number above 0, to 1".into()),
    }
}

impl AgainArgs {
    fn again(&self) -> Again {
        if self.fresh { Again::Fresh } else { Again::Changed }
    }

    fn near(&self) -> Near {
        match self.duplicates {
            DuplicatesArg::Report => Near::Report(self.duplicate_similarity),
            DuplicatesArg::Remove => Near::Remove(self.duplicate_similarity),
            DuplicatesArg::Keep => Near::Keep,
        }
    }

    /// Says what was taken over, and which images are alike.
    fn explain(&self, outcome: &Outcome, most: usize) {
        if let Some(why) = &outcome.anew {
            super::note(format_args!("everything was indexed anew: {}", line(why)));
        }
        let renames = outcome.renamed.iter().map(|(from, to)| format!("{} is now {}", line(from), line(to)));
        super::complain(&renames.collect::<Vec<_>>(), most);
        let (encoded, kept) = (outcome.encoded, outcome.indexed.saturating_sub(outcome.encoded));
        if kept > 0 {
            super::note(format_args!("{encoded} photos encoded, {kept} taken over"));
        }
        let alike = outcome.duplicates.iter().flat_map(|group| {
            group.others.iter().map(|other| match other.copy {
                true => format!("{} is the same file as {}", line(&other.id), line(&group.kept)),
                false => format!("{} looks like {} ({:.3})", line(&other.id), line(&group.kept), other.similarity),
            })
        });
        let alike: Vec<String> = alike.collect();
        if !alike.is_empty() {
            let end = match self.duplicates {
                DuplicatesArg::Remove => "are left out of the gallery; the files stay",
                _ => "are indexed; --duplicates remove leaves them out",
            };
            super::note(format_args!("{} near-duplicates of {} images {end}", alike.len(), outcome.duplicates.len()));
            super::complain(&alike, most);
        }
    }
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
    /// The folder of base weights [default: the checkpoint's own folder, or data/weights].
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
        let (again, near, about) = (self.again.again(), self.again.near(), self.about.about());
        let options = Options { photos: self.photos, out: self.out, csv: self.csv, about, again, near };
        let before = Files::of(&options.out);
        let bar = super::progress("images");
        let done = index(&options, &bundle, &mut encoder, &mut |at, all| super::advance(&bar, at, all));
        bar.finish_and_clear();
        let outcome = done?;
        super::complain(&outcome.complaints, self.complaints);
        explain(&outcome);
        self.again.explain(&outcome, self.complaints);
        if !outcome.extra.is_empty() {
            super::note(format_args!("published with each image, from the table: {}", line(&outcome.extra.join(", "))));
        }
        let offers = self.offers.name();
        if outcome.completed.as_ref() == Some(&offers) {
            super::note("nothing has changed");
        } else {
            // What people read is written by now.
            self.offers.make(&options.out, &About::default(), &device)?;
            state::complete(&options.out, &offers)?;
        }
        let done = format!(
            "{}: {} images indexed, {} complaints, {} other files passed over",
            options.out.display(),
            outcome.indexed,
            outcome.complaints.len(),
            outcome.others
        );
        let Some(to) = self.again.upload_list else { return super::print(done) };
        let list = List::between(&before, &Files::of(&options.out));
        super::note(format_args!("to upload: {} files of {}", list.new.len() + list.changed.len(), Bytes(list.bytes)));
        match to {
            Some(path) => {
                fsx::write_atomic(&path, list.to_string().as_bytes())?;
                super::print(done)
            }
            // The list alone is the answer.
            None => {
                super::note(done);
                super::print(list.to_string().trim_end())
            }
        }
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
        model.assumed.iter().for_each(super::note);
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
