//! What a run does where neither the command line nor a recipe says otherwise: one table for the run and for the help.

use super::objective::OwnChoices;
use super::settings::{Schedule, Selection};
use crate::device::DeviceKind;
use clap::Arg;
use serde::Serialize;
use thisbut_model::number::NumberFormat;

/// Declares the table's type, its values, and how each of them reads in the help: as on the command line.
macro_rules! table {
    ($($field:ident: $kind:ty = $value:expr;)*) => {
        /// A default for each choice that has one of its own.
        #[derive(Clone, Copy, Debug)]
        pub struct Defaults {
            $(#[allow(missing_docs, reason = "the choice of this name says it")] pub $field: $kind,)*
        }

        /// The defaults.
        pub const DEFAULTS: Defaults = Defaults { $($field: $value,)* };

        fn own(id: &str) -> Option<String> {
            match id {
                $(stringify!($field) => $crate::train::defaults::written(&DEFAULTS.$field),)*
                _ => None,
            }
        }
    };
}
pub(crate) use table;

table! {
    preset: &'static str = "web-s";
    steps: usize = 1500;
    learning_rate: f64 = 8e-4;
    warmup: usize = 100;
    schedule: Schedule = Schedule::Cosine;
    div_factor: f64 = 25.0;
    cycle: usize = 2500;
    cycle_factor: usize = 2;
    weight_decay: f64 = 0.05;
    beta1: f64 = 0.9;
    beta2: f64 = 0.98;
    epsilon: f64 = 1e-7;
    decay_vectors: bool = false;
    clip: f64 = 1.0;
    train_words: bool = false;
    batch: usize = 128;
    sub_batch: usize = 0;
    group: usize = 4;
    unchanged: f64 = 0.0;
    seed: u64 = 1;
    device: DeviceKind = DeviceKind::Cpu;
    devices: usize = 1;
    precision: NumberFormat = NumberFormat::F32;
    validate_every: usize = 200;
    validate_queries: usize = 600;
    selection: Selection = Selection::Own;
    checkpoint_every: usize = 50;
}

/// Choices whose default is what something else says.
const ELSEWHERE: [(&str, &str); 6] = [
    ("losses", "the method's: ptha, hybrid, concept, or matching"),
    ("dropout", "the preset's"),
    ("temperature", "the starting weights'"),
    ("schedule_steps", "those of the run"),
    ("wordings", "as the run began, else drawn"),
    ("right_targets", "as the run began, else as the data set counts"),
];

/// A value as the command line takes it.
pub(super) fn written(value: &impl Serialize) -> Option<String> {
    match serde_json::to_value(value).ok()? {
        serde_json::Value::String(word) => Some(word),
        number => Some(number.to_string()),
    }
}

/// The default of a choice as the help shows it; `id` is the field's name. `pretraining`: the default of `thisbut pretrain`.
pub fn shown(id: &str, pretraining: bool) -> Option<String> {
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == id).map(|(_, words)| (*words).to_owned());
    own(id).or(elsewhere).or_else(|| OwnChoices::shown(id, pretraining))
}

/// `arg` with `[default: …]` behind its help, as clap shows a default that it knows of. Clap itself must not know these: it
/// would fill them in, and a recipe's values would never be looked at.
pub fn show(arg: Arg, default: &str) -> Arg {
    let with = |text: String| format!("{text} [default: {default}]");
    let (short, long) = (arg.get_help().map(ToString::to_string), arg.get_long_help().map(ToString::to_string));
    let arg = match short {
        Some(text) => arg.help(with(text)),
        None => arg,
    };
    match long {
        Some(text) => arg.long_help(with(text)),
        None => arg,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::choices::Choices;
    use super::*;
    use clap::{ArgAction, Args, Command, FromArgMatches};
    use thisbut_model::RetrievalConfig;

    fn parsed(command: Command, args: &[String]) -> Choices {
        Choices::from_arg_matches(&command.try_get_matches_from(args).unwrap()).unwrap()
    }

    #[test]
    fn what_the_help_calls_the_default_changes_nothing_when_it_is_given() {
        let command = || Choices::augment_args(Command::new("finetune"));
        let mut given = vec!["finetune".to_owned()];
        let mut without = Vec::new();
        for arg in command().get_arguments() {
            let id = arg.get_id().as_str();
            assert!(matches!(arg.get_action(), ArgAction::Set), "{id}");
            let elsewhere = ELSEWHERE.iter().chain(OwnChoices::elsewhere()).any(|(name, _)| *name == id);
            match shown(id, false).filter(|_| !elsewhere) {
                Some(value) => given.push(format!("--{}={value}", arg.get_long().unwrap())),
                None => without.push(id.to_owned()),
            }
        }
        let choices = parsed(command(), &given);
        let none = parsed(command(), &["finetune".to_owned()]);
        let config = RetrievalConfig::preset(none.preset()).unwrap();
        assert_eq!(choices.settings(&config, 1000).unwrap(), none.settings(&config, 1000).unwrap());
        assert_eq!(choices.preset(), none.preset());
        assert_eq!(none, Choices::default(), "the parser fills nothing in");
        // The rest have no default of their own: an epoch's count stands in the place of steps.
        without.retain(|id| !id.ends_with("epochs") && shown(id, false).is_none());
        assert!(without.is_empty(), "no default is shown for {without:?}");
    }
}
