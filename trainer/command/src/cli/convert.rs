//! `thisbut convert`: a checkpoint as others load it.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use thisbut_model::number::NumberFormat;
use thisbut_trainer::partial;
use thisbut_trainer::publish::{self, Form, publish};
use thisbut_trainer::tensor_file::FORMATS;

/// Write a checkpoint in the layout of LAVIS, SPRC, Hugging Face or ConText-CIR
///
/// The way back from `thisbut import`: others' programs load what it writes. It is for BLIP-2's architectures, for dual encoders
/// (hf), and for concept models in the form of ConText-CIR's code (context).
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut convert runs/finetune/final.safetensors --to hf --out runs/hugging-face
  thisbut convert runs/finetune/final.safetensors --to sprc --out runs/model.pt")]
pub struct Args {
    /// The checkpoint.
    checkpoint: PathBuf,
    /// Whose layout.
    #[arg(long, value_name = "LAYOUT", value_enum)]
    to: Form,
    /// What to write: a folder for hf, else a file such as model.pth.
    #[arg(long)]
    out: PathBuf,
    /// The folder of base weights.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// The number format of what is written [default: that of the files at hand].
    #[arg(long, alias = "dtype", value_parser = FORMATS.parser())]
    store: Option<NumberFormat>,
    /// Leave the image encoder out of lavis or sprc; LAVIS keeps it in a file of its own.
    #[arg(long)]
    no_encoder: bool,
    /// The class whose state dict sprc says it is.
    #[arg(long, default_value = "Blip2QformerCirAlignPrompt")]
    class: String,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        if self.no_encoder && matches!(self.to, Form::Hf | Form::Context) {
            bail!("--no-encoder: this layout's class holds the image encoder; leave the option out, or use --to lavis");
        }
        publish::check_class(&self.class)?;
        let options = publish::Options {
            form: self.to,
            class: self.class,
            precision: self.store,
            encoder: !self.no_encoder,
            shard: publish::SHARD,
        };
        // A conversion that was killed may have left gigabytes, inside the folder or beside the file.
        for folder in [self.out.parent().unwrap_or(Path::new(".")), self.out.as_path()] {
            partial::sweep(folder, &mut |line| super::note(line));
        }
        let bar = super::progress_bytes();
        let files = publish(&self.checkpoint, &self.weights, &self.out, &options, &mut |done, all| {
            super::advance(&bar, done as usize, all as usize);
        })?;
        bar.finish_and_clear();
        files.iter().try_for_each(|file| super::print(file.display()))
    }
}
