//! `thisbut index`: a gallery from a folder of images.

use anyhow::Result;
use std::path::PathBuf;
use thisbut_trainer::bundle_io::Bundle;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::import::encoder::load_encoder_from;
use thisbut_trainer::index::engine::EngineEncoder;
use thisbut_trainer::index::{Options, index};

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
    /// The folder to write: a whole bundle with model and gallery, ready for the page.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Titles and tags: a CSV with the columns file, title, tags [default: titles from file names].
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Title of what is written: the gallery's name [default: the folder's name].
    #[arg(long)]
    title: Option<String>,
    /// Licence and origin of the images.
    #[arg(long, default_value = "", hide_default_value = true)]
    licence: String,
    /// A modification text that the page offers; may be given several times.
    #[arg(long, value_name = "TEXT")]
    suggest: Vec<String>,
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

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let bundle = Bundle::read_model(&self.model)?;
        let device = choose(self.device)?;
        let given = self.encoder.as_ref().map(|path| load_encoder_from(&bundle.config, path, &device)).transpose()?;
        let mut encoder = EngineEncoder::new(&bundle, given, &device)?;
        let named = self.photos.canonicalize().ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
        let options = Options {
            title: self.title.or(named).unwrap_or_default(),
            photos: self.photos,
            out: self.out,
            csv: self.csv,
            licence: self.licence,
            suggestions: self.suggest,
        };
        let bar = super::progress("images");
        let done = index(&options, &bundle, &mut encoder, &mut |at, all| super::advance(&bar, at, all));
        bar.finish_and_clear();
        let outcome = done?;
        super::complain(&outcome.complaints, self.complaints);
        super::print(format_args!(
            "{}: {} images indexed, {} complaints, {} other files passed over",
            options.out.display(),
            outcome.indexed,
            outcome.complaints.len(),
            outcome.others
        ))
    }
}
