//! What eight and four bits cost a dual encoder: cosines of targets and queries with those of the plain weights, at the shapes of
//! tinyclip-8m with fixed pseudo-random weights, and what its bundles weigh.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::Device;
use pollster::block_on;
use std::collections::BTreeMap;
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::Form;
use thisbut_model::config::{
    Composition, ConceptConfig, FusionConfig, FusionForm, ImageEncoderConfig, MappingConfig, MethodConfig, Pooling,
    TargetForm, TextConfig,
};
use thisbut_model::image::Rgba;
use thisbut_model::quant::{CodeWidth, read_weights, write_weights};
use thisbut_model::retrieval::Retrieval;
use thisbut_model::weights::Tensors;
use thisbut_tests::fixed::{merges, tensors};
use thisbut_trainer::export::Packing;
use thisbut_trainer::footprint::{Footprint, PAGE};

const TEXTS: [&str; 4] =
    ["but red", "a round blue ring", "smaller, with black corners", "a photo of the same square in white"];

/// tinyclip-8m, but for a short list of merges: a word's row is quantized by itself, however many there are.
fn config(composition: Composition) -> RetrievalConfig {
    let mut config = RetrievalConfig::preset("tinyclip-8m").unwrap();
    config.text = TextConfig::Bpe { vocabulary: 601, length: 77 };
    let own = config.pseudo_word_mut().unwrap();
    own.mapping = Some(MappingConfig::default());
    own.composition = composition;
    config.check("x").unwrap();
    config
}

/// Some pictures that differ.
fn picture(seed: u32) -> Vec<u8> {
    (0..64 * 64 * 4_u32)
        .map(|at| {
            if at % 4 == 3 {
                255
            } else {
                ((at / 4 % 64 * (seed + 3)) ^ (at / 256 * (seed * 5 + 1)) ^ (at % 4 * 90)) as u8
            }
        })
        .collect()
}

/// Rows of targets, and of queries that compose each picture with each text.
fn rows(config: &RetrievalConfig, tensors: Tensors) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let model = Retrieval::load(config.clone(), tensors, &merges(), &Device::flex()).unwrap();
    let (mut targets, mut queries) = (Vec::new(), Vec::new());
    for seed in 0..4 {
        let image = model.encode_image(&Rgba::new(64, 64, &picture(seed)).unwrap()).unwrap();
        targets.push(block_on(model.target_rows(&image)).unwrap());
        for text in TEXTS {
            queries.extend(block_on(model.query_rows(Some(&image), &[&model.texts().tokens(text)])).unwrap());
        }
    }
    for text in TEXTS {
        queries.extend(block_on(model.query_rows(None, &[&model.texts().tokens(text)])).unwrap());
    }
    (targets, queries)
}

/// The smallest cosine of rows with their counterparts.
fn smallest(rows: &[Vec<f32>], exact: &[Vec<f32>]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let cosine = |(a, b): (&Vec<f32>, &Vec<f32>)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    rows.iter().zip(exact).map(cosine).fold(1.0, f32::min)
}

#[test]
fn quantized_towers_point_where_the_plain_ones_do() {
    for composition in [Composition::PseudoWords, Composition::WeightedSum { weight: 0.5 }] {
        let config = config(composition);
        let plain = tensors(&config, &Device::flex()).unwrap();
        let (targets, queries) = rows(&config, plain.clone());
        let packed = |codes: &dyn Fn(&str) -> Option<CodeWidth>| {
            let file = write_weights(&plain, |name, _| codes(name), &BTreeMap::new()).unwrap();
            let (t, q) = rows(&config, read_weights(&file).unwrap().into_iter().collect());
            [smallest(&t, &targets), smallest(&q, &queries)]
        };
        let as_exported = |width| {
            let packing = Packing { form: Form::Full, width: Some(width), split: u64::MAX, tokens: 1 };
            packed(&|name| packing.codes(&config, name))
        };
        let (eight, four) = (as_exported(CodeWidth::Q8), as_exported(CodeWidth::Q4));
        let coarse = packed(&|_| Some(CodeWidth::Q4));
        let words = packed(&|name| {
            let packing = Packing { form: Form::Full, width: Some(CodeWidth::Q4), split: u64::MAX, tokens: 1 };
            if name == "model.text.word" { Some(CodeWidth::Q8) } else { packing.codes(&config, name) }
        });
        println!("{}: smallest cosine of targets and queries", composition.name());
        println!("  q8 {eight:?}, q4 {four:?}, with words at 8 bits {words:?}, all at 4 bits {coarse:?}");
        // Random weights are the worst case: a composed query passes φ and the text tower after the image tower.
        assert!(eight[0] > 0.999 && eight[1] > 0.995, "{eight:?}");
        assert!(four[0] > 0.92 && four[1] > 0.85, "{four:?}");
        assert!(four[0] > coarse[0] && four[1] > coarse[1], "{four:?} {coarse:?}");
    }
}

