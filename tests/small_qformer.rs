//! The small Q-Former of `tests/golden/qformer.safetensors` as this project's model, with its inputs.

use crate::upstream::{Golden, Outcome, Values};
use burn::tensor::{Device, Tensor, TensorData};
use thisbut_model::RetrievalConfig;
use thisbut_model::method::TwoPass;
use thisbut_model::nn::{ImageKeys, TextBatch};
use thisbut_model::weights;

/// The golden configuration, with read-out and second-pass mask of choice.
pub fn config(read_out: &str, mask: &str) -> Outcome<RetrievalConfig> {
    // The image encoder is not part of this: only its width counts.
    let text = format!(
        r#"{{
            "name": "golden",
            "preprocess": {{ "size": 32, "resize": "bicubic", "pad_ratio": 1.25, "pad_fill": [255, 255, 255],
                "background": [255, 255, 255], "mean": [127, 127, 127], "std": [128, 128, 128], "scale_to_unit": false }},
            "image_encoder": {{ "kind": "patch", "patch": 8, "width": 24 }},
            "qformer": {{ "layers": 4, "width": 32, "heads": 4, "intermediate": 48, "query_tokens": 5,
                "cross_attention_every": 2, "vocabulary": 60, "positions": 64, "dropout": 0.0 }},
            "projection": 16, "text_length": 8, "read_out": "{read_out}", "second_pass_mask": "{mask}"
        }}"#
    );
    Ok(RetrievalConfig::parse(&text, "the golden configuration")?)
}

/// The golden batch: three triplets with texts of different lengths.
pub struct Batch {
    /// Reference images.
    pub reference: ImageKeys,
    /// Target images.
    pub target: ImageKeys,
    /// Modifiers.
    pub text: TextBatch,
    /// Reverse modifiers.
    pub reverse: TextBatch,
}

/// A golden tensor on `device`.
pub fn tensor<const D: usize>(values: &Values, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.data.clone(), values.shape.clone()), device)
}

/// A tensor's values, row-major.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Outcome<Vec<f32>> {
    Ok(tensor.into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?)
}

/// The modifiers, or with suffix `_rev` the reverse modifiers, padded to full length.
pub fn text(golden: &Golden, suffix: &str, device: &Device) -> Outcome<TextBatch> {
    let (ids, mask) = (golden.get(&format!("input.ids{suffix}"))?, golden.get(&format!("input.mask{suffix}"))?);
    let length = ids.shape[1];
    let rows = ids.data.chunks(length).zip(mask.data.chunks(length));
    let rows: Vec<_> =
        rows.map(|(i, m)| (i.iter().map(|x| *x as u32).collect(), m.iter().map(|x| *x > 0.5).collect())).collect();
    Ok(TextBatch::padded(&rows, length, device))
}

/// The model with every golden weight in it, none left over. Image tokens skip `ln_vision`, which upstream applies to the
/// vision encoder's output before the Q-Former.
pub fn model(golden: &Golden, config: &RetrievalConfig, device: &Device) -> Outcome<TwoPass> {
    let source = golden.weights().map(|(name, v)| (name.to_owned(), (v.shape.clone(), v.data.clone()))).collect();
    let (mut tensors, unused) = weights::published::qformer(source);
    if !unused.is_empty() {
        return Err(format!("keys without a place: {unused:?}").into());
    }
    let width = config.image_width();
    tensors.insert("image_norm.gamma".into(), (vec![width], vec![1.0; width]));
    tensors.insert("image_norm.beta".into(), (vec![width], vec![0.0; width]));
    let model = weights::load(TwoPass::new(config, device)?, "", &mut tensors)?;
    if tensors.is_empty() { Ok(model) } else { Err(format!("no parameter for {:?}", tensors.keys()).into()) }
}

/// The golden batch, its image tokens straight from the file.
pub fn batch(golden: &Golden, model: &TwoPass, device: &Device) -> Outcome<Batch> {
    Ok(Batch {
        reference: model.qformer.image_keys(tensor(golden.get("input.image_ref")?, device)),
        target: model.qformer.image_keys(tensor(golden.get("input.image_tgt")?, device)),
        text: text(golden, "", device)?,
        reverse: text(golden, "_rev", device)?,
    })
}
