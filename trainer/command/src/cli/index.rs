//! `thisbut index`: a gallery from a folder of images.

use anyhow::Result;
use std::path::{Path, PathBuf};
use thisbut_trainer::bundle_io::{Bundle, check_target};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::import::encoder::load_encoder_from;
use thisbut_trainer::index::engine::EngineEncoder;
use thisbut_trainer::index::{About, Options, Outcome, index};

/// Make a bundle from a folder of images: a searchable gallery with its model
///
/// Images are JPEG, PNG, WebP and GIF.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut index ~/photos --out my-gallery
  thisbut index ~/photos --csv titles.csv --title 'My shop' --suggest 'but in red' --out my-gallery")]
pub struct Args {
    /// The folder of images; folders inside it are entered.
    photos: PathBuf,
    /// The model that answers: a bundle's folder.
    #[arg(long, value_name = "BUNDLE", alias = "bundle", default_value = "exported")]
    model: PathBuf,
    /// The folder to write: a whole bundle with model and gallery, ready for the page. It is new, empty, or a bundle.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Titles and tags: a CSV with the columns file, title, tags [default: from the names of files and folders].
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    about: AboutArgs,
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
}

impl AboutArgs {
    /// As the library has it; `--suggest ''` means none.
    pub fn about(self) -> About {
        let suggestions = self.suggest.map(|texts| texts.into_iter().filter(|text| !text.trim().is_empty()).collect());
        About { title: self.title, licence: self.licence, suggestions }
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
        let bundle = Bundle::read_model(&self.model)?;
        let device = choose(self.device)?;
        let given = self.encoder.as_ref().map(|path| load_encoder_from(&bundle.config, path, &device)).transpose()?;
        let mut encoder = EngineEncoder::new(&bundle, given, &device)?;
        let options = Options { photos: self.photos, out: self.out, csv: self.csv, about: self.about.about() };
        let bar = super::progress("images");
        let done = index(&options, &bundle, &mut encoder, &mut |at, all| super::advance(&bar, at, all));
        bar.finish_and_clear();
        let outcome = done?;
        super::complain(&outcome.complaints, self.complaints);
        explain(&outcome);
        super::print(format_args!(
            "{}: {} images indexed, {} complaints, {} other files passed over",
            options.out.display(),
            outcome.indexed,
            outcome.complaints.len(),
            outcome.others
        ))
    }
}