/// The same towers, every token kept, with cross-attention in one of its forms.
fn concept(form: FusionForm, pooling: Pooling, target: TargetForm) -> RetrievalConfig {
    let mut config = config(Composition::WeightedSum { weight: 0.5 });
    let text_tower = config.method.family().text_tower().unwrap().clone();
    if let ImageEncoderConfig::Vit(vit) = &mut config.image_encoder {
        vit.pooled = None;
    }
    let fusion = FusionConfig { blocks: 2, heads: 4, form, width: None };
    let (temperature, dropout, image_head) = (0.07, 0.0, None);
    let own = ConceptConfig { text_tower, fusion, pooling, target, image_head, temperature, dropout };
    config.method = MethodConfig::Concept(own);
    config.check("x").unwrap();
    config
}

#[test]
fn quantized_cross_attention_points_where_the_plain_one_does() {
    for (form, pooling, target) in [
        (FusionForm::Attention, Pooling::SetTransformer, TargetForm::Fused),
        (FusionForm::Transformer, Pooling::Attention, TargetForm::Pooled),
    ] {
        let config = concept(form, pooling, target);
        let plain = tensors(&config, &Device::flex()).unwrap();
        let (targets, queries) = rows(&config, plain.clone());
        let [eight, four] = [CodeWidth::Q8, CodeWidth::Q4].map(|width| {
            let packing = Packing { form: Form::Full, width: Some(width), split: u64::MAX, tokens: 1 };
            let file = write_weights(&plain, |name, _| packing.codes(&config, name), &BTreeMap::new()).unwrap();
            let (t, q) = rows(&config, read_weights(&file).unwrap().into_iter().collect());
            [smallest(&t, &targets), smallest(&q, &queries)]
        });
        println!("{form:?}, {target:?}: smallest cosine of targets and queries: q8 {eight:?}, q4 {four:?}");
        assert!(eight[0] > 0.999 && eight[1] > 0.995, "{eight:?}");
        assert!(four[0] > 0.92 && four[1] > 0.85, "{four:?}");
    }
}

/// CLIP's list of merges has half a megabyte.
const MERGES: u64 = 540_000;

#[test]
fn tinyclips_first_visit_is_within_thirty_megabytes() {
    let config = RetrievalConfig::preset("tinyclip-8m").unwrap();
    let of = |form, width| {
        let packing = Packing { form, width: Some(width), split: 64_000_000, tokens: 1 };
        Footprint::of(&config, packing).unwrap()
    };
    for (form, width, least, most) in [
        (Form::Full, CodeWidth::Q8, 20e6, 30e6),
        (Form::Full, CodeWidth::Q4, 10e6, 16e6),
        (Form::GalleryReference, CodeWidth::Q8, 10e6, 20e6),
        (Form::GalleryReference, CodeWidth::Q4, 5e6, 11e6),
    ] {
        let footprint = of(form, width);
        let visit = (PAGE + footprint.weights_bytes() + MERGES) as f64;
        println!("{footprint}, first visit {:.1} MB", visit / 1e6);
        assert!((least..most).contains(&visit), "{footprint}");
        assert_eq!(footprint.problem(), None);
        assert!(footprint.reference.is_none_or(|bytes| bytes < 3000), "an image is one row");
    }
}
