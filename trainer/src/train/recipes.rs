//! Recipes: files of choices, those of the papers built in.

use super::choices::Choices;
use super::objective::OwnChoices;
use super::objective::two_pass::Losses;
use crate::error::{Result, TrainerError};
use crate::fsx;
use clap::{Args, ValueEnum};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::Spanned;

/// The recipes that are part of this program, name and text: the files of `recipes/`, in the order of their names.
pub const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/recipes.rs"));

/// The choices behind `--recipe`: a recipe that is built in, or a recipe file. Yesterday's spelling of `--losses`, the losses'
/// name alone, is read too.
///
/// # Errors
/// [`TrainerError::Settings`] when there is none of that name, or its file has a mistake: with the line.
pub fn find(name: &str) -> Result<Choices> {
    if let Ok(losses) = Losses::from_str(name, false) {
        let mut choices = Choices::default();
        choices.own.shared.losses = losses.to_possible_value().map(|word| word.get_name().to_owned());
        return Ok(choices);
    }
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return parse(text, &format!("recipe {name}"));
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e == "toml") || path.exists() {
        return parse(&fsx::read_text(path, fsx::SMALL)?, name);
    }
    let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    Err(TrainerError::settings(
        format!("--recipe {name}"),
        "there is none of that name",
        format!("use one of {}, or the path of a .toml file; losses alone are --losses", known.join(", ")),
    ))
}

/// Reads a recipe; `place` names it in errors.
///
/// # Errors
/// [`TrainerError::Settings`] with the line of an unknown key or a wrong value.
pub fn parse(text: &str, place: &str) -> Result<Choices> {
    let wrong = |at: usize, problem: &str| {
        let line = text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let mend = "keys are the long options of `thisbut finetune`, without the dashes";
        TrainerError::settings(format!("{place}, line {line}"), problem, mend)
    };
    let located = |e: toml::de::Error| wrong(e.span().map_or(0, |span| span.start), e.message());
    let keys: BTreeMap<Spanned<String>, IgnoredAny> = toml::from_str(text).map_err(located)?;
    let known = keys_known();
    if let Some(key) = keys.keys().find(|key| !known.contains(key.get_ref().as_str())) {
        return Err(wrong(key.span().start, &format!("there is no key `{}`", key.get_ref())));
    }
    let mut choices: Choices = toml::from_str(text).map_err(located)?;
    choices.own = OwnChoices::read(text).map_err(located)?;
    for (first, second, name) in [
        (choices.steps.is_some(), choices.epochs.is_some(), "steps and epochs"),
        (choices.warmup.is_some(), choices.warmup_epochs.is_some(), "warmup and warmup-epochs"),
        (choices.schedule_steps.is_some(), choices.schedule_epochs.is_some(), "schedule-steps and schedule-epochs"),
        (choices.validate_every.is_some(), choices.validate_epochs.is_some(), "validate-every and validate-epochs"),
    ] {
        if first && second {
            return Err(TrainerError::settings(place, format!("it has both {name}"), "keep one of them"));
        }
    }
    Ok(choices)
}

