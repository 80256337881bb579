//! `thisbut generator generate`: modification texts for pairs of images, forward and reverse.

use anyhow::{Result, bail};
use burn::tensor::Device;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use thisbut_generator::asked;
use thisbut_generator::produce::{Asked, Job, produce};
use thisbut_generator::round_trip::{RoundTrip, Rule};
use thisbut_generator::runtime::{Decoder, Decoding, Strategy};
use thisbut_generator::{About, Language, PRECISIONS, Speaker, Trained, check_precision};
use thisbut_model::number::NumberFormat;
use thisbut_trainer::data::json_rows;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::features::Features;
use thisbut_trainer::retriever::Retriever;
use thisbut_trainer::{fsx, import, ranges};

/// Write texts for pairs with a trained generator: triplets for pretraining
///
/// A run that was stopped goes on where it was. Without --sampling-temperature the likeliest text is searched for.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut generator generate --pairs runs/pairs.jsonl --generator runs/generator/final.safetensors \\
    --features data/fluent/web-s.features --out runs/triplets.jsonl")]
pub struct Args {
    /// The pairs: one {"reference", "target"} a line, as `thisbut generator pairs` writes them.
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
    /// A checkpoint of `thisbut generator train`.
    #[arg(long, value_name = "CHECKPOINT")]
    generator: PathBuf,
    /// The cache of `thisbut features`.
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// The file to write: one {"reference", "target", "modifier_generated", "modifier_reversed"} a line.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The language model that the generator was trained with.
    #[arg(long, value_name = "MODEL", default_value = super::LLM)]
    llm: PathBuf,
    /// The folder of base weights.
    #[arg(long, default_value = "data/weights", hide_short_help = true)]
    weights: PathBuf,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
    /// What the texts are computed in; int8: the language model's maps in 8 bits, several times as fast on a CPU.
    ///
    /// What the texts are computed in; int8: the language model's maps in 8 bits. That is several times as fast on a CPU, and
    /// its texts differ in places.
    #[arg(long, value_parser = PRECISIONS.parser(), default_value = "f32")]
    precision: NumberFormat,
    /// Pairs that are answered together.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = ranges::count)]
    batch: usize,
    /// Pairs that are written together; a kill costs at most these.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = ranges::count, hide_short_help = true)]
    part: usize,
    /// This machine's share of the pairs, such as 2/8: the second of eight.
    #[arg(long, value_parser = share)]
    share: Option<(usize, usize)>,
    /// Hypotheses of the beam search; 1 is greedy (published code: 5).
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = beams, help_heading = TEXTS)]
    beams: usize,
    /// Exponent of the length that a hypothesis' score is divided by.
    #[arg(long, value_name = "EXPONENT", default_value_t = 1.0, help_heading = TEXTS, hide_short_help = true)]
    #[arg(value_parser = ranges::EXPONENT.parser::<f32>())]
    length_penalty: f32,
    /// Draw texts at this temperature instead of searching for the likeliest.
    #[arg(long, value_name = "T", alias = "temperature", help_heading = TEXTS)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f32>())]
    sampling_temperature: Option<f32>,
    /// With --sampling-temperature: the share of the probability that is drawn from.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, help_heading = TEXTS, hide_short_help = true)]
    #[arg(value_parser = ranges::SHARE.parser::<f32>())]
    top_p: f32,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1, help_heading = TEXTS, hide_short_help = true)]
    seed: u64,
    /// Penalty on tokens that a text has already.
    #[arg(long, value_name = "PENALTY", default_value_t = 1.5, help_heading = TEXTS, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f32>())]
    repetition_penalty: f32,
    /// Tokens that a text has at least.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = TEXTS)]
    min_tokens: usize,
    /// Tokens that a text has at most (published code: 256) [default: as many as the generator was trained on].
    #[arg(long, value_name = "N", value_parser = tokens, help_heading = TEXTS)]
    max_tokens: Option<usize>,
    /// Tokens that a text should have: the end is less likely before, likelier after.
    #[arg(long, value_name = "N", alias = "target-tokens", value_parser = tokens, help_heading = TEXTS)]
    preferred_tokens: Option<usize>,
    /// Leave out the pairs whose target this retrieval model does not find from the reference and the text.
    ///
    /// Leave out the pairs whose target this retrieval model does not find from the reference and the text: a checkpoint of
    /// `thisbut finetune` or `thisbut pretrain` on the same features. It ranks every image of --pairs, the reference left out.
    #[arg(long, value_name = "CHECKPOINT", help_heading = ROUND_TRIP)]
    round_trip: Option<PathBuf>,
    /// The last rank that passes the round trip.
    #[arg(long, alias = "round-trip-rank", default_value_t = 10, requires = "round_trip", help_heading = ROUND_TRIP)]
    #[arg(value_parser = ranges::count)]
    rank: usize,
    /// The reverse text must find the reference from the target, too.
    #[arg(long, alias = "round-trip-both", requires = "round_trip", help_heading = ROUND_TRIP)]
    both: bool,
}

