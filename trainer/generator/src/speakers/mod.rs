//! What answers prompts, behind one trait: an OpenAI-compatible endpoint, or a language model on this machine.

pub mod endpoint;
pub mod local;
mod pace;

use crate::synthesis::journal::Usage;
use std::path::PathBuf;
use thisbut_trainer::error::TrainerError;

/// A question that is ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What is said before it.
    pub system: Option<String>,
    /// The question.
    pub user: String,
    /// Image files that go with it.
    pub images: Vec<PathBuf>,
    /// Tokens of an answer at most.
    pub tokens: usize,
    /// 0: the likeliest answer.
    pub temperature: f32,
    /// Whether a model on this machine goes on from it to the end of the line, and sees no chat template.
    pub plain: bool,
    /// What the answer's draws depend on.
    pub seed: u64,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its text.
    pub text: String,
    /// Whether it ended at its limit of tokens.
    pub cut: bool,
    /// What it took.
    pub usage: Usage,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Silence {
    /// What came back is no answer; another question may have one.
    Useless {
        /// Why, as a word for reports.
        kind: &'static str,
        /// What was found.
        said: String,
        /// Whether the same question may have an answer at another time.
        again: bool,
        /// What it took.
        usage: Usage,
    },
    /// No question will have one now, and this one was not answered.
    Stop(TrainerError),
}

impl Silence {
    /// No answer, where another try may bring one.
    pub fn useless(kind: &'static str, said: impl Into<String>) -> Self {
        Self::Useless { kind, said: said.into(), again: true, usage: Usage::default() }
    }

    /// No answer, and none at another time.
    pub fn hopeless(kind: &'static str, said: impl Into<String>) -> Self {
        Self::Useless { kind, said: said.into(), again: false, usage: Usage::default() }
    }

    /// The same, which took `usage`: a server counts answers without a text too.
    pub fn that_took(self, usage: Usage) -> Self {
        match self {
            Self::Useless { kind, said, again, .. } => Self::Useless { kind, said, again, usage },
            Self::Stop(e) => Self::Stop(e),
        }
    }
}

/// A model that answers prompts.
pub trait Chat: Sync {
    /// What tells its answers from another's: the model, not where it runs.
    fn name(&self) -> String;

    /// Where it is, for people.
    fn place(&self) -> String;

    /// Whether a question may go there but once: asking costs, or is seen by others.
    fn elsewhere(&self) -> bool;

    /// Questions that are asked together.
    fn batch(&self) -> usize;

    /// Batches that are asked at the same time.
    fn parallel(&self) -> usize;

    /// The answers to at most [`Chat::batch`] questions, in their order.
    fn ask(&self, questions: &[Question]) -> Vec<Result<Said, Silence>>;
}
