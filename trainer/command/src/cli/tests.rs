//! The command line as a whole: every help fits a screen and has an example that parses, and a name has one meaning.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Cli, GROUPS, command};
use clap::error::ErrorKind;
use clap::{Arg, Command, FromArgMatches};
use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

/// Each command that is shown, with the words that call it.
fn all() -> Vec<(Vec<String>, Command)> {
    fn below(words: &[String], command: &Command, found: &mut Vec<(Vec<String>, Command)>) {
        found.push((words.to_vec(), command.clone()));
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            let words: Vec<String> = words.iter().cloned().chain([inner.get_name().to_owned()]).collect();
            below(&words, inner, found);
        }
    }
    let mut found = Vec::new();
    let mut root = command();
    root.build();
    below(&["thisbut".to_owned()], &root, &mut found);
    found
}

/// What `-h` prints on a screen of 100 columns.
fn short_help(words: &[String]) -> String {
    let args = words.iter().cloned().chain(["-h".to_owned()]);
    command().term_width(100).try_get_matches_from(args).unwrap_err().render().to_string()
}

/// The words of a line as a shell would split them: quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let (mut found, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => found.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    found.extend((!word.is_empty()).then_some(word));
    found
}

/// The command lines of a help's example.
fn examples(help: &str) -> Vec<String> {
    let Some((_, text)) = help.split_once("Example:\n") else { return Vec::new() };
    let text = text.replace("\\\n", " ");
    text.lines().take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_help_fits_a_screen_and_ends_with_an_example() {
    for (name, _) in all() {
        let help = short_help(&name);
        assert!(help.lines().count() <= 50, "{name:?}: {} lines\n{help}", help.lines().count());
        for line in help.lines() {
            assert!(line.chars().count() <= 120, "{name:?}: {line}");
        }
        assert!(!examples(&help).is_empty(), "{name:?} has no example:\n{help}");
    }
}

#[test]
fn every_example_parses_and_calls_its_command() {
    for (name, _) in all() {
        let lines = examples(&short_help(&name));
        for line in &lines {
            let line = line.split(" > ").next().unwrap_or(line);
            let matches = command().try_get_matches_from(words(line)).map_err(|e| format!("{line}: {e}")).unwrap();
            Cli::from_arg_matches(&matches).map_err(|e| format!("{line}: {e}")).unwrap();
        }
        assert!(lines.iter().any(|line| words(line).starts_with(&name)), "{name:?}: {lines:?}");
    }
}

#[test]
fn every_command_is_in_one_group() {
    let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let root = command();
    let shown: BTreeSet<&str> = root.get_subcommands().filter(|c| !c.is_hide_set()).map(Command::get_name).collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), shown);
    assert_eq!(listed.len(), shown.len(), "a command stands in two groups");
}

/// What tells two meanings of a name apart: whether the option takes a value, and of which type.
fn kind(arg: &Arg) -> String {
    // `--bank` and `--bank=false` are a flag that a recipe's value may stand behind.
    let value_needed = arg.get_num_args().is_none_or(|count| count.min_values() > 0);
    match arg.get_action().takes_values() && value_needed {
        true => format!("{:?}", arg.get_value_parser().type_id()),
        false => "a flag".to_owned(),
    }
}

#[test]
fn an_option_takes_the_same_kind_of_value_in_every_command() {
    // Which number formats a command can write or compute in is its own matter; the meaning is one.
    let own = ["store", "precision"];
    let mut kinds: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (name, command) in all() {
        for (arg, long) in command.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?))) {
            kinds.entry(long.to_owned()).or_default().entry(kind(arg)).or_default().push(name.join(" "));
        }
    }
    for (long, kinds) in kinds.iter().filter(|(long, _)| !own.contains(&long.as_str())) {
        assert!(kinds.len() == 1, "--{long}: {kinds:#?}");
    }
}

#[test]
fn defaults_are_shown_in_one_way() {
    for (name, command) in all() {
        for arg in command.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.contains("(default"), "{name:?}: {help}");
        }
    }
    let finetune = short_help(&["thisbut".to_owned(), "finetune".to_owned()]);
    assert!(finetune.contains("Triplets a step, over all devices [default: 128]"), "{finetune}");
    assert!(finetune.contains("λ, weight of t2t (SPRC: 0.4 for CIRR) [default: 0.4]"), "{finetune}");
    let pretrain = short_help(&["thisbut".to_owned(), "pretrain".to_owned()]);
    assert!(pretrain.contains("λ, weight of t2t (SPRC: 0.4 for CIRR) [default: 0.0]"), "{pretrain}");
}

#[test]
fn yesterdays_spellings_are_read() {
    for line in [
        "fetch-weights --dir w --from x --generator",
        "fetch blip2 --dir x",
        "pairs --annotated d --most 5 --out p",
        "generate --pairs p --generator g --features f --out o --temperature 1 --target-tokens 9 --round-trip c \
         --round-trip-rank 3 --round-trip-both",
        "generator train d --out o --form code --llm-precision int8 --rank 4 --triplets 9",
        "evaluate d --checkpoint c --width 64 --tokens 8 --json j",
        "export c --dataset d --precision q4 --tokens 4 --split-mb 32",
        "export c --dataset d --width q4",
        "import f --precision f32 --out o",
        "index p --bundle b --limit 3 --out o",
        "check d --limit 3",
        "query --gallery-item 3 -k 5",
        "generator score a --key k --json j",
    ] {
        let args = words(&format!("thisbut {line}"));
        command().try_get_matches_from(args).map_err(|e| format!("{line}: {e}")).unwrap();
    }
}

