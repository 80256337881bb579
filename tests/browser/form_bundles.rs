//! Writes the small bundles of the two forms that the browser tests load: both architectures of BLIP-2, a CLIP with each way
//! to compose, one with ConText-CIR's cross-attention in both forms, and FashionBLIP-2 with adapters, whole and along axes of its rows, all with fixed pseudo-random weights, indexed over coloured shapes as `thisbut export` does it, each with the native engine's answers
//! in `expected.json`. Run it after a change of format:
//!
//! ```sh
//! cargo run --release -p thisbut-tests --example form_bundles -- tests/browser/fixtures
//! ```

use burn::tensor::Device;
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::Form;
use thisbut_model::config::{Composition, FusionForm, Pooling, TargetForm};
use thisbut_model::quant::CodeWidth;
use thisbut_tests::fixed::{tensors, vocabulary_of};
use thisbut_trainer::export::{Packing, bundle, reduce, take_encoder};
use thisbut_trainer::index::engine::EngineEncoder;
use thisbut_trainer::index::{About, Again, Near, Options, index};
use thisbut_trainer::query::{Asker, Reference};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Several weights files, though the models are small.
const SPLIT: u64 = 32_000;

/// CLIP's towers with a mapping network.
const WORDS: &str = include_str!("configs/small-words.json");

/// FashionBLIP-2, with adapters in its image encoder.
const FASHION: &str = include_str!("configs/small-fashion.json");
/// CLIP's towers with cross-attention, in the form of ConText-CIR's paper.
const CONTEXT: &str = include_str!("configs/small-context.json");
/// The bundle whose model has the form of its code.
const CODE: &str = "context-gallery";

const BUNDLES: [(&str, &str, Form, CodeWidth); 12] = [
    ("eva-gallery", include_str!("configs/small-eva.json"), Form::GalleryReference, CodeWidth::Q8),
    ("clip-gallery", include_str!("configs/small-clip.json"), Form::GalleryReference, CodeWidth::Q4),
    ("eva-full", include_str!("configs/small-eva.json"), Form::Full, CodeWidth::Q4),
    ("clip-full", include_str!("configs/small-clip.json"), Form::Full, CodeWidth::Q8),
    ("words-full", WORDS, Form::Full, CodeWidth::Q8),
    ("words-gallery", WORDS, Form::GalleryReference, CodeWidth::Q4),
    ("sum-full", WORDS, Form::Full, CodeWidth::Q4),
    ("slerp-gallery", WORDS, Form::GalleryReference, CodeWidth::Q8),
    ("fashion-full", FASHION, Form::Full, CodeWidth::Q8),
    ("fashion-gallery", FASHION, Form::GalleryReference, CodeWidth::Q4),
    ("context-full", CONTEXT, Form::Full, CodeWidth::Q8),
    (CODE, CONTEXT, Form::GalleryReference, CodeWidth::Q4),
];

/// Axes that a bundle keeps of its rows.
const AXES: [(&str, usize); 1] = [("fashion-gallery", 16)];

/// How the bundles compose that do not compose as their configuration says.
const COMPOSITIONS: [(&str, Composition); 2] =
    [("sum-full", Composition::WeightedSum { weight: 0.4 }), ("slerp-gallery", Composition::Slerp { weight: 0.6 })];

fn answers(asker: &Asker, reference: Option<Reference>, text: &str) -> Result<Vec<Value>> {
    let hits = asker.ask(reference, (!text.is_empty()).then_some(text), 12)?;
    Ok(hits.iter().map(|hit| json!([hit.title, hit.score])).collect())
}

fn make(root: &Path, photos: &Path, (name, config, form, width): (&str, &str, Form, CodeWidth)) -> Result<()> {
    let (folder, device) = (root.join(name), Device::flex());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut config = RetrievalConfig::parse(config, name)?;
    if let Some((_, composition)) = COMPOSITIONS.iter().find(|(own, _)| *own == name) {
        config.pseudo_word_mut()?.composition = *composition;
    }
    if let Some((_, kept)) = AXES.iter().find(|(own, _)| *own == name) {
        config.matching_mut()?.axes = Some(*kept);
        config.projection = *kept;
    }
    if name == CODE {
        let own = config.concept_mut()?;
        (own.fusion.form, own.pooling, own.target) = (FusionForm::Transformer, Pooling::Attention, TargetForm::Pooled);
        own.fusion.width = None;
    }
    let mut tensors = tensors(&config, &device)?;
    // A mapping network that nothing reads is left out, as an export does.
    reduce(&mut config, &mut tensors)?;
    let encoder = match form {
        Form::GalleryReference => Some(take_encoder(&config, &mut tensors, &device)?),
        Form::Full => None,
    };
    let packing = Packing { form, width: Some(width), split: SPLIT, tokens: config.target_tokens };
    let made = bundle(&config, tensors, packing, vocabulary_of(&config))?;
    let options = Options {
        photos: photos.to_path_buf(),
        out: folder.clone(),
        csv: None,
        again: Again::Never,
        near: Near::Keep,
        about: About {
            title: Some("Shapes".into()),
            licence: Some("MIT OR Apache-2.0".into()),
            suggestions: Some(vec!["but red".into(), "but blue".into()]),
            understands: Some("coloured shapes; a random model, trained on nothing".into()),
        },
    };
    index(&options, &made, &mut EngineEncoder::new(&made, encoder, &device)?, &mut |_, _| {})?;

    let asker = Asker::open(&folder, &device)?;
    let mut expected = Vec::new();
    for (item, text) in
        [("ring-green.png", "but red"), ("cross-blue.png", "but round and yellow"), ("ring-red.png", "")]
    {
        let hits = answers(&asker, Some(Reference::Gallery(item)), text)?;
        expected.push(json!({ "item": item, "text": text, "hits": hits }));
    }
    expected.push(json!({ "item": null, "text": "blue circle", "hits": answers(&asker, None, "blue circle")? }));
    if form == Form::Full {
        let hits = answers(&asker, Some(Reference::File(&photos.join("ring-green.png"))), "but red")?;
        expected.push(json!({ "item": null, "upload": "ring-green.png", "text": "but red", "hits": hits }));
    }
    fs::write(folder.join("expected.json"), serde_json::to_string_pretty(&expected)? + "\n")?;
    Ok(())
}

fn main() -> Result<()> {
    let root = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    // Some of the shapes of the other test bundle.
    let photos = tempfile::tempdir()?;
    for shape in ["circle", "cross", "ring"] {
        for colour in ["blue", "green", "red", "yellow"] {
            let name = format!("{shape}-{colour}.png");
            fs::copy(root.join("tiny/thumbs").join(&name), photos.path().join(&name))?;
        }
    }
    BUNDLES.into_iter().try_for_each(|bundle| make(&root, photos.path(), bundle))
}
