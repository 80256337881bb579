//! `thisbut import`: checkpoints of ConText-CIR's published code, which hold CLIP's towers behind prefixes and its own parts.

use super::source::Source;
use crate::error::{Result, TrainerError};
use thisbut_model::config::{
    ConceptConfig, FusionForm, ImageEncoderConfig, Pooling, RetrievalConfig, TargetForm, TextTowerConfig, VitFamily,
};
use thisbut_model::upstream::{CONTEXT_SIGN, context_blocks, plain};

/// Whether `source` is a checkpoint of this class.
pub fn is_of(source: &Source) -> bool {
    source.entries().keys().any(|name| plain(name) == CONTEXT_SIGN)
}

/// Gives a concept model the published code's form, with as many blocks as `source` has.
///
/// # Errors
/// When the configuration is another family's.
pub fn take_form(config: &mut RetrievalConfig, source: &Source) -> Result<()> {
    let names: Vec<_> = source.entries().keys().map(|name| plain(name)).collect();
    let own = config.concept_mut()?;
    (own.fusion.form, own.pooling, own.target) = (FusionForm::Transformer, Pooling::Attention, TargetForm::Pooled);
    (own.fusion.blocks, own.fusion.width) = (context_blocks(names.iter().map(AsRef::as_ref)), None);
    config.give_image_head();
    Ok(())
}

/// The side of the patches of a model that the published class can hold.
///
/// # Errors
/// When the model has another form, or other towers than CLIP's.
pub fn patch(config: &RetrievalConfig, method: &ConceptConfig) -> Result<usize> {
    let form = (method.fusion.form, method.pooling, method.target, method.fusion.width);
    match (&config.image_encoder, &method.text_tower) {
        (ImageEncoderConfig::Vit(vit), TextTowerConfig::Clip(_))
            if vit.family == VitFamily::Clip
                && form == (FusionForm::Transformer, Pooling::Attention, TargetForm::Pooled, None) =>
        {
            Ok(vit.patch)
        }
        _ => Err(TrainerError::settings(
            &config.name,
            "ConText-CIR's published class has CLIP's towers, blocks with a feed-forward network, pooling by attention and CLIP's own \
             row for targets",
            "train with --fusion transformer --pooling attention --target-form pooled on a preset context-vit-*, or export the \
             model with `thisbut export`",
        )),
    }
}
