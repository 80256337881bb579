//! Recipes of `thisbut generator train`: files of its options, which stand before those of the command line.

use anyhow::{Context, Result, anyhow, bail};
use clap::ArgMatches;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use thisbut_trainer::fsx;
use toml::{Spanned, Value};

/// The recipes that are part of this program: the files of `recipes/generator`.
pub const BUILT_IN: [(&str, &str); 1] = [("mtst", include_str!("../../../../../recipes/generator/mtst.toml"))];

/// Options that a recipe cannot choose.
const OWN: [&str; 3] = ["recipe", "out", "help"];

/// The recipe that a command line names.
pub fn named(matches: &ArgMatches) -> Option<String> {
    let train = matches.subcommand_matches("generator")?.subcommand_matches("train")?;
    train.get_one::<String>("recipe").cloned()
}

/// The command line `thisbut generator train …` with the options of the recipe `name` before its own: of an option that stands
/// twice, the last counts.
pub fn expand(args: &[OsString], name: &str) -> Result<Vec<OsString>> {
    let options = options(&text(name)?).with_context(|| format!("recipe {name}"))?;
    let (command, own) = args.split_at(args.len().min(3));
    Ok(command.iter().cloned().chain(options.into_iter().map(OsString::from)).chain(own.iter().cloned()).collect())
}

fn text(name: &str) -> Result<String> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Ok((*text).to_owned());
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e == "toml") || path.exists() {
        return Ok(fsx::read_text(path, fsx::SMALL)?);
    }
    let known = BUILT_IN.map(|(name, _)| name).join(", ");
    bail!("--recipe {name}: there is none of that name; use one of {known}, or the path of a .toml file")
}

/// A recipe's keys and values as options.
fn options(text: &str) -> Result<Vec<String>> {
    let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
    let keys: BTreeMap<Spanned<String>, Value> = toml::from_str(text)
        .map_err(|e| anyhow!("line {}: {}", line(e.span().map_or(0, |span| span.start)), e.message()))?;
    let command = <super::train::Args as clap::Args>::augment_args(clap::Command::new("train"));
    let mut found = Vec::new();
    for (key, value) in keys {
        let place = line(key.span().start);
        let key = key.into_inner();
        let known = command.get_arguments().find(|arg| arg.get_long() == Some(&key) && !OWN.contains(&key.as_str()));
        let Some(arg) = known else {
            bail!("line {place}: there is no key `{key}`; keys are the long options of `thisbut generator train`")
        };
        match (value, arg.get_action().takes_values()) {
            (Value::Boolean(true), false) => found.push(format!("--{key}")),
            (Value::Boolean(false), false) => {}
            (Value::Boolean(value), true) => found.push(format!("--{key}={value}")),
            (Value::Integer(value), true) => found.push(format!("--{key}={value}")),
            (Value::Float(value), true) => found.push(format!("--{key}={value}")),
            (Value::String(value), true) => found.push(format!("--{key}={value}")),
            _ => bail!("line {place}: `{key}` has a value of another kind; write it as on the command line"),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::cli::command;
    use thisbut_trainer::train::settings::Schedule;

    fn train(own: &[&str], name: &str) -> ArgMatches {
        let args = ["thisbut", "generator", "train", "data", "--out", "o"].iter().chain(own).map(OsString::from);
        let expanded = expand(&args.collect::<Vec<_>>(), name).unwrap();
        let matches = command().try_get_matches_from(expanded).unwrap();
        matches.subcommand_matches("generator").unwrap().subcommand_matches("train").unwrap().clone()
    }

    #[test]
    fn the_papers_generator_is_a_recipe_and_options_win() {
        let found = train(&["--recipe", "mtst", "--batch", "8"], "mtst");
        let number = |name: &str| found.get_one::<usize>(name).copied();
        assert_eq!((number("answer_length"), number("warmup"), number("batch")), (Some(256), Some(1000), Some(8)));
        assert_eq!(found.get_one::<bool>("train_words"), Some(&true));
        // InstructBLIP's optimiser, and BERT's dropout on attention's weights.
        let share = |name: &str| found.get_one::<f64>(name).copied();
        assert_eq!((share("learning_rate"), share("beta2"), share("epsilon")), (Some(1e-5), Some(0.999), Some(1e-8)));
        assert_eq!(
            (share("weight_decay"), share("clip"), share("attention_dropout")),
            (Some(0.05), Some(0.0), Some(0.1))
        );
        assert_eq!(found.get_one::<Schedule>("schedule"), Some(&Schedule::CosineToZero));
        assert_eq!(found.get_one::<String>("preset").map(String::as_str), Some("blip2-vit-g"));
        let off = train(&["--train-words=false"], "mtst");
        assert_eq!(off.get_one::<bool>("train_words"), Some(&false));
    }

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/generator");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<String> = files.map(|file| file.file_stem().unwrap().to_string_lossy().into()).collect();
        names.sort();
        assert_eq!(names, BUILT_IN.map(|(name, _)| name));
        for (name, _) in BUILT_IN {
            train(&[], name);
        }
    }

    #[test]
    fn mistakes_are_shown_with_their_line() {
        let problem = |text: &str| options(text).unwrap_err().to_string();
        assert!(problem("batch = 8\nlerning-rate = 1\n").contains("line 2: there is no key `lerning-rate`"));
        assert!(problem("out = \"x\"").contains("no key `out`"));
        assert!(problem("steps = [1]").contains("line 1: `steps` has a value of another kind"));
        assert!(problem("batch = \n").contains("line 1"));
        let flag = options("chat = true\ndescribe = false\ntrain-words = false").unwrap();
        assert_eq!(flag, ["--chat", "--train-words=false"]);
        assert!(expand(&[], "nothing").unwrap_err().to_string().contains("use one of mtst"));
    }
}
