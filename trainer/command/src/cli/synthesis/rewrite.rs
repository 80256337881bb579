//! `thisbut rewrite`: a modification text for each pair, from two captions.

use super::{Asking, EndpointArgs, TryArgs, hold, say};
use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use thisbut_generator::asked::{self, Asked};
use thisbut_generator::speakers::Chat;
use thisbut_generator::speakers::local::Local;
use thisbut_generator::synthesis::layout::Layout;
use thisbut_generator::synthesis::output::{self, Made, Report};
use thisbut_generator::synthesis::prompts::Prompts;
use thisbut_generator::synthesis::rewrite::{Captions, Questions, of_differences, of_table, table};
use thisbut_generator::{Language, PRECISIONS, check_precision};
use thisbut_model::number::NumberFormat;
use thisbut_trainer::data::{Format, captions, pictures};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::ranges;

/// Write a modification text for each pair, from the captions of its two images
///
/// Texts come from a language model (--endpoint, or --llm on this machine), from a CSV, or from a rule that names the words
/// in which the captions differ. A run that was stopped goes on where it was: every answer lies in `….journal.jsonl` at
/// once, and nothing is asked twice. What got no usable answer goes to `….rejects.jsonl`, the counts to `….report.json`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut rewrite --pairs pairs.jsonl --captions captions.jsonl --out triplets.jsonl \\
    --endpoint http://localhost:8000/v1 --model-name llama-3.1-8b-instruct
  thisbut rewrite --pairs pairs.jsonl --captions captions.jsonl --out triplets.jsonl --differences")]
#[command(override_usage = "thisbut rewrite [OPTIONS] --pairs <FILE> --captions <FILE> --out <FILE>
       <--endpoint <URL>|--llm <MODEL>|--texts <CSV>|--differences>")]
#[command(group = clap::ArgGroup::new("texts_from").required(true).args(["endpoint", "llm", "texts", "differences"]))]
pub struct Args {
    /// The pairs: one {"reference", "target"} a line, as `thisbut pairs` writes them.
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
    /// The captions: one {"image", "caption"} a line, as `thisbut describe` writes them.
    #[arg(long, value_name = "FILE")]
    captions: PathBuf,
    /// The file to write: one {"reference", "target", "modifier_generated", "reference_caption", "target_caption"} a line.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Take the texts of a CSV with the columns reference, target and --column.
    #[arg(long, value_name = "CSV")]
    texts: Option<PathBuf>,
    /// With --texts: the column of the text.
    #[arg(long, value_name = "NAME", default_value = "text", requires = "texts")]
    column: String,
    /// Without any model: name the words in which the captions differ ("change red to blue, add hat").
    #[arg(long)]
    differences: bool,
    /// The prompts: syncir, good4cir, facap, small, or a file.
    #[arg(long, value_name = "NAME", default_value = "syncir")]
    prompts: String,
    /// The layout of --out: rows, one triplet a line; good4cir, cirr-r or hotel-cir, the JSON that those data sets are released in.
    #[arg(long, value_name = "LAYOUT", value_parser = PossibleValuesParser::new(Layout::NAMES), default_value = "rows")]
    layout: String,
    /// The images, for prompts that show them (good4cir): a data set's folder, or a folder of images.
    #[arg(long, value_name = "FOLDER", requires = "endpoint")]
    images: Option<PathBuf>,
    /// The data set's layout, with --images [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// Ask a language model on this machine, of Llama's architecture: a GGUF file, or a Hugging Face folder.
    #[arg(long, value_name = "MODEL", help_heading = LOCAL)]
    llm: Option<PathBuf>,
    /// What it computes in; int8: its linear maps in 8 bits, several times as fast on a CPU.
    #[arg(long, value_parser = PRECISIONS.parser(), default_value = "int8", help_heading = LOCAL)]
    precision: NumberFormat,
    /// What it computes on.
    #[arg(long, value_enum, default_value_t, help_heading = LOCAL)]
    device: DeviceKind,
    /// Pairs that it answers together.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = ranges::count, help_heading = LOCAL)]
    batch: usize,
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    tries: TryArgs,
}

