//! `thisbut import`: published BLIP-2, SPRC and MTST_PTHA checkpoints.

use anyhow::Result;
use std::path::PathBuf;
use thisbut_model::number::NumberFormat;
use thisbut_trainer::import::blip2::{grouped, plan};
use thisbut_trainer::import::{encoder_path, source::Source};
use thisbut_trainer::tensor_file::FORMATS;

/// Read a published checkpoint into an image encoder and a checkpoint to start from
///
/// Reads LAVIS (`blip2_pretrained.pth` with `eva_vit_g.pth`), SPRC and MTST_PTHA (`.pt`), and Hugging Face BLIP-2
/// (safetensors, sharded or not, or the model's folder), in f32, f16 or bf16. Nothing in a file is run.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut fetch blip2
  thisbut import data/checkpoints/blip2/*.pth --out data/weights/blip2.safetensors")]
pub struct Args {
    /// The checkpoint's files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A preset or a configuration file: that which the checkpoint was made for.
    #[arg(long, default_value = "blip2-vit-g")]
    preset: String,
    /// The checkpoint to write, for `finetune --start` and `evaluate --checkpoint`.
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// The folder of base weights, which the image encoder goes to.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// The number format of what is written: of the image encoder.
    #[arg(long, alias = "precision", value_parser = FORMATS.parser(), default_value = "f16")]
    store: NumberFormat,
    /// Load what there is, and start the rest afresh.
    #[arg(long)]
    partial: bool,
    /// Only say what would be used, left and missing.
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let config = super::preset(&self.preset)?;
        let mut source = Source::open(&self.files)?;
        let plan = plan(&source, &config)?;
        for (what, names) in [
            ("used", &plan.used),
            ("left, having no place here", &plan.left),
            ("started afresh, as checkpoints of this kind lack them", &plan.fresh),
            ("missing", &plan.missing),
        ] {
            super::note(format_args!("{} tensors {what}", names.len()));
            for group in grouped(names) {
                super::note(format_args!("  {group}"));
            }
        }
        if !self.partial {
            let place: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
            plan.check_whole(&place.join(", "))?;
        }
        let Some(out) = self.out.filter(|_| !self.dry_run) else { return Ok(()) };
        if plan.has_encoder() {
            let path = encoder_path(&config, &self.weights);
            let bar = super::progress_bytes();
            plan.write_encoder(&mut source, &config, self.store, &path, &mut |done, all| {
                super::advance(&bar, done as usize, all as usize);
            })?;
            bar.finish_and_clear();
            super::print(path.display())?;
        }
        plan.write_checkpoint(&mut source, &config, &out)?;
        super::print(out.display())
    }
}
