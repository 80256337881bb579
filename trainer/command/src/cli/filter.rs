//! `thisbut filter`: the rules over a finished file of triplets.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use thisbut_generator::filters::captions::{CaptionRules, EQUAL, SIMILARITY};
use thisbut_generator::filters::file::{Filtered, Pass, Rules};
use thisbut_generator::round_trip::{RoundTrip, Rule};
use thisbut_generator::texts;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::retriever::Retriever;
use thisbut_trainer::sentences::Sentences;
use thisbut_trainer::{fsx, ranges};

/// SynCir's threshold.
const THRESHOLD: f32 = 0.7;

/// Keep the triplets whose text fits: by their captions (SynCir), by a retrieval model (round trip)
///
/// Two captions that say the same leave a triplet out, and so does a similarity below --similarity, between the sum of the
/// reference caption's and the text's sentence vectors and the target caption's. With --checkpoint a retrieval model ranks
/// every image that the triplets name, the reference left out; a triplet stays when its target is among the first --rank.
/// A run that was stopped goes on where it was: every similarity and rank lies in `….journal.jsonl` at once, and nothing is
/// judged twice, at other thresholds neither. Another model judges anew.
/// Those left out go to `….left-out.jsonl` with what the rule found, the counts, at other thresholds too, to
/// `….report.json`. The file itself stays, so that other thresholds can be tried.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut filter runs/triplets.jsonl --out runs/kept.jsonl
  thisbut filter runs/triplets.jsonl --checkpoint runs/finetune/final.safetensors \\
    --features data/fluent/web-s.features --out runs/kept.jsonl")]
pub struct Args {
    /// Triplets: a file of `thisbut rewrite` or `thisbut generator generate`.
    triplets: PathBuf,
    /// The lowest similarity that stays [default: 0.7, or with --checkpoint not asked for].
    ///
    /// The lowest similarity that stays, above 0 and up to 1. [default: 0.7; with --checkpoint the rules of captions apply only when
    /// it is given]
    #[arg(long, value_name = "COSINE", value_parser = ranges::SHARE.parser::<f32>())]
    similarity: Option<f32>,
    /// A checkpoint of `thisbut finetune` or `thisbut pretrain`: the retrieval model of the round trip.
    #[arg(long, requires = "features")]
    checkpoint: Option<PathBuf>,
    /// The cache of `thisbut features`, of the checkpoint's image encoder.
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    features: Option<PathBuf>,
    /// The last rank that passes the round trip.
    #[arg(long, default_value_t = 10, value_parser = ranges::count)]
    rank: usize,
    /// The reverse text must find the reference from the target, too.
    #[arg(long, requires = "checkpoint")]
    both: bool,
    /// Rank the images of this list of pairs too, as `thisbut generator generate` does with its --pairs.
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    pairs: Option<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The folder of base weights, with the sentence encoder.
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
        let inputs = [Some(&self.triplets), self.checkpoint.as_ref(), self.features.as_ref(), self.pairs.as_ref()];
        let inputs: Vec<&Path> = inputs.into_iter().flatten().map(PathBuf::as_path).collect();
        let _lock = super::synthesis::hold(&self.out, &inputs)?;
        let device = choose(self.device)?;
        let threshold = self.similarity.or(self.checkpoint.is_none().then_some(THRESHOLD));
        let captions = match threshold {
            Some(threshold) => Some(CaptionRules::new(Sentences::load(&self.weights, &device)?, threshold)),
            None => None,
        };
        let (Some(checkpoint), Some(features)) = (&self.checkpoint, &self.features) else {
            return self.pass(Rules { captions, round_trip: None });
        };
        let mut images = texts::images(&self.triplets)?;
        if let Some(pairs) = &self.pairs {
            images.extend(super::generator::generate::images(pairs)?);
        }
        let retriever = Retriever::load(checkpoint, &self.weights, &device)?;
        let features = retriever.features(features, &self.weights)?;
        let bar = super::progress("images");
        let rule = Rule { rank: self.rank, both: self.both };
        let trip = RoundTrip::new(&retriever, &features, images, rule, &mut |done, all| {
            super::advance(&bar, done, all);
        })?;
        bar.finish_and_clear();
        self.pass(Rules { captions, round_trip: Some(&trip) })
    }

    fn pass(&self, rules: Rules) -> Result<()> {
        let pass = Pass::open(rules, &self.out)?;
        tell(&pass);
        let bar = super::progress("triplets");
        let (found, complaints) = pass.run(&self.triplets, &mut |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        super::generator::complain(&complaints);
        say(&found);
        let mut rules = Vec::new();
        if let Some(captions) = &found.captions {
            let left = |rule: &str| found.left_out.get(rule).copied().unwrap_or(0);
            rules.push(format!(
                "{} {EQUAL}, {} {SIMILARITY} below {}",
                left(EQUAL),
                left(SIMILARITY),
                captions.threshold
            ));
        }
        if let Some(trip) = &found.round_trip {
            rules.push(format!("rank {} over {} images", self.rank, trip.gallery));
        }
        let (kept, all) = (found.kept, found.triplets);
        super::print(format_args!("{}: {kept} of {all} triplets, {}", self.out.display(), rules.join(", ")))
    }
}

/// What earlier runs have found, and whether it counts.
fn tell(pass: &Pass) {
    let place = pass.journal().display();
    match pass.earlier() {
        (0, 0) => {}
        (0, others) => super::note(format_args!(
            "{place}: what it has ({others}) was found by another model or over other images; every triplet is judged anew"
        )),
        (own, _) => super::note(format_args!("{place}: {own} judgements of earlier runs are used again")),
    }
}

/// How many would stay at other thresholds.
fn say(found: &Filtered) {
    let stay = |what: String, kept: usize| {
        let share = 100.0 * kept as f64 / found.triplets.max(1) as f64;
        super::note(format_args!("{what}: {kept} would stay ({share:.1} %)"));
    };
    for at in found.captions.iter().flat_map(|captions| &captions.kept_at) {
        stay(format!("similarity {}", at.similarity), at.kept);
    }
    for at in found.round_trip.iter().flat_map(|trip| &trip.kept_at) {
        stay(format!("rank {}", at.rank), at.kept);
    }
}
