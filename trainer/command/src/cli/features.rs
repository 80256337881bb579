//! `thisbut features`: the frozen encoder over a data set's images, once.

use anyhow::Result;
use std::collections::BTreeMap;
use std::path::PathBuf;
use thisbut_model::number::NumberFormat;
use thisbut_trainer::data::{Format, LoadOptions, extra, pictures};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::features::{self, STORES, Store};
use thisbut_trainer::import;
use thisbut_trainer::tensor_file::FORMATS;
use thisbut_trainer::train::checkpoint;

/// Compute the image tokens of a data set or folder once, into a cache that training reads
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut features data/fluent
  thisbut features data/cirr --preset blip2-vit-g --device cuda --encoder-precision f16")]
pub struct Args {
    /// The data set's folder, or a folder of images without annotations.
    dataset: PathBuf,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Further images that are in no split of the data set: a folder, or a split file (JSON: name to path).
    #[arg(long, value_name = "FOLDER")]
    images: Vec<PathBuf>,
    /// A preset or a configuration file.
    #[arg(long, default_value = "web-s")]
    preset: String,
    /// Encode with the image encoder of this checkpoint, of which a part was trained, or adapters in it.
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "preset")]
    checkpoint: Option<PathBuf>,
    /// The folder of base weights.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// The file to write [default: PRESET.features in the data set's folder].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The number format of what is written.
    #[arg(long, value_parser = STORES.parser(), default_value = "f16")]
    store: NumberFormat,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
    /// What the image encoder computes in, where it is a vision transformer; on a CPU f32 is the fastest.
    #[arg(long, value_name = "PRECISION", value_parser = FORMATS.parser(), default_value = "f32")]
    encoder_precision: NumberFormat,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut trained = self.checkpoint.as_deref().map(checkpoint::open).transpose()?;
        let config = match &trained {
            Some(reader) => reader.header.config.clone(),
            None => super::preset(&self.preset)?,
        };
        let out = self.out.unwrap_or_else(|| super::features_path(&self.dataset, &config));
        let (pictures, complaints) = pictures::load(&self.dataset, self.format, None)?;
        super::complain(&complaints, 20);
        let mut files: BTreeMap<String, PathBuf> =
            pictures.into_iter().map(|picture| (picture.name, picture.path)).collect();
        for source in &self.images {
            let (images, complaints) = extra::images(source, &self.dataset, &LoadOptions::default())?;
            super::complain(&complaints, 20);
            for image in images {
                files.entry(image.name).or_insert(image.path);
            }
        }
        let files: Vec<(String, PathBuf)> = files.into_iter().collect();
        let device = choose(self.device)?;
        let (encoder, fingerprint) = match (&mut trained, &self.checkpoint) {
            (Some(reader), Some(path)) => {
                import::adapted::load((reader, path.as_path()), &self.weights, self.encoder_precision, &device)?
            }
            _ => (
                import::load_image_encoder_in(&config, &self.weights, self.encoder_precision, &device)?,
                import::encoder_fingerprint(&config, &self.weights)?,
            ),
        };
        let bar = super::progress("images");
        let job = features::Job {
            images: &files,
            config: &config,
            store: Store::try_from(self.store)?,
            fingerprint,
            computing: format!("{:?} {:?}", self.device, self.encoder_precision),
        };
        let built = features::build(
            &out,
            &job,
            &encoder,
            &device,
            &mut |done, all| super::advance(&bar, done, all),
            &mut |said| bar.suspend(|| super::note(said)),
        )?;
        bar.finish_and_clear();
        let found = if built.found { ", there already" } else { "" };
        let left_out = match built.left_out {
            0 => String::new(),
            count => format!("; {count} could not be read, and training and evaluation will ask for them"),
        };
        super::print(format_args!("{}: {} images{found}{left_out}", out.display(), built.images))
    }
}
