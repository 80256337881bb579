//! `thisbut generator filter`: the round trip over a finished file.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut_generator::round_trip::{RoundTrip, Rule, filter};
use thisbut_generator::texts;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::retriever::Retriever;
use thisbut_trainer::{fsx, ranges};

/// Keep the triplets whose target a retrieval model finds from the reference and the text
///
/// The model ranks every image that the triplets name, the reference left out; a triplet stays when its target is among the
/// first --rank. Those left out go to `….left-out.jsonl` with their rank, the counts, at other ranks too, to
/// `….report.json`. The file itself stays, so that another rank can be tried.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut generator filter runs/triplets.jsonl --checkpoint runs/finetune/final.safetensors \\
    --features data/fluent/web-s.features --out runs/kept.jsonl")]
pub struct Args {
    /// Generated triplets: a file of `thisbut generator generate`.
    triplets: PathBuf,
    /// A checkpoint of `thisbut finetune` or `thisbut pretrain`: the retrieval model.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The cache of `thisbut features`, of the checkpoint's image encoder.
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// The last rank that passes the round trip.
    #[arg(long, default_value_t = 10, value_parser = ranges::count)]
    rank: usize,
    /// The reverse text must find the reference from the target, too.
    #[arg(long)]
    both: bool,
    /// Rank the images of this list of pairs too, as `thisbut generator generate` does with its --pairs.
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The folder of base weights.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let beside = |path: &PathBuf| fsx::beside(path, "left-out.jsonl");
        if beside(&self.out) == beside(&self.triplets) {
            bail!("--out {}: would replace what lies beside the triplets; give another name", self.out.display());
        }
        let mut images = texts::images(&self.triplets)?;
        if let Some(pairs) = &self.pairs {
            images.extend(super::generate::images(pairs)?);
        }
        let device = choose(self.device)?;
        let retriever = Retriever::load(&self.checkpoint, &self.weights, &device)?;
        let features = retriever.features(&self.features, &self.weights)?;
        let bar = crate::cli::progress("images");
        let rule = Rule { rank: self.rank, both: self.both };
        let trip = RoundTrip::new(&retriever, &features, images, rule, &mut |done, all| {
            crate::cli::advance(&bar, done, all);
        })?;
        bar.finish_and_clear();
        let bar = crate::cli::progress("triplets");
        let (found, complaints) = filter(&trip, &self.triplets, &self.out, &mut |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        super::complain(&complaints);
        for at in &found.round_trip.kept_at {
            let share = 100.0 * at.kept as f64 / found.triplets.max(1) as f64;
            crate::cli::note(format_args!("rank {}: {} would stay ({share:.1} %)", at.rank, at.kept));
        }
        crate::cli::print(format_args!(
            "{}: {} of {} triplets, rank {} over {} images",
            self.out.display(),
            found.kept,
            found.triplets,
            self.rank,
            found.round_trip.gallery
        ))
    }
}
