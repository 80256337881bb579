//! all-MiniLM-L6-v2 in this project's own Q-Former blocks against Hugging Face's BertModel, with the real weights.
//! Golden values and where they come from: `tests/golden/minilm.py`.

use burn::tensor::Device;
use thisbut_model::RetrievalConfig;
use thisbut_model::nn::{Noise, QFormer, TextBatch};
use thisbut_model::weights;
use thisbut_tests::upstream::{Outcome, SMALL, Table, golden_json, numbers, real_weights};
use thisbut_trainer::sentences::{Sentences, WIDTH};

#[test]
fn sentence_embeddings_and_layers_match() -> Outcome {
    let Some(path) = real_weights(&["minilm.safetensors", "model.safetensors"], SMALL)? else { return Ok(()) };
    let golden = golden_json("minilm.json")?;
    let device = Device::flex();
    let bytes = std::fs::read(&path)?;
    let (mut tensors, unused) =
        weights::published::qformer(weights::read_safetensors(&bytes, &path.display().to_string())?);
    assert!(unused.iter().all(|k| k.starts_with("pooler.")), "keys without a place: {unused:?}");
    // web-s has MiniLM's own sizes. Cross-attention and query networks are not MiniLM's and take no part here.
    let config = RetrievalConfig::preset("web-s")?;
    let q = &config.two_pass()?.qformer;
    let model = QFormer::new(q, config.text.vocabulary(), config.image_width(), &device);
    let model = weights::load_partial(model, "qformer", &mut tensors)?;
    assert!(tensors.is_empty(), "tensors that found no parameter: {:?}", tensors.keys());

    let (ids, mask) = (numbers(&golden["ids"]), numbers(&golden["mask"]));
    let shape: Vec<usize> = numbers(&golden["shape"]).iter().map(|x| *x as usize).collect();
    let (b, l, d) = (shape[0], shape[1], shape[2]);
    let rows: Vec<_> = ids
        .chunks(l)
        .zip(mask.chunks(l))
        .map(|(i, m)| (i.iter().map(|x| *x as u32).collect(), m.iter().map(|x| *x > 0.5).collect()))
        .collect();

    let mut trace = Vec::new();
    model.read(None, &TextBatch::padded(&rows, l, &device), &Noise::off(), Some(&mut trace));
    let mut table = Table::default();
    let indices: Vec<usize> = numbers(&golden["indices"]).iter().map(|x| *x as usize).collect();
    let mut last = Vec::new();
    for (k, hidden) in trace.into_iter().enumerate() {
        assert_eq!(hidden.dims(), [b, l, d]);
        last = hidden.into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?;
        let got: Vec<f32> = indices.iter().map(|i| last[*i]).collect();
        let name = if k == 0 { "embeddings".to_owned() } else { format!("layer {}", k - 1) };
        table.relative(name, &got, &numbers(&golden["layers"][k]["values"]), 1e-5);
    }

    // Sentence embedding: the mean over real tokens, L2-normalised.
    for (row, expected) in golden["embeddings"].as_array().into_iter().flatten().enumerate() {
        let mut mean = vec![0.0f64; d];
        for t in (0..l).filter(|t| mask[row * l + t] > 0.5) {
            mean.iter_mut().zip(&last[(row * l + t) * d..]).for_each(|(m, x)| *m += f64::from(*x));
        }
        let expected: Vec<f64> = numbers(expected).into_iter().map(f64::from).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let cosine = dot(&mean, &expected) / (dot(&mean, &mean) * dot(&expected, &expected)).sqrt();
        table.add(format!("1 - cosine of sentence {row}"), (1.0 - cosine) as f32, 1e-5);
    }
    table.finish("MiniLM")
}

/// The encoder of `thisbut filter`, from texts to vectors: its tokenizer, its tower, the mean and the norm.
#[test]
fn the_sentence_encoder_gives_upstreams_vectors() -> Outcome {
    let Some(path) = real_weights(&["minilm.safetensors"], SMALL)? else { return Ok(()) };
    let golden = golden_json("minilm.json")?;
    let folder = path.parent().ok_or("the weights lie in a folder")?;
    let mut encoder = Sentences::load(folder, &Device::flex())?;
    let sentences: Vec<&str> =
        golden["sentences"].as_array().into_iter().flatten().filter_map(|s| s.as_str()).collect();
    let vectors = encoder.encode(&sentences)?;
    let mut table = Table::default();
    for (row, (vector, expected)) in
        vectors.iter().zip(golden["embeddings"].as_array().into_iter().flatten()).enumerate()
    {
        let expected = numbers(expected);
        assert_eq!((vector.len(), expected.len()), (WIDTH, WIDTH));
        let worst = vector.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        table.add(format!("vector of sentence {row}"), worst, 1e-5);
    }
    assert_eq!(encoder.encode(&sentences[..1])?[0], vectors[0], "a sentence that comes again has the same vector");
    table.finish("MiniLM as sentence encoder")
}
