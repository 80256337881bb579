//! A whole InstructBLIP, from image tokens and an instruction to the language model's logits, against transformers. Golden
//! values and where they come from: `tests/golden/instructblip.py`.

use burn::tensor::{Device, FloatDType, Tensor};
use thisbut_generator::mtst::head_pieces;
use thisbut_generator::mtst::{Mtst, MtstForm};
use thisbut_generator::runtime::names::Published;
use thisbut_generator::runtime::{LlamaConfig, Start, generate};
use thisbut_model::ModelError;
use thisbut_model::nn::basic::fold;
use thisbut_model::nn::{Noise, TextBatch};
use thisbut_model::weights::{self, Tensors};
use thisbut_tests::small_qformer::{config, tensor, values};
use thisbut_tests::upstream::{Golden, Outcome, Table, decoding, golden_json, ids};

#[test]
fn logits_match_through_qformer_projection_and_language_model() -> Outcome {
    let (device, golden) = (Device::flex(), Golden::read("instructblip.safetensors")?);
    let mut architecture = config("cls", "padding")?;
    architecture.two_pass_mut()?.qformer.positions = 40;
    let sizes =
        LlamaConfig::from_hugging_face(&golden_json("instructblip.json")?["text_config"].to_string(), "golden")?;
    let mut fetch = |name: &str| -> Result<_, ModelError> {
        Ok(golden.get(&format!("language_model.{name}")).ok().map(|v| (v.shape.clone(), v.data.clone())))
    };
    let decoder = Published::hugging_face(&sizes, &mut fetch).load(FloatDType::F32, &device)?;

    // Every tensor of the head finds its place, and every parameter a tensor.
    let head = Mtst::new(&architecture, MtstForm::Code, &sizes, &device)?;
    let wanted = weights::shapes(&head, "");
    let mut tensors = Tensors::new();
    for (key, value) in golden.weights().filter(|(key, _)| !key.starts_with("language_model.")) {
        for piece in head_pieces(key) {
            let dims = wanted.get(&piece.name).ok_or_else(|| format!("{key}: no {}", piece.name))?;
            let values = piece.rule.apply(key, &value.shape, &value.data, dims)?;
            tensors.insert(piece.name, (dims.clone(), values));
        }
    }
    // The image tokens of the golden file are after the norm.
    let width = architecture.image_width();
    tensors.insert("image_norm.gamma".into(), (vec![width], vec![1.0; width]));
    tensors.insert("image_norm.beta".into(), (vec![width], vec![0.0; width]));
    // What `thisbut generator train --start` takes from the file is the same.
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/instructblip.safetensors");
    let start = thisbut_generator::start::weights(&path, &architecture, &sizes)?;
    assert!(start.len() > 50 && start.iter().all(|(name, value)| tensors.get(name) == Some(value)));
    assert_eq!(start.len() + 2, tensors.len());
    let other = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/llama.safetensors");
    let refused = thisbut_generator::start::weights(&other, &architecture, &sizes);
    assert!(refused.is_err_and(|e| e.to_string().contains("no Q-Former")));
    let head = weights::load(head, "", &mut tensors)?;
    assert!(tensors.is_empty(), "no parameter for {:?}", tensors.keys());

    let (instruction, mask) = (golden.get("input.instruction")?, golden.get("input.mask")?);
    let length = instruction.shape[1];
    let rows = instruction.data.chunks(length).zip(mask.data.chunks(length));
    let rows: Vec<_> =
        rows.map(|(i, m)| (i.iter().map(|x| *x as u32).collect(), m.iter().map(|x| *x > 0.5).collect())).collect();
    let text = TextBatch::padded(&rows, length, &device);
    let image: Tensor<3> = tensor(golden.get("input.image")?, &device);
    let b = image.dims()[0];
    let tokens = head.query_tokens.val();
    let [n, d] = tokens.dims();
    let queries = tokens.unsqueeze::<3>().expand([b, n, d]);
    let hidden = head.qformer.fuse(queries, &text, &head.qformer.image_keys(image), &Noise::off(), None);
    let visual = fold(&head.projection, hidden.slice([0..b, 0..n]));
    let said = golden.get("input.ids")?;
    let said: Vec<Vec<u32>> = said.data.chunks(said.shape[1]).map(|r| r.iter().map(|x| *x as u32).collect()).collect();
    let x = Tensor::cat(vec![visual, decoder.embed(&said)], 1);
    let [_, count, w] = x.dims();
    // transformers counts the token that begins an answer among those that were said.
    let notes = golden_json("instructblip.json")?;
    for (name, settings) in notes["settings"].as_object().ok_or("no settings")? {
        let answers = notes["answers"][name].as_array().into_iter().flatten();
        let expected: Vec<Vec<u32>> = answers.map(ids).collect();
        let start = Start { used: vec![vec![1]; b], ..Start::new(x.clone()) };
        let end = settings["eos_token_id"].as_u64().unwrap_or(2) as u32;
        assert_eq!(generate(&decoder, start, &[end], &decoding(settings))?, expected, "{name}");
        assert!(expected.iter().map(Vec::len).sum::<usize>() > 12, "{name}: hardly an answer");
    }
    let hidden = decoder.forward(x, &vec![vec![true; count]; b], None);
    let logits = decoder.logits(hidden.reshape([b * count, w]));
    let mut table = Table::default();
    table.absolute("logits", &values(logits)?, &golden.get("out.logits")?.data, 1e-4);
    table.finish("InstructBLIP")
}