/// The keys that a recipe may have: every choice's long option, and the groups of parameters.
fn keys_known() -> BTreeSet<String> {
    let command = Choices::augment_args(clap::Command::new("recipe"));
    let options = command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned));
    options.chain(["groups".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::settings::{Schedule, Selection, Settings, Wordings, check_precision};
    use super::*;
    use crate::train::groups;
    use crate::train::objective::concept::ConceptSettings;
    use crate::train::objective::pseudo_word;
    use thisbut_model::RetrievalConfig;
    use thisbut_model::method::AnyMethod;
    use thisbut_model::nn::ImageEncoder;
    use thisbut_model::number::NumberFormat;
    use thisbut_model::retrieval::ENCODER_PREFIX;
    use thisbut_model::weights;

    /// CIRR's training triplets.
    const CIRR: usize = 28_225;

    fn settings(choices: &Choices, triplets: usize) -> Settings {
        choices.settings(&RetrievalConfig::preset(choices.preset()).unwrap(), triplets).unwrap()
    }

    #[test]
    fn every_built_in_recipe_makes_a_run() {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&"cirr-finetune") && names.is_sorted(), "{names:?}");
        for name in names {
            let choices = find(name).unwrap();
            let preset = RetrievalConfig::preset(choices.preset.as_deref().unwrap()).unwrap();
            let config = choices.configure(preset).unwrap();
            // Pic2Word's warm-up alone is longer than CIRR: it is made for CC3M.
            let rows = if name == "pic2word" { 3_000_000 } else { CIRR };
            let settings = choices.settings(&config, rows).unwrap();
            let device = burn::tensor::Device::flex();
            let mut names = AnyMethod::new(&config, &device).unwrap().shapes("");
            if settings.trains_image_encoder() {
                names.extend(weights::shapes(&ImageEncoder::new(&config, &device), ENCODER_PREFIX));
            }
            groups::check(&settings.groups, names.keys().map(String::as_str)).unwrap();
            // A run stores what it was started with, and is resumed when that is equal.
            let stored = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<Settings>(&stored).unwrap(), settings, "{name}");
        }
    }

    #[test]
    fn sprc_on_cirr_is_as_published() {
        let settings = settings(&find("sprc-cirr").unwrap(), CIRR);
        // 220 whole batches of 128 an epoch.
        assert_eq!(
            (settings.batch, settings.steps, settings.schedule_steps, settings.warmup),
            (128, 11_000, 17_600, 352)
        );
        let own = settings.objective.two_pass().unwrap();
        assert_eq!((settings.learning_rate, own.t2t, own.p2p, own.losses), (1e-5, 0.4, 0.4, Losses::Sprc));
        assert_eq!((settings.schedule, settings.freeze_words), (Schedule::OneCycle, false));
        assert!(settings.decay_vectors && own.free_temperature);
    }

    #[test]
    fn sprc_on_fashioniq_is_as_published() {
        // 18,000 pairs: 140 whole batches an epoch.
        let settings = settings(&find("sprc-fashioniq").unwrap(), 18_000);
        assert_eq!((settings.batch, settings.steps, settings.schedule_steps, settings.warmup), (128, 4200, 0, 210));
        let own = settings.objective.two_pass().unwrap();
        assert_eq!((settings.learning_rate, own.t2t, own.p2p, own.losses), (2e-5, 1.0, 1.0, Losses::Sprc));
        assert_eq!((settings.schedule, settings.div_factor), (Schedule::OneCycle, 100.0));
        assert!(settings.decay_vectors && own.free_temperature && own.keep_false_negatives);
        assert_eq!((settings.wordings, settings.selection), (Some(Wordings::Drawn), Selection::Own));
    }

    #[test]
    fn spn4cirs_second_stage_is_as_published() {
        for name in ["spn4cir-stage2", "spn4cir-stage2-fashioniq"] {
            let choices = find(name).unwrap();
            let settings = settings(&choices, 3200);
            assert_eq!((settings.batch, settings.steps, settings.warmup, settings.clip), (32, 300, 0, 0.0));
            assert_eq!((settings.schedule, settings.learning_rate), (Schedule::Constant, 1e-5));
            assert_eq!((settings.weight_decay, settings.decay_vectors), (0.05, true));
            assert_eq!((choices.temperature, settings.selection), (Some(0.05), Selection::Own));
            let own = settings.objective.two_pass().unwrap();
            assert!(own.bank && own.bank_references && own.free_temperature && !own.fuse_by_image);
            let groups = settings.groups_in_force();
            let trains = |name: &str| !groups::is_frozen(&groups, name);
            assert!(["temperature", "second.word", "text_projection.bias"].into_iter().all(trains));
            assert!(
                !["qformer.word", "vision_projection.weight", "query_tokens", "image_norm.beta"]
                    .into_iter()
                    .any(trains)
            );
        }
    }

    #[test]
    fn pic2word_and_hycir_are_as_published() {
        // CC3M's images, of which Pic2Word reads 1,024 a step.
        let choices = find("pic2word").unwrap();
        let config = choices.configure(RetrievalConfig::preset(choices.preset()).unwrap()).unwrap();
        let pic2word = choices.settings(&config, 3_000_000).unwrap();
        assert_eq!((pic2word.batch, pic2word.steps, pic2word.warmup), (1024, 30 * 2929, 10_000));
        assert_eq!((pic2word.learning_rate, pic2word.betas, pic2word.epsilon), (1e-4, (0.9, 0.98), 1e-6));
        assert_eq!((pic2word.weight_decay, pic2word.decay_vectors, pic2word.clip), (0.1, false, 0.0));
        assert_eq!((pic2word.schedule, pic2word.objective.family().image_batch()), (Schedule::CosineToZero, 0));
        assert_eq!(pic2word.objective.pseudo_word().unwrap().losses, pseudo_word::Losses::Pic2word);
        let mapping = config.pseudo_word().unwrap().mapping.clone().unwrap();
        assert_eq!((mapping.tokens, mapping.hidden, mapping.dropout), (1, 512, 0.1));

        let choices = find("hycir").unwrap();
        for preset in [choices.preset(), "blip-vit-b-16"] {
            let config = choices.configure(RetrievalConfig::preset(preset).unwrap()).unwrap();
            let hycir = choices.settings(&config, 650_000).unwrap();
            assert_eq!(hycir.objective.pseudo_word(), Some(&pseudo_word::PseudoWordSettings::hycir()));
            assert_eq!((hycir.batch, hycir.objective.family().image_batch()), (256, 512));
            assert_eq!((hycir.learning_rate, hycir.betas, hycir.epsilon), (1e-4, (0.9, 0.999), 1e-8));
            assert_eq!((hycir.weight_decay, hycir.clip, hycir.schedule), (0.0, 0.0, Schedule::Constant));
            assert_eq!(config.pseudo_word().unwrap().mapping.as_ref().unwrap().tokens, 4);
            // Only the mapping network trains.
            let names = AnyMethod::new(&config, &burn::tensor::Device::flex()).unwrap().shapes("");
            let groups = hycir.groups_in_force();
            let trained: Vec<&String> = names.keys().filter(|name| !groups::is_frozen(&groups, name)).collect();
            assert!(trained.len() == 6 && trained.iter().all(|name| name.starts_with("mapping.")), "{trained:?}");
        }
    }

    #[test]
    fn context_cir_is_as_published() {
        let choices = find("context-cir").unwrap();
        for preset in [choices.preset(), "context-vit-b-16", "context-vit-l-14", "context-vit-h-14"] {
            let config = choices.configure(RetrievalConfig::preset(preset).unwrap()).unwrap();
            let context = choices.settings(&config, CIRR).unwrap();
            assert_eq!(context.objective.concept(), Some(&ConceptSettings::context_cir()));
            assert_eq!((context.batch, context.steps, context.warmup, context.clip), (256, 35_000, 500, 1.0));
            assert_eq!((context.learning_rate, context.weight_decay, context.decay_vectors), (2e-5, 1e-2, true));
            assert_eq!((context.betas, context.epsilon), ((0.9, 0.98), 1e-8));
            assert_eq!((context.schedule, context.cycle, context.cycle_factor), (Schedule::CosineRestarts, 2500, 2));
            assert_eq!((choices.temperature, config.concept().unwrap().temperature), (Some(0.07), 0.07));
            // Both towers train, and τ stays.
            let groups = context.groups_in_force();
            let trains = |name: &str| !groups::is_frozen(&groups, name);
            assert!(
                ["text.word", "image_encoder.vit.patch.weight", "fusion.0.attention.query.bias"]
                    .into_iter()
                    .all(trains)
            );
            assert!(!trains("logit_scale"));
        }
    }

    #[test]
    fn the_papers_recipes_drop_attentions_weights_and_leave_tau_free() {
        for (name, _) in BUILT_IN.iter().filter(|(name, _)| !name.starts_with("fluent")) {
            let choices = find(name).unwrap();
            let config = choices.configure(RetrievalConfig::preset(choices.preset()).unwrap()).unwrap();
            let Ok(own) = config.two_pass() else { continue };
            let q = &own.qformer;
            assert_eq!((q.dropout, q.attention_dropout), (0.1, 0.1), "{name}");
            let settings = choices.settings(&config, CIRR).unwrap();
            assert!(settings.decay_vectors && settings.objective.two_pass().unwrap().free_temperature, "{name}");
        }
    }

    #[test]
    fn a_run_computes_in_two_formats_alone() {
        use NumberFormat::{Bf16, F16, F32, F64, Int8, Q4, Q8};
        for precision in [F32, Bf16] {
            let choices = parse(&format!("precision = \"{precision}\""), "x.toml").unwrap();
            assert_eq!(settings(&choices, 1000).precision, precision);
        }
        let mut stored = serde_json::to_value(Settings::sprc()).unwrap();
        for precision in [F64, F16, Int8, Q8, Q4] {
            let settings = Settings { precision, ..Settings::sprc() };
            let refused = [settings.check(), check_precision(precision, &burn::tensor::Device::flex())];
            for message in refused.map(|refused| refused.unwrap_err().to_string()) {
                assert!(message.starts_with("--precision: ") && message.contains(precision.name()), "{message}");
            }
            stored["precision"] = precision.name().into();
            assert!(serde_json::from_value::<Settings>(stored.clone()).is_err(), "{precision}");
        }
        // A checkpoint of before there was a choice.
        stored.as_object_mut().unwrap().remove("precision");
        assert_eq!(serde_json::from_value::<Settings>(stored).unwrap().precision, F32);
    }

    #[test]
    fn options_win_and_mistakes_are_shown_with_their_line() {
        let recipe = parse("losses = \"sprc\"\nepochs = 2\nlearning-rate = 1e-5\n", "x.toml").unwrap();
        let option = Choices { steps: Some(7), learning_rate: Some(2e-5), ..Choices::default() };
        let settings = settings(&option.over(recipe), 1000);
        let own = settings.objective.two_pass().unwrap();
        assert_eq!((settings.steps, settings.learning_rate, own.losses), (7, 2e-5, Losses::Sprc));
        let problem = |text: &str| parse(text, "x.toml").unwrap_err().to_string();
        let unknown = problem("# first\nbatch = 8\nlerning-rate = 1\n");
        assert!(unknown.contains("x.toml, line 3") && unknown.contains("lerning-rate"), "{unknown}");
        assert!(problem("batch = 8\nsteps = \"many\"").contains("line 2"));
        let precision = problem("batch = 8\nprecision = \"f16\"");
        assert!(
            precision.contains("line 2") && precision.contains("f16 isn't taken here; choose f32 or bf16"),
            "{precision}"
        );
        assert!(problem("precision = \"fp32\"").contains("line 1"));
        assert!(problem("steps = 1\nepochs = 1").contains("both steps and epochs"));
        assert!(problem("[[groups]]\nmatch = \"x\"\nrates = 1").contains("line 3"));
        assert!(find("cirr").unwrap_err().to_string().contains("cirr-finetune"));
        let losses = find("captions").unwrap();
        assert_eq!((losses.own.shared.losses.as_deref(), losses.batch), (Some("captions"), None));
    }
}
