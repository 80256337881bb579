//! `thisbut query`: "this, but …" on the command line.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut_model::ask::{EVEN, MOST};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::query::{Asker, Found, Question, Reference, as_csv};
use thisbut_trainer::ranges;
use thisbut_trainer::terminal::line;

/// Search a bundle's gallery with images, a text, or both
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut query --image hat.jpg --text 'but in red'
  thisbut query --like red-heart.webp --text blue --not 'with an arrow' --csv answers.csv")]
pub struct Args {
    /// A bundle: its model and its gallery.
    #[arg(long, value_name = "FOLDER", default_value = "exported")]
    bundle: PathBuf,
    /// The image to start from; may be given several times, for something between them.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Start from the gallery image with this id, its own or its table's; may be given several times, and beside --image.
    #[arg(long, value_name = "ID", alias = "gallery-item")]
    like: Vec<String>,
    /// What should be different, such as "but with a red hat".
    #[arg(long)]
    text: Option<String>,
    /// What is not wanted; may be given several times.
    #[arg(long, value_name = "TEXT")]
    not: Vec<String>,
    /// Between the image (0) and the words (1); 0.5 is the model as it was trained.
    #[arg(long, value_name = "B", default_value_t = EVEN, value_parser = balance)]
    balance: f32,
    /// Rank only images whose title or tags have this word; may be given several times.
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// Images of a ranking.
    #[arg(short = 'k', long, value_name = "N", default_value_t = 10, value_parser = ranges::count)]
    top: usize,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    /// With --json: the query's vectors too, as {"query": …, "answers": …}.
    #[arg(long, requires = "json")]
    vector: bool,
    /// Write the answer to this file as a table: rank, score, id, title, thumb, and the gallery's own columns.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
}

fn balance(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("is no number from 0 to 1".into()),
    }
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let files = self.image.iter().map(|path| Reference::File(path));
        let references: Vec<Reference> = files.chain(self.like.iter().map(|id| Reference::Gallery(id))).collect();
        if references.is_empty() && self.text.is_none() {
            bail!("nothing to look for; give --image, --text, or both");
        }
        if references.len() > MOST || self.not.len() > MOST {
            bail!("{} images and {} times --not; at most {MOST} of each", references.len(), self.not.len());
        }
        let asker = Asker::open(&self.bundle, &choose(self.device)?)?;
        if let Some(remark) = self.text.as_deref().and_then(|text| asker.remark(text)) {
            super::note(remark);
        }
        let (text, without, only) = (self.text.as_deref(), self.not.clone(), self.only.clone());
        let question = Question { references, text, without, balance: self.balance, only, vectors: self.vector };
        self.tell(asker.answer(&question, self.top)?)
    }

    fn tell(&self, Found { answers, far, vectors }: Found) -> Result<()> {
        if far {
            super::note("nothing is close: the model may not know what the image or the words are");
        }
        if let Some(path) = &self.csv {
            thisbut_trainer::fsx::write_atomic(path, &as_csv(&answers)?)?;
            super::note(format_args!("{}: {} answers", path.display(), answers.len()));
        }
        if let Some(query) = vectors {
            let all = serde_json::json!({ "query": query, "answers": answers });
            return super::print(serde_json::to_string_pretty(&all)?);
        }
        if self.json {
            return super::print(serde_json::to_string_pretty(&answers)?);
        }
        let lines: Vec<String> = answers
            .iter()
            .map(|a| format!("{:>4}  {:>6.3}  {}  [{}]", a.rank, a.score, line(&a.title), line(&a.id)))
            .collect();
        super::print(lines.join("\n"))
    }
}
