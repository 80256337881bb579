//! What a dual encoder's shapes say of its architecture.

use super::source::Source;
use std::collections::BTreeSet;
use std::fmt;
use thisbut_model::config::{ImageEncoderConfig, RetrievalConfig, TextTowerConfig, VitFamily};
use thisbut_model::upstream::{DualLayout, plain};

/// The sizes that tensors show; heads and activation are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    blip: bool,
    patch: usize,
    size: usize,
    vision: [usize; 2],
    text: [usize; 2],
    words: usize,
    positions: usize,
    projection: usize,
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { patch, size, vision: [blocks, width], text: [layers, across], projection, .. } = self;
        write!(
            f,
            "{size} pixels in patches of {patch}, {blocks} blocks of {width}; text of {layers} blocks of {across}; to {projection}"
        )
    }
}

/// Names of the tensors that tell: class token, positions, patches, words, text positions, image projection, and where the
/// blocks of both towers are.
struct Telling {
    class: &'static str,
    position: &'static str,
    patch: &'static str,
    word: &'static str,
    text_position: &'static str,
    projection: &'static str,
    blocks: [&'static str; 2],
}

impl Telling {
    fn of(layout: DualLayout) -> Self {
        let bert = "text_encoder.embeddings.word_embeddings.weight";
        let bert_position = "text_encoder.embeddings.position_embeddings.weight";
        match layout {
            DualLayout::HuggingFace => Self {
                class: "vision_model.embeddings.class_embedding",
                position: "vision_model.embeddings.position_embedding.weight",
                patch: "vision_model.embeddings.patch_embedding.weight",
                word: "text_model.embeddings.token_embedding.weight",
                text_position: "text_model.embeddings.position_embedding.weight",
                projection: "visual_projection.weight",
                blocks: ["vision_model.encoder.layers.", "text_model.encoder.layers."],
            },
            DualLayout::OpenAi => Self {
                class: "visual.class_embedding",
                position: "visual.positional_embedding",
                patch: "visual.conv1.weight",
                word: "token_embedding.weight",
                text_position: "positional_embedding",
                projection: "visual.proj",
                blocks: ["visual.transformer.resblocks.", "transformer.resblocks."],
            },
            DualLayout::OpenClipText => Self {
                word: "text.token_embedding.weight",
                text_position: "text.positional_embedding",
                blocks: ["visual.transformer.resblocks.", "text.transformer.resblocks."],
                ..Self::of(DualLayout::OpenAi)
            },
            DualLayout::BlipHuggingFace => Self {
                class: "vision_model.embeddings.class_embedding",
                position: "vision_model.embeddings.position_embedding",
                patch: "vision_model.embeddings.patch_embedding.weight",
                word: bert,
                text_position: bert_position,
                projection: "vision_proj.weight",
                blocks: ["vision_model.encoder.layers.", "text_encoder.encoder.layer."],
            },
            DualLayout::Blip => Self {
                class: "visual_encoder.cls_token",
                position: "visual_encoder.pos_embed",
                patch: "visual_encoder.patch_embed.proj.weight",
                word: bert,
                text_position: bert_position,
                projection: "vision_proj.weight",
                blocks: ["visual_encoder.blocks.", "text_encoder.encoder.layer."],
            },
        }
    }
}

impl Facts {
    /// The sizes of a checkpoint. The error is half a sentence: what is missing.
    pub fn of_source(source: &Source, layout: DualLayout) -> Result<Self, String> {
        let telling = Telling::of(layout);
        let find = |name: &str| {
            let found = source.entries().iter().find(|(key, _)| plain(key) == name);
            found.map(|(_, entry)| entry.dims.clone()).ok_or_else(|| format!("it has no {name}"))
        };
        let matrix = |name: &str| match find(name)?[..] {
            [.., rows, columns] => Ok([rows, columns]),
            _ => Err(format!("{name} is no matrix")),
        };
        let [_, width] = {
            let dims = find(telling.class)?;
            [0, dims.last().copied().unwrap_or(0)]
        };
        let [tokens, _] = matrix(telling.position)?;
        let [_, patch] = matrix(telling.patch)?;
        let [words, across] = matrix(telling.word)?;
        let [positions, _] = matrix(telling.text_position)?;
        let [rows, columns] = matrix(telling.projection)?;
        let side = tokens.saturating_sub(1).isqrt();
        if side == 0 || side * side + 1 != tokens {
            return Err(format!("{tokens} positions are no square of patches with a class token"));
        }
        let kept = matches!(layout, DualLayout::OpenAi | DualLayout::OpenClipText);
        Ok(Self {
            blip: layout.is_blip(),
            patch,
            size: side.saturating_mul(patch),
            vision: [blocks(source, telling.blocks[0]), width],
            text: [blocks(source, telling.blocks[1]), across],
            words,
            positions,
            projection: if kept { columns } else { rows },
        })
    }

    /// Whether the image tower is that of a configuration whose method has no text tower.
    pub fn has_image_tower_of(&self, config: &RetrievalConfig) -> bool {
        let (ImageEncoderConfig::Vit(vit), None) = (&config.image_encoder, config.method.family().text_tower()) else {
            return false;
        };
        let same_kind = self.blip == (vit.family == VitFamily::Blip) && vit.family != VitFamily::Eva;
        same_kind
            && (self.patch, self.size, self.vision) == (vit.patch, config.preprocess.size, [vit.layers, vit.width])
    }

    /// The sizes of a configuration; none where it is no published dual encoder's.
    pub fn of_config(config: &RetrievalConfig) -> Option<Self> {
        let (ImageEncoderConfig::Vit(vit), Some(tower)) = (&config.image_encoder, config.method.family().text_tower())
        else {
            return None;
        };
        let blip = matches!(tower, TextTowerConfig::Bert(_));
        (blip == (vit.family == VitFamily::Blip)).then(|| Self {
            blip,
            patch: vit.patch,
            size: config.preprocess.size,
            vision: [vit.layers, vit.width],
            text: [tower.layers(), tower.width()],
            words: config.text.vocabulary(),
            positions: tower.positions(),
            projection: config.projection,
        })
    }
}

/// How many blocks there are behind `place`.
fn blocks(source: &Source, place: &str) -> usize {
    let numbers =
        source.entries().keys().filter_map(|key| Some(plain(key).strip_prefix(place)?.split('.').next()?.to_owned()));
    numbers.collect::<BTreeSet<_>>().len()
}
