//! A sentence encoder of all-MiniLM-L6-v2's shapes with random weights.

use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

const WIDTH: usize = 384;
const LAYERS: usize = 6;

/// Writes one to the folder of base weights; its vocabulary is the folder's.
pub fn random(weights: &Path, seed: u32) {
    let words = std::fs::read_to_string(weights.join("vocab.txt")).unwrap().lines().count();
    let mut named: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut add = |name: &str, dims: &[usize]| drop(named.insert(name.to_owned(), dims.to_vec()));
    add("embeddings.word_embeddings.weight", &[words, WIDTH]);
    add("embeddings.position_embeddings.weight", &[512, WIDTH]);
    let mut norms = vec!["embeddings".to_owned()];
    for layer in 0..LAYERS {
        let at = format!("encoder.layer.{layer}");
        for (part, outputs, inputs) in [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", 4 * WIDTH, WIDTH),
            ("output.dense", WIDTH, 4 * WIDTH),
        ] {
            add(&format!("{at}.{part}.weight"), &[outputs, inputs]);
            add(&format!("{at}.{part}.bias"), &[outputs]);
        }
        norms.extend([format!("{at}.attention.output"), format!("{at}.output")]);
    }
    for norm in norms {
        add(&format!("{norm}.LayerNorm.weight"), &[WIDTH]);
        add(&format!("{norm}.LayerNorm.bias"), &[WIDTH]);
    }
    let mut state = seed;
    let mut bytes = BTreeMap::new();
    for (name, dims) in &named {
        let gain = name.ends_with("LayerNorm.weight");
        let mut value = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            if gain { 1.0 } else { 0.1 * random }
        };
        let values: Vec<f32> = (0..dims.iter().product()).map(|_| value()).collect();
        bytes.insert(name, bytemuck::cast_slice::<f32, u8>(&values).to_vec());
    }
    let view = |(name, dims): (&String, &Vec<usize>)| {
        (name.clone(), TensorView::new(Dtype::F32, dims.clone(), &bytes[name]).unwrap())
    };
    let views: Vec<(String, TensorView)> = named.iter().map(view).collect();
    safetensors::serialize_to_file(views, None, &weights.join("minilm.safetensors")).unwrap();
}