const LOCAL: &str = "Language model on this machine";

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let (captions, wrong) = captions::load(&self.captions)?;
        crate::cli::complain(&wrong, 20);
        let (pairs, wrong) = asked::read(&self.pairs, &|_| None)?;
        crate::cli::complain(&wrong, 20);
        if pairs.is_empty() {
            bail!("{}: there is no usable pair; give a file of `thisbut pairs`", self.pairs.display());
        }
        let mut inputs = vec![self.pairs.as_path(), &self.captions];
        inputs.extend(self.texts.as_deref());
        let _lock = hold(&self.out, &inputs)?;
        let report = match (&self.endpoint.endpoint, &self.llm, &self.texts) {
            (Some(base), ..) => {
                let endpoint = self.endpoint.endpoint(base)?;
                let report = self.ask(&endpoint, &pairs, &captions)?;
                crate::cli::note(format_args!("{} requests in this run", endpoint.requests()));
                report
            }
            (None, Some(llm), _) => self.local(llm, &pairs, &captions)?,
            (None, None, Some(file)) => {
                let texts = table(file, &self.column)?;
                self.write(&of_table(&pairs, &captions, &texts), format!("the column {}", self.column))?
            }
            (None, None, None) => {
                self.write(&of_differences(&pairs, &captions), "the words in which captions differ".into())?
            }
        };
        say(&self.out, &report, "texts")
    }

    fn write(&self, made: &[Made], source: String) -> Result<Report> {
        Ok(output::write_as(&self.out, made, Report { source, ..Report::default() }, self.layout()?)?)
    }

    fn layout(&self) -> Result<Layout> {
        Layout::named(&self.layout).context("--layout: give one of those that --help names")
    }

    /// Asks the language model on this machine.
    fn local(&self, llm: &Path, pairs: &[Asked], captions: &Captions) -> Result<Report> {
        let device = choose(self.device)?;
        check_precision(self.precision, self.device, &device)?;
        let precision = self.precision.name().to_owned();
        if self.precision == NumberFormat::Int8 {
            let language = Language::load_int8(llm, |_| Ok(None), &device)?;
            let local = Local::new(language, self.batch, precision);
            return self.ask_local(&local, local.has_template(), (pairs, captions));
        }
        let language = Language::load(llm, self.precision.float()?, &device)?;
        let local = Local::new(language, self.batch, precision);
        self.ask_local(&local, local.has_template(), (pairs, captions))
    }

    fn ask_local(&self, chat: &dyn Chat, template: bool, of: (&[Asked], &Captions)) -> Result<Report> {
        if !template {
            crate::cli::note("--llm: it has no chat template (ChatML), so it goes on from the prompt as plain text");
        }
        self.ask(chat, of.0, of.1)
    }

    fn ask(&self, chat: &dyn Chat, pairs: &[Asked], captions: &Captions) -> Result<Report> {
        let prompts = Prompts::find(&self.prompts)?;
        let mut files = HashMap::new();
        match &self.images {
            Some(folder) => {
                let (found, complaints) = pictures::load(folder, self.format, None)?;
                crate::cli::complain(&complaints, 20);
                files.extend(found.into_iter().map(|picture| (picture.name, picture.path)));
            }
            None if prompts.rewrite_sees() => {
                bail!("--prompts {}: it shows images, of an --endpoint that sees them; give --images", self.prompts)
            }
            None => {}
        }
        let questions = Questions { pairs, captions, files: &files, prompts: &prompts };
        let (layout, items) = (self.layout()?, pairs.len());
        let asking =
            Asking { out: &self.out, tries: &self.tries, prompts: &prompts.rewrite, items, unit: "pairs", layout };
        asking.run(chat, self.endpoint.prices(), |work, tell| questions.asked(work, tell))
    }
}
