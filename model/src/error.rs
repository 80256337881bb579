//! The crate's one error type. Each message names the thing, the place and the mend.

/// Everything that can go wrong between bytes and a ranking.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A configuration that cannot describe a model.
    #[error("{place}: {problem}; {mend}")]
    Config {
        /// The file or field.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// Bytes that do not hold what their format says.
    #[error("{place}: {problem}; {mend}")]
    Format {
        /// The file, chunk or tensor.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// A number format where another is needed.
    #[error("{place}: the number format {found} isn't taken here; {mend}")]
    NumberFormat {
        /// The option, file or computation.
        place: String,
        /// Its name, as it was given.
        found: String,
        /// What may be chosen.
        mend: String,
    },
    /// A format or product version that this build does not read.
    #[error("{place} has format version {found}, this build reads {expected}; {mend}")]
    Version {
        /// The file.
        place: String,
        /// The version it carries.
        found: String,
        /// The version that this build reads.
        expected: String,
        /// What to do about it.
        mend: String,
    },
    /// Content whose SHA-256 is not the one that the bundle promises.
    #[error("{place}: the content does not match its checksum (expected {expected}, got {found}); {mend}")]
    Checksum {
        /// The file.
        place: String,
        /// Hex SHA-256 that the bundle promises.
        expected: String,
        /// Hex SHA-256 of the bytes at hand.
        found: String,
        /// What to do about it.
        mend: String,
    },
    /// An image that cannot be used.
    #[error("{place}: {problem}; {mend}")]
    Image {
        /// Where the image came from.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// A tensor that is missing, or whose shape is not the module's.
    #[error("{place}: {problem}; {mend}")]
    Weights {
        /// The tensor's name.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// A query that cannot be answered.
    #[error("{problem}; {mend}")]
    Query {
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// A model whose family has no attention that would say what counted in a query.
    #[error(
        "the model {model} is of the {family} family, whose image and words do not meet in attention, so nothing says what \
             counted; ask a model of another family"
    )]
    NoAttention {
        /// The model's name.
        model: String,
        /// Its method family.
        family: &'static str,
    },
    /// The device did not do what the self-test expects, or stopped answering.
    #[error("{place}: {problem}; {mend}")]
    Device {
        /// The device or the stage.
        place: String,
        /// What happened.
        problem: String,
        /// What to do about it.
        mend: String,
    },
}

impl ModelError {
    /// The error of a configuration's field, with the name of the configuration before it.
    pub(crate) fn of_file(self, file: &str) -> Self {
        match self {
            Self::Config { place, problem, mend } => Self::Config { place: format!("{file}: {place}"), problem, mend },
            other => other,
        }
    }
}

/// The crate's result.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;

/// Characters of a problem that is told in somebody else's words.
const LONGEST: usize = 300;

/// The beginning of a problem: a reader of JSON repeats what it met, which may be megabytes of a hostile file.
pub(crate) fn excerpt(problem: &str) -> String {
    let short: String = problem.chars().take(LONGEST).collect();
    if short.len() < problem.len() { short + "…" } else { short }
}