const TEXTS: &str = "Texts";
const ROUND_TRIP: &str = "Round trip";

fn share(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    parts.filter(|(a, b)| *a >= 1 && a <= b).ok_or_else(|| format!("'{text}' is not a share such as 2/8"))
}

fn beams(text: &str) -> Result<usize, String> {
    ranges::counted(text, 64)
}

fn tokens(text: &str) -> Result<usize, String> {
    ranges::counted(text, 1 << 16)
}

impl Args {
    /// `trained` tokens of a text are what the generator was trained on.
    fn decoding(&self, trained: usize) -> Decoding {
        let strategy = match self.sampling_temperature {
            Some(temperature) => Strategy::Sample { temperature, top_p: self.top_p, seed: self.seed },
            None if self.beams == 1 => Strategy::Greedy,
            None => Strategy::Beam { beams: self.beams, length_penalty: self.length_penalty },
        };
        Decoding {
            strategy,
            repetition_penalty: self.repetition_penalty,
            least: self.min_tokens,
            most: self.max_tokens.unwrap_or(trained),
            target: self.preferred_tokens,
        }
    }

    /// Runs the command.
    pub fn run(self: Box<Self>) -> Result<()> {
        // What the options say is checked before anything is loaded.
        self.decoding(self.min_tokens.max(1)).check()?;
        let device = choose(self.device)?;
        check_precision(self.precision, self.device, &device)?;
        let features = Features::open(&self.features)?;
        let (pairs, images) = self.asked(&features)?;
        let mut trained = Trained::load(&self.generator, &device)?;
        if self.precision == NumberFormat::Int8 {
            let changes = |about: &About| trained.changes(about, &self.generator);
            let language = Language::load_int8(&self.llm, changes, &device)?;
            return self.generate(&pairs, images, trained, &language, &device);
        }
        let precision = self.precision.float()?;
        let mut language = Language::load(&self.llm, precision, &device)?;
        if let Some(changes) = trained.changes(&language, &self.generator)? {
            language.decoder = changes.merge(language.decoder);
        }
        self.generate(&pairs, images, trained.in_precision(precision), &language, &device)
    }

