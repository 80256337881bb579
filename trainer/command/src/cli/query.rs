//! `thisbut query`: "this, but …" on the command line.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut_model::ask::{EVEN, MOST};
use thisbut_model::why::Explanation;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::query::{Answer, Asker, Found, Question, Reference, Vectors, as_csv};
use thisbut_trainer::ranges;
use thisbut_trainer::terminal::line;
use thisbut_trainer::why::heat::{self, Heat};
use thisbut_trainer::why::said;

/// Longest side of the picture of --heat, in pixels.
const HEAT_SIDE: u32 = 640;

/// Search a bundle's gallery with images, a text, or both
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut query --image hat.jpg --text 'but in red'
  thisbut query --image hat.jpg --text 'but in red' --why --heat why.png
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
    /// Say which words, and which part of the (first) image, counted, from the model's attention.
    #[arg(long)]
    why: bool,
    /// Write the image with what counted in it laid over, as PNG.
    #[arg(long, value_name = "FILE", requires = "why")]
    heat: Option<PathBuf>,
    /// Print the answer as JSON; with --why or --vector as an object of `answers`, `why` and `query`.
    #[arg(long)]
    json: bool,
    /// Give the query's vectors too, as `query`.
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

/// The answer as JSON, where more than the images is asked for.
#[derive(serde::Serialize)]
struct Told<'a> {
    answers: &'a [Answer],
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<Vectors>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Explanation>,
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
        let found = asker.answer(&question, self.top)?;
        let why = if self.why { Some(self.explain(&asker, &question)?) } else { None };
        self.tell(found, why)
    }

    fn tell(&self, Found { answers, far, vectors }: Found, why: Option<Explanation>) -> Result<()> {
        if far {
            super::note("nothing is close: the model may not know what the image or the words are");
        }
        if let Some(path) = &self.csv {
            thisbut_trainer::fsx::write_atomic(path, &as_csv(&answers)?)?;
            super::note(format_args!("{}: {} answers", path.display(), answers.len()));
        }
        if self.json {
            return super::print(match vectors.is_none() && why.is_none() {
                true => serde_json::to_string_pretty(&answers)?,
                false => serde_json::to_string_pretty(&Told { answers: &answers, query: vectors, why })?,
            });
        }
        let lines =
            answers.iter().map(|a| format!("{:>4}  {:>6.3}  {}  [{}]", a.rank, a.score, line(&a.title), line(&a.id)));
        super::print(lines.chain(why.iter().map(said)).collect::<Vec<_>>().join("\n"))
    }

    /// What counted, of the first image, and its picture where one is asked for.
    fn explain(&self, asker: &Asker, question: &Question) -> Result<Explanation> {
        let (Some(reference), Some(text)) = (question.references.first(), question.text) else {
            bail!("--why says what counted of an image and of words; give both --text and --image or --like");
        };
        let why = asker.explain(*reference, text)?;
        if let Some(path) = &self.heat {
            let heat = Heat { grid: &why.grid, cols: why.cols, frame: why.frame };
            thisbut_trainer::fsx::write_atomic(path, &heat::png(&asker.picture(*reference)?, HEAT_SIDE, &heat)?)?;
            super::note(format_args!("{}: what counted in the image", path.display()));
        }
        Ok(why)
    }
}
