//! A decoder in 8 bits against itself in f32: its logits, its texts, and that a row depends on nothing but itself.

use burn::tensor::{Device, Distribution, FloatDType, Tensor, TensorData};
use thisbut_generator::runtime::{
    Bpe, Cache, Decoder, Decoding, Gguf, Llama, LlamaConfig, QuantizedLlama, Start, Strategy, adapters::Adapters,
    generate, names::Published,
};
use thisbut_tests::small_qformer::values;
use thisbut_tests::upstream::{Outcome, SMOLLM2, golden_bytes, golden_json, ids, real_weights};

fn open(bytes: &[u8]) -> Outcome<(LlamaConfig, Bpe, Llama)> {
    let file = Gguf::parse(bytes, "model.gguf")?;
    let config = LlamaConfig::from_gguf(&file)?;
    let model = Published::gguf(&config, &mut |name| file.tensor(name)).load(FloatDType::F32, &Device::flex())?;
    Ok((config, Bpe::from_gguf(&file)?, model))
}

fn all_logits(model: &dyn Decoder, x: Tensor<3>) -> Outcome<Vec<f32>> {
    let [b, n, w] = x.dims();
    let hidden = model.forward(x, &vec![vec![true; n]; b], None);
    values(model.logits(hidden.reshape([b * n, w])))
}

fn likeliest(row: &[f32]) -> usize {
    row.iter().enumerate().fold((f32::NEG_INFINITY, 0), |best, (i, v)| if *v > best.0 { (*v, i) } else { best }).1
}

#[test]
fn logits_are_near_the_exact_ones() -> Outcome {
    let (_, _, exact) = open(&golden_bytes("tiny-llama.gguf")?)?;
    let rough = QuantizedLlama::new(exact.clone())?;
    let row = ids(&golden_json("llama.json")?["gguf_file"]["ids"]);
    let x = exact.embed(std::slice::from_ref(&row));
    let (expected, got) = (all_logits(&exact, x.clone())?, all_logits(&rough, x)?);
    let size = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let worst = expected.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("largest difference {worst:.4} of logits up to {size:.2}");
    assert!(worst > 0.0 && worst < 0.03 * size);
    // A token's embedding is what the table has in 8 bits.
    let tokens = [vec![0, 7, 31], vec![5, 5, 1]];
    let (expected, got) = (values(exact.embed(&tokens))?, values(rough.embed(&tokens))?);
    let size = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(expected.iter().zip(&got).all(|(a, b)| (a - b).abs() <= size / 254.0 * 1.001));
    Ok(())
}

#[test]
fn part_by_part_comes_what_the_whole_gives() -> Outcome {
    let bytes = golden_bytes("tiny-llama.gguf")?;
    let (config, _, exact) = open(&bytes)?;
    let device = Device::flex();
    device.seed(5);
    let mut changes = Adapters::new(&config, 2, &device);
    for low in changes.blocks.iter_mut().flat_map(|block| [&mut block.query, &mut block.value, &mut block.down]) {
        low.b = low.b.clone().map(|b| b.random_like(Distribution::Normal(0.0, 0.1)));
    }
    let file = Gguf::parse(&bytes, "model.gguf")?;
    let mut fetch = |name: &str| file.tensor(name);
    let parts = QuantizedLlama::load(Published::gguf(&config, &mut fetch), Some(&changes), &device)?;
    let whole = QuantizedLlama::new(changes.merge(exact.clone()))?;
    let x = exact.embed(&[vec![3, 1, 4, 1, 5]]);
    let [parts, whole, unchanged] =
        [&parts, &whole, &QuantizedLlama::new(exact)?].map(|model| all_logits(model, x.clone()));
    let parts = parts?;
    assert_eq!(parts, whole?);
    assert_ne!(parts, unchanged?);
    Ok(())
}

