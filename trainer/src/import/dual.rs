//! `thisbut import`: published dual encoders, CLIP's, OpenCLIP's and BLIP's. Which preset one is, its shapes say; what they do not say,
//! the configuration beside it.

use super::context;
use super::facts::Facts;
use super::pickle::shown;
use super::plan::Plan;
use super::source::Source;
use crate::error::{Result, TrainerError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use thisbut_model::config::{
    Activation, AdapterConfig, Composition, ImageEncoderConfig, MappingConfig, MethodConfig, RetrievalConfig,
    TextTowerConfig,
};
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::upstream::{
    DualLayout, MAPPING_PREFIX, Piece, context_lacks, context_outgoing, dual_outgoing, dual_pieces, plain,
};
use thisbut_model::weights::shapes;

/// The layout of a dual encoder's checkpoint; none for one of another kind.
pub fn layout(source: &Source) -> Option<DualLayout> {
    DualLayout::of(source.entries().keys().map(String::as_str))
}

/// The configuration of the dual encoder in `source`, whose files are `files`: `named`, or the preset of its shapes, with what
/// `config.json` beside the files says, and a mapping network where one lies beside.
///
/// # Errors
/// When the checkpoint is of no preset, of another than `named`, or its `config.json` asks for what this program does not have.
pub fn configure(
    source: &Source,
    layout: DualLayout,
    files: &[PathBuf],
    named: Option<RetrievalConfig>,
) -> Result<RetrievalConfig> {
    let place = files.first().map(|file| file.display().to_string()).unwrap_or_default();
    let found = Facts::of_source(source, layout).map_err(|missing| {
        TrainerError::checkpoint(
            &place,
            format!("not a usable checkpoint of {}: {missing}", layout.name()),
            "download it again, or check that it is the right file",
        )
    })?;
    // A method that reads a dual encoder's tokens has its sizes too, and is asked for by name.
    let is_context = context::is_of(source);
    let recognised = RetrievalConfig::PRESETS.iter().find(|(_, json)| {
        RetrievalConfig::parse(json, "a preset").is_ok_and(|config| {
            let asked = if is_context { config.concept().is_ok() } else { config.method.family().is_dual_encoder() };
            asked && Facts::of_config(&config).as_ref() == Some(&found)
        })
    });
    let preset = recognised.map(|(name, _)| *name);
    let mut config = match (named, preset) {
        (Some(named), _) if Facts::of_config(&named).as_ref() == Some(&found) => named,
        // A Q-Former reads the image tower's tokens, and no text tower.
        (Some(named), _) if found.has_image_tower_of(&named) => named,
        (Some(named), preset) => return Err(another(&place, &found, &named, preset)),
        (None, Some(preset)) => RetrievalConfig::preset(preset)?,
        (None, None) => {
            return Err(TrainerError::checkpoint(
                &place,
                format!("it is of no preset: {found}"),
                "write a configuration file of these sizes after model/configs/clip-vit-b-32.json, and give it with --preset",
            ));
        }
    };
    if let (DualLayout::Blip, ImageEncoderConfig::Vit(vit)) = (layout, &mut config.image_encoder) {
        // Salesforce's code has the family's epsilon, transformers' class another.
        vit.layer_norm_eps = None;
    }
    super::described::apply(&mut config, files)?;
    if is_context && config.concept().is_ok() {
        context::take_form(&mut config, source)?;
    }
    add_mapping(&mut config, source)?;
    config.check(&place)?;
    Ok(config)
}

/// What is taken for granted of a checkpoint, for people: its activation, where no file beside it says that.
pub fn assumed(layout: DualLayout, files: &[PathBuf], config: &RetrievalConfig) -> Option<String> {
    let ImageEncoderConfig::Vit(vit) = &config.image_encoder else { return None };
    if layout.is_blip() || super::described::says_activation(files) {
        return None;
    }
    let (taken, other, whose) = match vit.activation() {
        Activation::QuickGelu => ("QuickGELU", "gelu", "most of OpenCLIP's"),
        Activation::Gelu => ("exact GELU", "quick-gelu", "OpenAI's"),
    };
    Some(format!(
        "no configuration beside it says its activation: it is taken to be {taken}; `thisbut import --activation {other}` takes \
         that of {whose}"
    ))
}

/// The refusal of a checkpoint of another dual encoder than the one that was named.
fn another(place: &str, found: &Facts, named: &RetrievalConfig, preset: Option<&str>) -> TrainerError {
    let sizes = match Facts::of_config(named) {
        Some(facts) => facts.to_string(),
        None => "no published dual encoder".to_owned(),
    };
    let (is, mend) = match preset {
        Some(preset) => (format!("it is {preset} ({found})"), format!("choose --preset {preset}, or leave it out")),
        None => (format!("it is of no preset ({found})"), "write a configuration file of these sizes".to_owned()),
    };
    TrainerError::checkpoint(place, format!("{is}, not {} ({sizes})", named.name), mend)
}

/// Adds the mapping network that lies beside the dual encoder, as `thisbut convert` writes it.
fn add_mapping(config: &mut RetrievalConfig, source: &Source) -> Result<()> {
    let dims =
        |name: &str| source.entries().get(&format!("{MAPPING_PREFIX}.{name}")).map(|entry| entry.dims.as_slice());
    let (Some([rows, hidden]), MethodConfig::PseudoWord(method)) = (dims("fc_out.weight"), &mut config.method) else {
        return Ok(());
    };
    let width = method.text_tower.width();
    if *rows == 0 || rows % width != 0 {
        return Err(TrainerError::checkpoint(
            format!("{MAPPING_PREFIX}.fc_out.weight"),
            format!("{rows} rows are no pseudo-words of width {width}"),
            "use a mapping network that was trained for this text tower",
        ));
    }
    method.mapping = Some(MappingConfig { tokens: rows / width, hidden: *hidden, ..MappingConfig::default() });
    method.composition = Composition::PseudoWords;
    Ok(())
}

/// Matches the tensors of `source` with the parameters of `config`, without reading one.
///
/// # Errors
/// When a shape does not fit, two tensors claim one parameter, or parameters overlap in the file.
pub fn plan(source: &Source, config: &RetrievalConfig, layout: DualLayout) -> Result<Plan> {
    let ImageEncoderConfig::Vit(vit) = &config.image_encoder else {
        return Err(TrainerError::settings(
            format!("--preset {}", config.name),
            "its image encoder is not one of a published dual encoder",
            "use one of the presets clip-*, tinyclip-*, openclip-* and blip-*",
        ));
    };
    let device = crate::device::choose(crate::device::DeviceKind::Cpu)?;
    let mut all = AnyMethod::new(config, &device)?.shapes("");
    let reads_tokens = config.qformer().is_ok();
    let own = context::is_of(source) && config.concept().is_ok();
    all.retain(|name, _| own || !is_new(name, reads_tokens));
    all.extend(
        shapes(&ImageEncoder::new(config, &device), "").into_iter().filter(|(name, _)| !AdapterConfig::owns(name)),
    );
    let (made, beside) =
        if own { (context_outgoing(&all, vit.patch)?, Vec::new()) } else { dual_outgoing(&all, vit.patch, layout)? };
    let table: BTreeMap<String, Vec<Piece>> =
        made.iter().chain(&beside).map(|made| (plain(&made.key).into_owned(), dual_pieces(made))).collect();
    let pieces = |key: &str| table.get(&*plain(key)).cloned().unwrap_or_default();
    if own {
        return Plan::new(source, config, &pieces, &context_lacks);
    }
    // Hugging Face's BLIP has no temperature.
    Plan::new(source, config, &pieces, &|name| is_new(name, reads_tokens) || name == "logit_scale" && layout.is_blip())
}

/// Whether a parameter is one of a method that puts more on a dual encoder's towers, or, where it `reads_tokens` of the image tower
/// alone, a Q-Former's.
fn is_new(name: &str, reads_tokens: bool) -> bool {
    let concept = ["image_map.", "fusion.", "pool.", "head.", "image_head."];
    let matching = ["qformer.", "image_norm.", "query_tokens", "token_mixing.", "channel_mixing.", "tau"];
    let mut new = concept.iter().chain(if reads_tokens { &matching[..] } else { &[] });
    new.any(|part| name.starts_with(part))
}

/// Sets the activation of both towers.
///
/// # Errors
/// When the text tower is BERT, which has exact GELU alone.
pub fn set_activation(config: &mut RetrievalConfig, activation: Activation) -> Result<()> {
    if let ImageEncoderConfig::Vit(vit) = &mut config.image_encoder {
        vit.activation = (activation != vit.family.activation()).then_some(activation);
    }
    match config.method.family_mut().text_tower_mut() {
        Some(TextTowerConfig::Clip(tower)) => {
            tower.activation = activation;
            Ok(())
        }
        None => Ok(()),
        Some(TextTowerConfig::Bert(_)) if activation == Activation::Gelu => Ok(()),
        Some(TextTowerConfig::Bert(_)) => Err(TrainerError::settings(
            "the activation",
            "BERT's is exact GELU",
            format!("import {} as it is", shown(&config.name)),
        )),
    }
}
