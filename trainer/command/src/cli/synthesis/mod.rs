//! `thisbut describe` and `thisbut rewrite`: captions and modification texts, and who is asked for them.

pub mod describe;
pub mod rewrite;

use anyhow::{Result, bail};
use serde_json::{Map, Value};
use std::path::Path;
use std::time::Duration;
use thisbut_generator::speakers::Chat;
use thisbut_generator::speakers::endpoint::{Endpoint, Settings};
use thisbut_generator::synthesis::describe::is_input;
use thisbut_generator::synthesis::journal::Journal;
use thisbut_generator::synthesis::layout::Layout;
use thisbut_generator::synthesis::output::{self, Made, Prices, Report};
use thisbut_generator::synthesis::prompts::Prompt;
use thisbut_generator::synthesis::tries::Limits;
use thisbut_generator::synthesis::work::Work;
use thisbut_trainer::fetch::Patience;
use thisbut_trainer::lock::Lock;
use thisbut_trainer::{fsx, ranges};

const ENDPOINT: &str = "Endpoint";
/// The variable of the key, unless another is named.
const KEY: &str = "OPENAI_API_KEY";

/// Where an endpoint is, and how it is asked.
#[derive(clap::Args)]
struct EndpointArgs {
    /// Ask an OpenAI-compatible endpoint at this base address, such as `https://api.openai.com/v1`.
    #[arg(long, value_name = "URL", requires = "model_name", help_heading = ENDPOINT)]
    endpoint: Option<String>,
    /// The model's name there.
    #[arg(long, value_name = "NAME", requires = "endpoint", help_heading = ENDPOINT)]
    model_name: Option<String>,
    /// The environment variable that holds the key [default: OPENAI_API_KEY, where it is set].
    #[arg(long, value_name = "VARIABLE", requires = "endpoint", help_heading = ENDPOINT)]
    key_from: Option<String>,
    /// Requests at the same time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = parallel, help_heading = ENDPOINT)]
    parallel: usize,
    /// Requests a minute at most [default: as fast as they are answered].
    #[arg(long, value_name = "N", help_heading = ENDPOINT, value_parser = per_minute)]
    per_minute: Option<u32>,
    /// Seconds to wait for an answer to begin.
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0, help_heading = ENDPOINT, hide_short_help = true)]
    #[arg(value_parser = seconds)]
    timeout: f64,
    /// Requests in a row that may fail for the network's or the server's sake.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = ranges::count, help_heading = ENDPOINT)]
    #[arg(hide_short_help = true)]
    attempts: usize,
    /// Seconds before the second of these; twice as long before each further one.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, help_heading = ENDPOINT, hide_short_help = true)]
    #[arg(value_parser = seconds)]
    pause: f64,
    /// Longest side of the images that are sent, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 512, help_heading = ENDPOINT, hide_short_help = true)]
    #[arg(value_parser = side)]
    image_side: u32,
    /// Further fields of every request, as a JSON object; null takes one away.
    #[arg(long, value_name = "JSON", help_heading = ENDPOINT, hide_short_help = true)]
    fields: Option<String>,
    /// What a million tokens of questions cost, for the count of costs.
    #[arg(long, value_name = "PRICE", requires = "price_out", help_heading = ENDPOINT, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    price_in: Option<f64>,
    /// What a million tokens of answers cost.
    #[arg(long, value_name = "PRICE", requires = "price_in", help_heading = ENDPOINT, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    price_out: Option<f64>,
}

/// How often a question is asked.
#[derive(clap::Args)]
struct TryArgs {
    /// Times that a question is asked, where its answers are of no use.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = tries)]
    tries: u32,
    /// Ask again what earlier runs got no answer to: rejects, and what was under way when a run was ended.
    #[arg(long)]
    resend: bool,
}

fn parallel(text: &str) -> Result<usize, String> {
    ranges::counted(text, 256)
}

fn per_minute(text: &str) -> Result<u32, String> {
    ranges::counted(text, 1_000_000).map(|count| count as u32)
}

fn tries(text: &str) -> Result<u32, String> {
    ranges::counted(text, 100).map(|count| count as u32)
}

fn side(text: &str) -> Result<u32, String> {
    ranges::counted(text, 4096).map(|count| count as u32)
}

fn seconds(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (0.001..=86_400.0).contains(value));
    value.ok_or_else(|| format!("'{text}' is no number of seconds from 0.001 to 86400"))
}

