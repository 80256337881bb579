//! The trainer's one error type. Each message names the thing, the place and the mend.

use std::path::{Path, PathBuf};

/// Everything that can go wrong in a command.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// The operating system refused to read or write.
    #[error("{}: cannot {action}: {source}; {mend}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: "read", "write", "create".
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
        /// What to do about it.
        mend: String,
    },
    /// A data set file that does not hold what its layout says.
    #[error("{place}: {problem}; {mend}")]
    Data {
        /// The file, with line or row.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// An image file that cannot be used.
    #[error("{place}: {problem}; {mend}")]
    Image {
        /// The file.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// A checkpoint or cache that does not fit this run.
    #[error("{place}: {problem}; {mend}")]
    Checkpoint {
        /// The file.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// A setting that makes no sense.
    #[error("{place}: {problem}; {mend}")]
    Settings {
        /// The option or field.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// A program that this command calls is missing or failed.
    #[error("{program}: {problem}; {mend}")]
    Program {
        /// The program, as it was called.
        program: String,
        /// What went wrong.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// The model crate's own error.
    #[error(transparent)]
    Model(#[from] thisbut_model::ModelError),
}

impl TrainerError {
    /// An [`TrainerError::Io`] for `path`.
    pub fn io(path: &Path, action: &'static str, source: std::io::Error, mend: &str) -> Self {
        Self::Io { path: path.to_path_buf(), action, source, mend: mend.to_owned() }
    }
    /// A [`TrainerError::Data`].
    pub fn data(place: impl Into<String>, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Data { place: place.into(), problem: problem.into(), mend: mend.into() }
    }
    /// A [`TrainerError::Settings`].
    pub fn settings(place: impl Into<String>, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Settings { place: place.into(), problem: problem.into(), mend: mend.into() }
    }
    /// A [`TrainerError::Checkpoint`].
    pub fn checkpoint(place: impl Into<String>, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Checkpoint { place: place.into(), problem: problem.into(), mend: mend.into() }
    }
}

/// The crate's result.
pub type Result<T, E = TrainerError> = std::result::Result<T, E>;
