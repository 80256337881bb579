//! Recipes: files of choices, those of the papers built in.

use super::choices::Choices;
use super::objective::two_pass::Losses;
use crate::error::{Result, TrainerError};
use crate::fsx;
use clap::ValueEnum;
use std::path::Path;

/// The recipes that are part of this program: name and text.
pub const BUILT_IN: [(&str, &str); 8] = [
    ("cirr-pretrain", include_str!("../../../recipes/cirr-pretrain.toml")),
    ("cirr-finetune", include_str!("../../../recipes/cirr-finetune.toml")),
    ("fashioniq-pretrain", include_str!("../../../recipes/fashioniq-pretrain.toml")),
    ("fashioniq-finetune", include_str!("../../../recipes/fashioniq-finetune.toml")),
    ("sprc-cirr", include_str!("../../../recipes/sprc-cirr.toml")),
    ("spn4cir-stage2", include_str!("../../../recipes/spn4cir-stage2.toml")),
    ("fluent-captions", include_str!("../../../recipes/fluent-captions.toml")),
    ("fluent", include_str!("../../../recipes/fluent.toml")),
];

/// The choices behind `--recipe`: a recipe that is built in, or a recipe file. Yesterday's spelling of `--losses`, the losses'
/// name alone, is read too.
///
/// # Errors
/// [`TrainerError::Settings`] when there is none of that name, or its file has a mistake: with the line.
pub fn find(name: &str) -> Result<Choices> {
    if let Ok(losses) = Losses::from_str(name, false) {
        return Ok(Choices { losses: Some(losses), ..Choices::default() });
    }
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return parse(text, &format!("recipe {name}"));
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e == "toml") || path.exists() {
        return parse(&fsx::read_text(path)?, name);
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
    let choices: Choices = toml::from_str(text).map_err(|e| {
        let before = text.get(..e.span().map_or(0, |span| span.start)).unwrap_or(text);
        let place = format!("{place}, line {}", before.matches('\n').count() + 1);
        TrainerError::settings(
            place,
            e.message(),
            "keys are the long options of `thisbut finetune`, without the dashes",
        )
    })?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::objective::ObjectiveSettings;
    use super::super::settings::{Schedule, Settings, check_precision};
    use super::*;
    use crate::train::groups;
    use thisbut_model::RetrievalConfig;
    use thisbut_model::method::TwoPass;
    use thisbut_model::number::NumberFormat;
    use thisbut_model::weights;

    /// CIRR's training triplets.
    const CIRR: usize = 28_225;

    #[test]
    fn every_built_in_recipe_makes_a_run() {
        for (name, _) in BUILT_IN {
            let choices = find(name).unwrap();
            let preset = RetrievalConfig::preset(choices.preset.as_deref().unwrap()).unwrap();
            let config = choices.configure(preset).unwrap();
            let settings = choices.settings(CIRR).unwrap();
            let names = weights::shapes(&TwoPass::new(&config, &burn::tensor::Device::flex()).unwrap(), "");
            groups::check(&settings.groups, names.keys().map(String::as_str)).unwrap();
            // A run stores what it was started with, and is resumed when that is equal.
            let stored = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<Settings>(&stored).unwrap(), settings, "{name}");
        }
    }

    #[test]
    fn sprc_on_cirr_is_as_published() {
        let settings = find("sprc-cirr").unwrap().settings(CIRR).unwrap();
        // 220 whole batches of 128 an epoch.
        assert_eq!(
            (settings.batch, settings.steps, settings.schedule_steps, settings.warmup),
            (128, 11_000, 17_600, 352)
        );
        let ObjectiveSettings::TwoPass(own) = &settings.objective;
        assert_eq!((settings.learning_rate, own.t2t, own.p2p, own.losses), (1e-5, 0.4, 0.4, Losses::Sprc));
        assert_eq!((settings.schedule, settings.freeze_words), (Schedule::OneCycle, false));
    }

    #[test]
    fn a_run_computes_in_two_formats_alone() {
        use NumberFormat::{Bf16, F16, F32, F64, Int8, Q4, Q8};
        for precision in [F32, Bf16] {
            let choices = parse(&format!("precision = \"{precision}\""), "x.toml").unwrap();
            assert_eq!(choices.settings(1000).unwrap().precision, precision);
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
        let settings = option.over(recipe).settings(1000).unwrap();
        let ObjectiveSettings::TwoPass(own) = &settings.objective;
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
        assert_eq!((losses.losses, losses.batch), (Some(Losses::Captions), None));
    }
}