#[test]
fn a_row_gets_the_same_bits_alone_and_among_others() -> Outcome {
    let (config, words, model) = open(&golden_bytes("tiny-llama.gguf")?)?;
    let (model, device, w) = (QuantizedLlama::new(model)?, Device::flex(), config.width);
    let (b, n) = (9, 5);
    let noise = (0..b * n * w).map(|i| ((i * 7919 % 1009) as f32 / 504.5 - 1.0) * 0.3).collect::<Vec<f32>>();
    let x = Tensor::<3>::from_data(TensorData::new(noise, [b, n, w]), &device);
    let logits = all_logits(&model, x.clone())?;
    let decoding = |strategy| Decoding { strategy, repetition_penalty: 1.2, least: 3, most: 12, target: None };
    let strategies = [
        Strategy::Greedy,
        Strategy::Sample { temperature: 1.0, top_p: 0.9, seed: 3 },
        Strategy::Beam { beams: 3, length_penalty: 1.0 },
    ];
    let together = strategies
        .iter()
        .map(|s| generate(&model, Start::new(x.clone()), &[words.end()], &decoding(*s)))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..b {
        let own = x.clone().slice([row..row + 1, 0..n]);
        let each = n * config.vocabulary;
        assert_eq!(all_logits(&model, own.clone())?, logits[row * each..(row + 1) * each], "row {row}");
        for (strategy, together) in strategies.iter().zip(&together) {
            let start = Start { numbers: vec![row as u64], ..Start::new(own.clone()) };
            let alone = generate(&model, start, &[words.end()], &decoding(*strategy))?;
            assert_eq!(alone, together[row..row + 1], "row {row}, {strategy:?}");
        }
    }
    // Position by position through the cache, too.
    let mut cache = Cache::new();
    let mut last = Vec::new();
    for at in 0..n {
        let hidden = model.forward(x.clone().slice([0..1, at..at + 1]), &[vec![true]], Some(&mut cache));
        last.extend(values(model.logits(hidden.reshape([1, w])))?);
    }
    let near = last.iter().zip(&logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let size = last.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(near < 0.02 * size, "{near} of {size}");
    Ok(())
}

/// Log-probabilities in f64.
fn log_softmax(row: &[f32]) -> Vec<f64> {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = row.iter().map(|s| f64::from(s - highest).exp()).sum();
    row.iter().map(|s| f64::from(s - highest) - total.ln()).collect()
}

#[test]
fn smollm2_loses_little() -> Outcome {
    let Some(path) = real_weights(&["SmolLM2-135M-Instruct.Q4_1.gguf"], SMOLLM2)? else { return Ok(()) };
    let (config, words, exact) = open(&std::fs::read(&path)?)?;
    let notes = golden_json("smollm2.json")?;
    // English that the model has not seen, in windows of 256 tokens.
    let text = include_str!("../golden/prose.txt");
    let tokens = words.encode(text)?;
    let windows: Vec<Vec<u32>> = tokens.chunks_exact(256).take(8).map(<[u32]>::to_vec).collect();
    let rough = QuantizedLlama::new(exact.clone())?;
    let (mut losses, mut divergence, mut same, mut count) = ([0.0; 2], 0.0, 0usize, 0usize);
    for window in &windows {
        let x = exact.embed(std::slice::from_ref(window));
        let (a, b) = (all_logits(&exact, x)?, all_logits(&rough, rough.embed(std::slice::from_ref(window)))?);
        let rows = a.chunks(config.vocabulary).zip(b.chunks(config.vocabulary));
        for ((a, b), next) in rows.zip(&window[1..]) {
            same += usize::from(likeliest(a) == likeliest(b));
            let (a, b) = (log_softmax(a), log_softmax(b));
            losses[0] -= a[*next as usize];
            losses[1] -= b[*next as usize];
            divergence += a.iter().zip(&b).map(|(a, b)| a.exp() * (a - b)).sum::<f64>();
            count += 1;
        }
    }
    let [loss, rough_loss] = losses.map(|sum| sum / count as f64);
    let (same, divergence) = (same as f64 / count as f64, divergence / count as f64);
    println!("perplexity {:.3} in f32, {:.3} in 8 bits ({count} tokens)", loss.exp(), rough_loss.exp());
    println!("divergence {divergence:.5} nats a token; the same likeliest token at {:.1} %", same * 100.0);
    println!("matrices: {:.1} MB", rough.bytes() as f64 / 1e6);
    let decoding = Decoding { strategy: Strategy::Greedy, repetition_penalty: 1.0, least: 0, most: 40, target: None };
    let prompt = [ids(&notes["ids"])];
    for model in [&exact as &dyn Decoder, &rough] {
        let answer = generate(model, Start::new(model.embed(&prompt)), &[words.end()], &decoding)?.remove(0);
        println!("greedy: {}", words.decode(&answer)?);
    }
    assert!((rough_loss - loss).abs() < 0.02 && divergence < 0.01 && same > 0.9 && rough.bytes() < 160_000_000);
    Ok(())
}
