//! A language model on this machine, of Llama's architecture: texts in, texts out.

use super::{Chat, Question, Said, Silence};
use crate::language::Language;
use crate::runtime::{Decoder, Decoding, Start, Strategy, generate};
use crate::synthesis::journal::Usage;
use std::collections::BTreeMap;
use thisbut_trainer::error::{Result, TrainerError};

/// Share of the probability that a repeated question's answer is drawn from.
const TOP_P: f32 = 0.9;

/// Questions that are answered together: each one's place and its tokens.
type Waiting = Vec<(usize, Vec<u32>)>;

/// The language model.
pub struct Local<D> {
    language: Language<D>,
    /// Questions that are answered together.
    batch: usize,
    /// What it computes in, for its name.
    precision: String,
    template: bool,
}

impl<D: Decoder> Local<D> {
    /// A language model that answers `batch` questions together; its answers hang on `precision`.
    pub fn new(language: Language<D>, batch: usize, precision: String) -> Self {
        let template = language.words.chat(&[("user", "")], true).is_ok();
        Self { language, batch: batch.max(1), precision, template }
    }

    /// Whether it has a chat template (ChatML). Without one it goes on from the prompt as plain text.
    pub fn has_template(&self) -> bool {
        self.template
    }

    fn tokens(&self, question: &Question) -> Result<Vec<u32>> {
        let words = &self.language.words;
        if question.plain {
            return Ok(words.begin().into_iter().chain(words.encode(&question.user)?).collect());
        }
        if self.template {
            let system = question.system.as_deref().map(|system| ("system", system));
            let messages: Vec<(&str, &str)> = system.into_iter().chain([("user", question.user.as_str())]).collect();
            return Ok(words.encode_with_control(&words.chat(&messages, true)?)?);
        }
        let system = question.system.as_ref().map_or(String::new(), |system| format!("{system}\n\n"));
        let tokens = words.encode(&format!("{system}{}\n", question.user))?;
        Ok(words.begin().into_iter().chain(tokens).collect())
    }

    /// Answers to questions of one number of tokens, one temperature and one way to go on.
    fn alike(&self, questions: &[(&Question, Vec<u32>)]) -> Result<Vec<Said>> {
        let Some((first, _)) = questions.first() else { return Ok(Vec::new()) };
        let strategy = match first.temperature {
            t if t > 0.0 => Strategy::Sample { temperature: t, top_p: TOP_P, seed: 0 },
            _ => Strategy::Greedy,
        };
        let decoding = Decoding { strategy, repetition_penalty: 1.0, least: 0, most: first.tokens, target: None };
        let end = self.language.words.end();
        let ends: Vec<u32> = if first.plain { self.line_ends()?.into_iter().chain([end]).collect() } else { vec![end] };
        let longest = questions.iter().map(|(_, tokens)| tokens.len()).max().unwrap_or(0);
        let padding = |tokens: &Vec<u32>| longest - tokens.len();
        let rows: Vec<Vec<u32>> =
            questions.iter().map(|(_, tokens)| [vec![end; padding(tokens)], tokens.clone()].concat()).collect();
        let real = questions.iter().map(|(_, tokens)| (0..longest).map(|at| at >= padding(tokens)).collect()).collect();
        let numbers = questions.iter().map(|(question, _)| question.seed).collect();
        let start = Start { real, numbers, ..Start::new(self.language.decoder.embed(&rows)) };
        let answers = generate(&self.language.decoder, start, &ends, &decoding)?;
        let said = |(answer, (_, tokens)): (&Vec<u32>, &(&Question, Vec<u32>))| -> Result<Said> {
            let usage = Usage { prompt: tokens.len() as u64, answer: answer.len() as u64 };
            let text = self.language.words.decode(answer)?;
            let line = text.trim_start().lines().next().unwrap_or_default().to_owned();
            let whole = first.plain && line.len() < text.trim_start().len();
            let cut = answer.len() >= first.tokens && !whole;
            Ok(Said { text: if first.plain { line } else { text }, cut, usage })
        };
        answers.iter().zip(questions).map(said).collect()
    }

    /// The tokens that end a line.
    fn line_ends(&self) -> Result<Vec<u32>> {
        let tokens = ["\n", "\n\n"].map(|text| self.language.words.encode(text));
        // Where a line's end is several tokens, the text is cut at it.
        Ok(tokens.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().filter(|t| t.len() == 1).flatten().collect())
    }

    /// The question's tokens, where they and the answer fit in the model.
    fn fitting(&self, question: &Question) -> Result<Vec<u32>, Silence> {
        if !question.images.is_empty() {
            let mend = "give an --endpoint whose model does, or prompts without images";
            let problem = "the language model on this machine sees no images";
            return Err(Silence::Stop(TrainerError::settings("--llm", problem, mend)));
        }
        let tokens = self.tokens(question).map_err(|e| Silence::hopeless("no-tokens", e.to_string()))?;
        let (whole, most) = (tokens.len() + question.tokens, self.language.config.positions);
        match whole > most {
            true => Err(Silence::hopeless("long-question", format!("{whole} tokens with the answer, of {most}"))),
            false => Ok(tokens),
        }
    }
}

impl<D: Decoder> Chat for Local<D>
where
    Language<D>: Sync,
{
    fn name(&self) -> String {
        format!("llm {} {}", self.language.fingerprint, self.precision)
    }

    fn place(&self) -> String {
        format!("the language model on this machine ({})", self.precision)
    }

    fn elsewhere(&self) -> bool {
        false
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn parallel(&self) -> usize {
        1
    }

    fn ask(&self, questions: &[Question]) -> Vec<Result<Said, Silence>> {
        let mut out: Vec<Option<Result<Said, Silence>>> = questions.iter().map(|_| None).collect();
        let mut groups: BTreeMap<(usize, u32, bool), Waiting> = BTreeMap::new();
        for (at, question) in questions.iter().enumerate() {
            match self.fitting(question) {
                Ok(tokens) => {
                    let alike = (question.tokens, question.temperature.to_bits(), question.plain);
                    groups.entry(alike).or_default().push((at, tokens));
                }
                Err(silence) => out[at] = Some(Err(silence)),
            }
        }
        for group in groups.into_values() {
            let (places, tokens): (Vec<usize>, Vec<Vec<u32>>) = group.into_iter().unzip();
            let asked: Vec<(&Question, Vec<u32>)> = places.iter().map(|at| &questions[*at]).zip(tokens).collect();
            match self.alike(&asked) {
                Ok(said) => places.iter().zip(said).for_each(|(at, said)| out[*at] = Some(Ok(said))),
                Err(e) => {
                    // One error stops the run; the others of the group were not answered either.
                    let message = e.to_string();
                    let stop = |_: &usize| {
                        let mend = "give another --device or --precision";
                        Silence::Stop(TrainerError::checkpoint("--llm", message.clone(), mend))
                    };
                    places.iter().for_each(|at| out[*at] = Some(Err(stop(at))));
                }
            }
        }
        out.into_iter().map(|one| one.unwrap_or_else(|| unreachable!("every question is in one group"))).collect()
    }
}
