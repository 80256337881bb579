//! `thisbut index`: a gallery from a folder of images.

use anyhow::Result;
use std::path::PathBuf;
use thisbut_trainer::bundle_io::Bundle;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::import::encoder::load_encoder_from;
use thisbut_trainer::index::engine::EngineEncoder;
use thisbut_trainer::index::{Options, index};

/// Make a searchable gallery from a folder of images (JPEG, PNG, WebP, GIF) with a bundle's model.
#[derive(clap::Args)]
pub struct Args {
    /// The folder of images; folders inside it are entered.
    photos: PathBuf,
    /// The bundle whose model is used.
    #[arg(long, default_value = "exported")]
    bundle: PathBuf,
    /// The folder to write: a whole bundle with model and gallery, ready for the page.
    #[arg(long)]
    out: PathBuf,
    /// Titles and tags: a CSV with the columns file, title, tags (default: titles from file names).
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Name of the collection (default: the folder's name).
    #[arg(long)]
    title: Option<String>,
    /// Licence and origin of the images.
    #[arg(long, default_value = "")]
    licence: String,
    /// A modification text that the page offers; may be given several times.
    #[arg(long)]
    suggest: Vec<String>,
    /// The image encoder's weights, for a bundle without one (form gallery-reference): the file that `import` wrote, or its
    /// folder.
    #[arg(long)]
    encoder: Option<PathBuf>,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
    /// Images left out to name.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let bundle = Bundle::read_model(&self.bundle)?;
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
        super::complain(&outcome.complaints, self.limit);
        super::print(format_args!(
            "{}: {} images indexed, {} complaints, {} other files passed over",
            options.out.display(),
            outcome.indexed,
            outcome.complaints.len(),
            outcome.others
        ))
    }
}
