//! A bundle of the tiny model with fixed weights.

use std::collections::BTreeMap;
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::{Manifest, WeightsEntry};
use thisbut_model::method::TwoPass;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::retrieval::{ENCODER_PREFIX, MODEL_PREFIX};
use thisbut_model::weights::collect;
use thisbut_trainer::bundle_io::Writer;

/// A bundle of the tiny model in `folder`, without a gallery.
pub fn tiny_bundle(folder: &Path) {
    let config = RetrievalConfig::preset("tiny").unwrap();
    let device = thisbut_trainer::device::choose(Default::default()).unwrap();
    let mut tensors = collect(&ImageEncoder::new(&config, &device), ENCODER_PREFIX).unwrap();
    tensors.extend(collect(&TwoPass::new(&config, &device).unwrap(), MODEL_PREFIX).unwrap());
    // Fixed weights, wide enough that the photos' targets differ: BERT's start maps them all to nearly one point.
    for (dims, values) in tensors.values_mut().filter(|(dims, _)| dims.len() > 1) {
        let mut state = dims.iter().product::<usize>() as u32;
        for value in values {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
        }
    }
    let weights = thisbut_model::quant::write_weights(&tensors, |_, _| None, &BTreeMap::new()).unwrap();
    let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nbut\nred\nwith\na\nhat\n";
    let mut writer = Writer::new(folder).unwrap();
    let weights = WeightsEntry {
        file: writer.add("", "weights", "safetensors", &weights).unwrap(),
        code_width: NumberFormat::F32,
    };
    let vocab = writer.add("", "vocab", "txt", vocab.as_bytes()).unwrap();
    let manifest = Manifest::of_model(&config, vec![weights], vocab).unwrap();
    writer.finish(&manifest).unwrap();
}