    fn generate<D: Decoder>(
        &self,
        pairs: &[Asked],
        images: BTreeSet<String>,
        trained: Trained,
        language: &Language<D>,
        device: &Device,
    ) -> Result<()> {
        let decoding = self.decoding(trained.answer_length());
        decoding.check()?;
        let texts = import::texts(&trained.config, &self.weights)?;
        trained.check_vocabulary(&self.generator, &texts)?;
        let expected = import::encoder_fingerprint(&trained.config, &self.weights)?;
        let features = Features::of_encoder(&self.features, &trained.config, &expected)?;
        let speaker = Speaker::new(trained, language, &texts)?;
        let named: BTreeSet<&str> =
            pairs.iter().flat_map(|asked| [asked.reference.as_str(), asked.target.as_str()]).collect();
        let mut about = serde_json::to_string(&(decoding, self.precision))?;
        about.push_str(&format!(
            "\n{:?}\n{}\n{}\n{}\n",
            self.device,
            self.part,
            fsx::sha256_of(&self.generator)?,
            features.digest(named.into_iter())?
        ));
        for Asked { reference, target } in pairs {
            about.push_str(&format!("{reference}\t{target}\n"));
        }
        let retriever =
            self.round_trip.as_ref().map(|path| Retriever::load(path, &self.weights, device)).transpose()?;
        let bar = crate::cli::progress("pairs");
        let trip = match &retriever {
            Some(retriever) => {
                if retriever.encoder_fingerprint(&self.weights)? != expected {
                    bail!(
                        "--round-trip {}: has another image encoder than the generator; give a model of the same --preset",
                        retriever.path().display()
                    );
                }
                let rule = Rule { rank: self.rank, both: self.both };
                Some(RoundTrip::new(retriever, &features, images, rule, &mut |_, _| {})?)
            }
            None => None,
        };
        let job = Job {
            pairs,
            features: &features,
            decoding,
            precision: self.precision,
            batch: self.batch,
            part: self.part,
            out: &self.out,
            round_trip: trip.as_ref(),
            fingerprint: fsx::sha256_hex(about.as_bytes()),
        };
        let report = produce(&job, &speaker, device, &mut |progress| {
            crate::cli::advance(&bar, progress.done, progress.all);
            let stage = if progress.round_trip { ", round trip" } else { "" };
            bar.set_message(format!("{:.1} texts/s{stage}", progress.texts_per_second));
        })?;
        bar.finish_and_clear();
        for (rule, count) in &report.left_out {
            crate::cli::note(format_args!("left out, {rule}: {count}"));
        }
        crate::cli::print(format_args!(
            "{}: {} of {} pairs; {:.1} words and {:.1} characters a text, {} different words",
            self.out.display(),
            report.kept,
            report.pairs,
            report.mean_words,
            report.mean_characters,
            report.unique_words
        ))
    }

    /// The pairs of the file, or of this machine's share, and the images of all of them: the shares' round trips rank the same
    /// gallery. Rows that cannot be used are named and left out.
    fn asked(&self, features: &Features) -> Result<(Vec<Asked>, BTreeSet<String>)> {
        let place = self.pairs.display();
        let lacks =
            |name: &str| features.row(name).is_err().then(|| format!("the feature cache has no image '{name}'"));
        let (mut pairs, complaints) = asked::read(&self.pairs, &lacks)?;
        if !complaints.is_empty() {
            crate::cli::note(format_args!(
                "{} of {} rows cannot be used:",
                complaints.len(),
                complaints.len() + pairs.len()
            ));
            crate::cli::complain(&complaints, 20);
        }
        let images = pairs.iter().flat_map(|asked| [asked.reference.clone(), asked.target.clone()]).collect();
        if pairs.is_empty() {
            bail!("{place}: there is no usable pair; check that --pairs and --features belong together");
        }
        if let Some((own, of)) = self.share {
            let (all, from, to) = (pairs.len(), pairs.len() * (own - 1) / of, pairs.len() * own / of);
            pairs = pairs.drain(from..to).collect();
            if pairs.is_empty() {
                bail!("--share {own}/{of}: nothing of {all} pairs is left for it; leave this share out");
            }
        }
        Ok((pairs, images))
    }
}

/// The images that a list of pairs names; lines that cannot be read name none.
pub fn images(pairs: &Path) -> Result<BTreeSet<String>> {
    let rows = json_rows::lines::<Asked>(pairs)?.into_iter().filter_map(|(_, row)| row.ok());
    Ok(rows.flat_map(|row| [row.reference, row.target]).collect())
}
