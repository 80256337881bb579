//! `thisbut describe`: a caption for each image.

use super::{Asking, EndpointArgs, TryArgs, hold, say};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::slice::from_ref;
use thisbut_generator::synthesis::describe::{asked, column, known, titles, unfilled};
use thisbut_generator::synthesis::layout::Layout;
use thisbut_generator::synthesis::output::{self, Report};
use thisbut_generator::synthesis::prompts::Prompts;
use thisbut_generator::synthesis::{About, about};
use thisbut_trainer::data::{Format, Split, pictures};

/// Write a caption for each image of a data set or folder
///
/// Captions come from a model that sees the images (--endpoint), from titles, or from a column of a CSV. A run that was
/// stopped goes on where it was: every answer lies in `….journal.jsonl` at once, and nothing is asked twice. What got no
/// usable answer goes to `….rejects.jsonl`, the counts to `….report.json`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut describe photos --endpoint http://localhost:8000/v1 --model-name qwen2-vl \\
    --out captions.jsonl
  thisbut describe data/fluent --titles --out captions.jsonl")]
#[command(group = clap::ArgGroup::new("captions").required(true).args(["endpoint", "titles", "column"]))]
pub struct Args {
    /// A data set's folder, or a folder of images.
    images: PathBuf,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// Only the images of this split [default: those of every one].
    #[arg(long, value_enum, hide_short_help = true)]
    split: Option<Split>,
    /// The file to write: one {"image", "caption"} a line.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Take the titles of images.json, or those that the names of files and folders make.
    #[arg(long)]
    titles: bool,
    /// Take this column of --about.
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// A CSV with a column image: what else is known. Prompts read its columns, and captions keep them.
    ///
    /// A CSV with a column image: what else is known. Prompts read its columns, and captions keep them. What the files of
    /// Fashion200k, DeepFashion-MultiModal and FashionIQ say (category, description, attributes) is known without it; where
    /// both name a field, the CSV's counts.
    #[arg(long, value_name = "CSV")]
    about: Option<PathBuf>,
    /// The prompts: syncir, good4cir, facap, small, or a file.
    #[arg(long, value_name = "NAME", default_value = "syncir", help_heading = super::ENDPOINT)]
    prompts: String,
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    tries: TryArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let (pictures, complaints) = pictures::load(&self.images, self.format, self.split)?;
        crate::cli::complain(&complaints, 20);
        let known = self.known(&pictures)?;
        if let Some(name) = &self.column
            && !known.values().any(|fields| fields.contains_key(&name.to_lowercase()))
        {
            bail!("--column {name}: neither --about nor the data set has such a column with something in it");
        }
        let inputs: Vec<_> = self.about.iter().map(PathBuf::as_path).collect();
        let _lock = hold(&self.out, &inputs)?;
        let report = match (&self.endpoint.endpoint, &self.column) {
            (Some(base), _) => self.ask(base, &pictures, &known)?,
            (None, Some(name)) => {
                let report = Report { source: format!("the column {name}"), ..Report::default() };
                output::write(&self.out, &column(&pictures, &known, name), report)?
            }
            (None, None) => {
                let report = Report { source: "titles".into(), ..Report::default() };
                output::write(&self.out, &titles(&pictures, &known), report)?
            }
        };
        say(&self.out, &report, "captions")
    }

    /// What the data set says of its images, and what --about does, which counts where both name a field.
    fn known(&self, pictures: &[pictures::Picture]) -> Result<About> {
        let own = pictures::known(&self.images, self.format, self.split)?;
        let csv = self.about.as_deref().map(about).transpose()?.unwrap_or_default();
        let mut all = About::new();
        for picture in pictures {
            let mut fields = own.get(&picture.name).cloned().unwrap_or_default();
            fields.extend(known(&csv, picture).cloned().unwrap_or_default());
            if !fields.is_empty() {
                all.insert(picture.name.clone(), fields);
            }
        }
        Ok(all)
    }

    fn ask(&self, base: &str, pictures: &[pictures::Picture], known: &About) -> Result<Report> {
        let endpoint = self.endpoint.endpoint(base)?;
        let prompt = Prompts::find(&self.prompts)?.describe;
        let unfilled = unfilled(&prompt, known);
        if !unfilled.is_empty() {
            let names = unfilled.join(", ");
            crate::cli::note(format_args!(
                "nothing is known for {names}: the lines of the prompt with it are left out"
            ));
        }
        let asking = Asking {
            out: &self.out,
            tries: &self.tries,
            prompts: from_ref(&prompt),
            items: pictures.len(),
            layout: Layout::Rows,
            unit: "images",
        };
        let report = asking.run(&endpoint, self.endpoint.prices(), |work, tell| asked(pictures, known, work, tell))?;
        crate::cli::note(format_args!("{} requests in this run", endpoint.requests()));
        Ok(report)
    }
}