#[test]
fn figures_are_recorded_in_a_bundle_or_refused() {
    let parsed = |line: &str| command().try_get_matches_from(words(line)).map(drop);
    assert!(parsed("thisbut evaluate d --bundle b --record n").is_ok());
    for line in ["thisbut evaluate d --checkpoint c --record n", "thisbut evaluate d --record n"] {
        assert!(parsed(line).is_err(), "{line}");
    }
}

/// Options for which 0 has a meaning: none, all, or the first.
const ZERO_SAYS: [&str; 36] = [
    "adapter-from",
    "attention-dropout",
    "balance",
    "beta1",
    "beta2",
    "changes",
    "clip",
    "complaints",
    "composition-weight",
    "consistency-weight",
    "ctr",
    "dropout",
    "examples",
    "first",
    "held-out",
    "held-out-combinations",
    "held-out-values",
    "label-smoothing",
    "length-penalty",
    "lora-rank",
    "min-tokens",
    "p2p",
    "schedule-steps",
    "seed",
    "slack",
    "sub-batch",
    "t2t",
    "teacher-weight",
    "title-share",
    "triplet-weight",
    "unchanged",
    "validate-queries",
    "warmup",
    "weight-decay",
    "zs-weight",
    "most",
];
/// Options that may be below zero.
const NEGATIVE: [&str; 1] = ["length-penalty"];

/// Whether an option's value is a number; `true` for one with a fraction.
fn number(arg: &Arg) -> Option<bool> {
    let id = arg.get_value_parser().type_id();
    let is = |of: TypeId| id == of;
    let fraction = is(TypeId::of::<f64>()) || is(TypeId::of::<f32>());
    let whole = [TypeId::of::<usize>(), TypeId::of::<u64>(), TypeId::of::<u32>(), TypeId::of::<NonZeroUsize>()];
    (fraction || whole.into_iter().any(is)).then_some(fraction)
}

#[test]
fn no_option_takes_a_number_that_makes_no_sense() {
    let (mut count, mut passed) = (0, Vec::new());
    for (name, owner) in all() {
        for (arg, long) in owner.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?))) {
            let Some(fraction) = number(arg) else { continue };
            let mut senseless = vec!["nan", "inf", "-inf", "1e400", "x", ""];
            senseless.extend((!NEGATIVE.contains(&long)).then_some("-1"));
            senseless.extend((!fraction).then_some("1.5"));
            senseless.extend((!ZERO_SAYS.contains(&long)).then_some("0"));
            for value in senseless {
                count += 1;
                let line = name.iter().cloned().chain([format!("--{long}={value}")]);
                let refused = command().try_get_matches_from(line).err();
                let told = refused.is_some_and(|e| {
                    matches!(e.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue)
                        && e.to_string().contains(&format!("--{long}"))
                });
                if !told {
                    passed.push(format!("{} --{long}={value}", name.join(" ")));
                }
            }
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
    assert!(count > 300, "{count}");
}

#[test]
fn a_cause_is_told_once() {
    let io = std::io::Error::other("the disk is full");
    let of = |e: thisbut_trainer::error::TrainerError| super::said(&anyhow::Error::new(e));
    let said = of(thisbut_trainer::error::TrainerError::io(std::path::Path::new("x"), "write", io, "check free space"));
    assert_eq!(said, "x: cannot write: the disk is full; check free space");
    let outer = anyhow::anyhow!("inner").context("outer");
    assert_eq!(super::said(&outer), "outer: inner");
}

#[test]
fn each_option_takes_its_own_number_formats() {
    let commands: BTreeMap<String, Command> =
        all().into_iter().map(|(words, command)| (words[1..].join(" "), command)).collect();
    for (command, option, default, formats) in [
        ("features", "store", Some("f16"), ["f32", "f16", "int8"].as_slice()),
        ("features", "encoder_precision", Some("f32"), &["f32", "f16", "bf16"]),
        ("finetune", "encoder_precision", Some("f32"), &["f32", "f16", "bf16"]),
        ("finetune", "precision", None, &["f32", "bf16"]),
        ("pretrain", "precision", None, &["f32", "bf16"]),
        ("import", "store", None, &["f32", "f16", "bf16"]),
        ("convert", "store", None, &["f32", "f16", "bf16"]),
        ("export", "store", Some("q8"), &["f32", "q8", "q4"]),
        ("generator train", "precision", Some("f32"), &["f32", "bf16", "int8"]),
        ("generator generate", "precision", Some("f32"), &["f32", "bf16", "int8"]),
    ] {
        let arg = commands[command].get_arguments().find(|arg| arg.get_id() == option).unwrap();
        let values: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        assert_eq!(values, formats, "{command} --{option}");
        assert!(arg.get_possible_values().iter().all(|value| value.get_help().is_some()), "{command} --{option}");
        let found: Vec<&str> = arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
        assert_eq!(found, default.into_iter().collect::<Vec<_>>(), "{command} --{option}");
    }
}