impl EndpointArgs {
    /// The key and its variable: that of the option, which must be set, or the usual one, where it is.
    fn key(&self) -> Result<Option<(String, String)>> {
        let variable = self.key_from.as_deref().unwrap_or(KEY);
        let key = std::env::var(variable).ok().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        match key {
            Some(key) if key.contains(|c: char| c.is_control() || !c.is_ascii()) => {
                bail!("{variable}: a key has no line ends and no letters beyond ASCII; set it again")
            }
            Some(key) => Ok(Some((key, variable.to_owned()))),
            None if self.key_from.is_some() => bail!("--key-from {variable}: that environment variable is not set"),
            None => Ok(None),
        }
    }

    /// The endpoint at an address.
    fn endpoint(&self, base: &str) -> Result<Endpoint> {
        let fields: Map<String, Value> = match &self.fields {
            Some(text) => match serde_json::from_str(text) {
                Ok(fields) => fields,
                Err(e) => bail!("--fields: is no JSON object ({e}); give it as '{{\"top_p\": 0.9}}'"),
            },
            None => Map::new(),
        };
        let stall = Duration::from_secs_f64(self.timeout);
        let patience = Patience {
            stall,
            window: stall,
            attempts: self.attempts as u32,
            pause: Duration::from_secs_f64(self.pause),
            ..Patience::default()
        };
        let settings = Settings {
            base: base.to_owned(),
            model: self.model_name.clone().unwrap_or_default(),
            key: self.key()?,
            patience,
            minute: self.per_minute,
            parallel: self.parallel,
            side: self.image_side,
            fields,
        };
        Ok(Endpoint::new(settings, Box::new(super::note))?)
    }

    fn prices(&self) -> Option<Prices> {
        self.price_in.zip(self.price_out).map(|(prompt, answer)| Prices { prompt, answer })
    }
}

/// A run that asks: its file, and what it asks with.
struct Asking<'a> {
    out: &'a Path,
    tries: &'a TryArgs,
    prompts: &'a [Prompt],
    items: usize,
    unit: &'static str,
    layout: Layout,
}

impl Asking<'_> {
    /// Asks, and writes the files; `make` gets what comes of the items from the work.
    fn run(
        &self,
        chat: &dyn Chat,
        prices: Option<Prices>,
        make: impl FnOnce(&Work, &(dyn Fn(usize) + Sync)) -> thisbut_trainer::error::Result<Vec<Made>>,
    ) -> Result<Report> {
        let journal = Journal::open(&fsx::beside(self.out, "journal.jsonl"))?;
        let limits = Limits { tries: self.tries.tries, resend: self.tries.resend };
        let work = Work::new(chat, self.prompts, &journal, limits);
        let bar = super::progress(self.unit);
        let made = make(&work, &|done| super::advance(&bar, done, self.items));
        bar.finish_and_clear();
        let made = made.inspect_err(|_| {
            let count = journal.totals().answers;
            super::note(format_args!("{}: {count} answers are kept", journal.path().display()));
        })?;
        let (faults, mended) = (work.faults(), work.mended());
        let mut report = Report { source: chat.place(), faults, mended, ..Report::default() };
        report.add_totals(journal.totals(), prices);
        Ok(output::write_as(self.out, &made, report, self.layout)?)
    }
}

/// Refuses an output that would replace an input, and holds it against other runs.
pub(super) fn hold(out: &Path, inputs: &[&Path]) -> Result<Lock> {
    if is_input(out, inputs) {
        bail!("--out {}: would replace what is read; give another name", out.display());
    }
    if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fsx::create_dir(folder)?;
    }
    Ok(Lock::take(&fsx::beside(out, "lock"), out)?)
}

/// Tells what a run made.
fn say(out: &Path, report: &Report, rows: &str) -> Result<()> {
    for (fault, count) in &report.faults {
        super::note(format_args!("answers of no use, {fault}: {count}"));
    }
    if report.mended > 0 {
        super::note(format_args!("answers whose JSON was broken, and mended: {}", report.mended));
    }
    for (reason, count) in &report.rejected {
        super::note(format_args!("rejected, {reason}: {count}"));
    }
    if report.rejected.contains_key(thisbut_generator::synthesis::tries::UNDER_WAY) {
        super::note("under way when an earlier run was ended, and perhaps answered: --resend asks for it again");
    }
    if report.totals.answers > 0 {
        let usage = report.totals.usage;
        let cost = report.cost.map_or(String::new(), |cost| format!(", which cost {cost:.4}"));
        super::note(format_args!(
            "{} answers over all runs: {} tokens of questions, {} of answers{cost}",
            report.totals.answers, usage.prompt, usage.answer
        ));
    }
    let (kept, items) = (report.kept, report.items);
    super::print(format_args!("{}: {} {rows} for {kept} of {items}; {}", out.display(), report.rows, report.source))
}
