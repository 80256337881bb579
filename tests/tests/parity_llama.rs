//! The decoder, its files, its tokenizer and its decoding against transformers, tokenizers and gguf. Golden values and where
//! they come from: `tests/golden/llama.py`, `tests/golden/smollm2.py`.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use serde_json::Value;
use thisbut_generator::runtime::{
    Bpe, Cache, Decoding, Gguf, Llama, LlamaConfig, Start, Strategy, generate, names::Published,
};
use thisbut_model::ModelError;
use thisbut_tests::small_qformer::{tensor, values};
use thisbut_tests::upstream::{
    Golden, Outcome, SMOLLM2, Table, decoding, golden_bytes, golden_json, ids, numbers, real_weights,
};

const LIMIT: f32 = 1e-4;

fn small(golden: &Golden, notes: &Value, name: &str, device: &Device) -> Outcome<Llama> {
    let config = LlamaConfig::from_hugging_face(&notes[name]["config"].to_string(), name)?;
    let mut fetch = |key: &str| -> Result<_, ModelError> {
        Ok(golden.get(&format!("{name}.{key}")).ok().map(|v| (v.shape.clone(), v.data.clone())))
    };
    Ok(Published::hugging_face(&config, &mut fetch).load(FloatDType::F32, device)?)
}

fn mask(golden: &Golden, name: &str) -> Outcome<Vec<Vec<bool>>> {
    let mask = golden.get(&format!("input.{name}.mask"))?;
    Ok(mask.data.chunks(mask.shape[1]).map(|row| row.iter().map(|x| *x > 0.5).collect()).collect())
}

fn all_logits(model: &Llama, hidden: Tensor<3>) -> Outcome<Vec<f32>> {
    let [b, n, w] = hidden.dims();
    values(model.logits(hidden.reshape([b * n, w])))
}

/// The real positions' logits of rows padded on either side.
fn real_only(logits: &[f32], real: &[Vec<bool>], v: usize) -> Vec<f32> {
    logits.chunks(v).zip(real.iter().flatten()).filter(|(_, real)| **real).flat_map(|(row, _)| row.to_vec()).collect()
}

#[test]
fn logits_match_with_padding_on_either_side_and_with_the_cache() -> Outcome {
    let (device, golden, notes) = (Device::flex(), Golden::read("llama.safetensors")?, golden_json("llama.json")?);
    let mut table = Table::default();
    for name in ["grouped", "tied"] {
        let model = small(&golden, &notes, name, &device)?;
        let expected = golden.get(&format!("out.{name}.logits"))?;
        let v = expected.shape[2];
        let row: Vec<u32> = golden.get(&format!("input.{name}.ids"))?.data.iter().map(|x| *x as u32).collect();
        let x = model.embed(std::slice::from_ref(&row));
        let hidden = model.forward(x.clone(), &[vec![true; row.len()]], None);
        table.absolute(format!("{name}, tokens"), &all_logits(&model, hidden)?, &expected.data, LIMIT);

        // Three positions at once, then one by one.
        let mut cache = Cache::new();
        let mut got = Vec::new();
        for range in [0..3, 3..4, 4..5, 5..7] {
            let part = x.clone().slice([0..1, range.clone()]);
            let hidden = model.forward(part, &[vec![true; range.len()]], Some(&mut cache));
            got.extend(all_logits(&model, hidden)?);
        }
        table.absolute(format!("{name}, through the cache"), &got, &expected.data, LIMIT);

        let real = mask(&golden, name)?;
        let expected = real_only(&golden.get(&format!("out.{name}.padded"))?.data, &real, v);
        let left: Tensor<3> = tensor(golden.get(&format!("input.{name}.x"))?, &device);
        let got = all_logits(&model, model.forward(left, &real, None))?;
        table.absolute(format!("{name}, padded on the left"), &real_only(&got, &real, v), &expected, LIMIT);
        let right: Tensor<3> = tensor(golden.get(&format!("input.{name}.right"))?, &device);
        let turned: Vec<Vec<bool>> = real.iter().map(|row| row.iter().rev().copied().collect()).collect();
        let got = all_logits(&model, model.forward(right, &turned, None))?;
        table.absolute(format!("{name}, padded on the right"), &real_only(&got, &turned, v), &expected, LIMIT);
    }
    table.finish("Llama")
}

#[test]
fn greedy_and_beam_search_give_upstreams_answers() -> Outcome {
    let (device, golden, notes) = (Device::flex(), Golden::read("llama.safetensors")?, golden_json("llama.json")?);
    let mut compared = 0;
    for name in ["grouped", "tied"] {
        let model = small(&golden, &notes, name, &device)?;
        let real = mask(&golden, name)?;
        let x: Tensor<3> = tensor(golden.get(&format!("input.{name}.x"))?, &device);
        let right: Tensor<3> = tensor(golden.get(&format!("input.{name}.right"))?, &device);
        let turned: Vec<Vec<bool>> = real.iter().map(|row| row.iter().rev().copied().collect()).collect();
        for (setting, rows) in notes[name]["answers"].as_object().ok_or("no answers")? {
            let decoding = decoding(&notes["settings"][setting]);
            let expected: Vec<Vec<u32>> = rows.as_array().into_iter().flatten().map(ids).collect();
            for (side, x, real) in [("left", &x, &real), ("right", &right, &turned)] {
                let used = vec![vec![1]; real.len()];
                let start = Start { real: real.clone(), used, ..Start::new(x.clone()) };
                assert_eq!(generate(&model, start, &[2], &decoding)?, expected, "{name}, {setting}, padded {side}");
                compared += expected.len();
            }
            // A row alone gives the same answer as in the batch.
            let one =
                Start { real: real[1..2].to_vec(), used: vec![vec![1]], ..Start::new(x.clone().slice([1..2, 0..6])) };
            assert_eq!(generate(&model, one, &[2], &decoding)?, expected[1..2], "{name}, {setting}, alone");
        }
    }
    println!("{compared} answers are the same");
    Ok(())
}

#[test]
fn lengths_are_kept_and_samples_depend_on_seed_and_row_only() -> Outcome {
    let (device, golden, notes) = (Device::flex(), Golden::read("llama.safetensors")?, golden_json("llama.json")?);
    let model = small(&golden, &notes, "grouped", &device)?;
    let real = mask(&golden, "grouped")?;
    let x: Tensor<3> = tensor(golden.get("input.grouped.x")?, &device);
    let run = |decoding: &Decoding, rows: std::ops::Range<usize>, numbers: Vec<u64>| {
        let x = x.clone().slice([rows.clone()]);
        generate(&model, Start { real: real[rows].to_vec(), numbers, ..Start::new(x) }, &[2], decoding)
    };
    let sampled = |seed| Decoding {
        strategy: Strategy::Sample { temperature: 1.0, top_p: 0.9, seed },
        repetition_penalty: 1.0,
        least: 4,
        most: 9,
        target: None,
    };
    let all = run(&sampled(1), 0..4, vec![10, 11, 12, 13])?;
    assert!(all.iter().all(|a| (4..=9).contains(&a.len()) && !a.contains(&2)), "{all:?}");
    assert_eq!(run(&sampled(1), 2..4, vec![12, 13])?, all[2..]);
    assert_ne!(run(&sampled(2), 0..4, vec![10, 11, 12, 13])?, all);
    assert_ne!(run(&sampled(1), 2..3, vec![99])?, all[2..3]);
    let mean = |target| -> Outcome<f64> {
        let mut count = 0;
        for seed in 0..6 {
            let decoding = Decoding { least: 0, most: 30, target: Some(target), ..sampled(seed) };
            count += run(&decoding, 0..4, vec![0, 1, 2, 3])?.iter().map(Vec::len).sum::<usize>();
        }
        Ok(count as f64 / 24.0)
    };
    let (short, long) = (mean(3)?, mean(18)?);
    println!("mean length {short:.1} for a target of 3, {long:.1} for 18");
    assert!(short < 12.0 && long > short + 6.0);
    Ok(())
}

#[test]
fn a_small_gguf_file_matches() -> Outcome {
    let device = Device::flex();
    let (bytes, notes) = (golden_bytes("tiny-llama.gguf")?, golden_json("llama.json")?);
    let notes = &notes["gguf_file"];
    let file = Gguf::parse(&bytes, "tiny-llama.gguf")?;
    let (config, words) = (LlamaConfig::from_gguf(&file)?, Bpe::from_gguf(&file)?);
    let model = Published::gguf(&config, &mut |name| file.tensor(name)).load(FloatDType::F32, &device)?;
    let row = ids(&notes["ids"]);
    let x = model.embed(std::slice::from_ref(&row));
    let hidden = model.forward(x.clone(), &[vec![true; row.len()]], None);
    let mut table = Table::default();
    table.absolute("logits", &all_logits(&model, hidden)?, &numbers(&notes["logits"]), LIMIT);
    for name in ["greedy", "published"] {
        let decoding = decoding(&golden_json("llama.json")?["settings"][name]);
        let start = Start { used: vec![vec![1]], ..Start::new(x.clone()) };
        assert_eq!(generate(&model, start, &[words.end()], &decoding)?, [ids(&notes[name])], "{name}");
    }
    let texts = notes["texts"].as_array().into_iter().flatten().zip(notes["tokens"].as_array().into_iter().flatten());
    for (text, expected) in texts {
        let text = text.as_str().unwrap_or_default();
        assert_eq!(words.encode(text)?, ids(expected), "{text:?}");
        assert_eq!(words.decode(&words.encode(text)?)?, text);
    }
    let chat = words.chat(&[("user", "hi")], true)?;
    assert_eq!(
        chat,
        "<|im_start|>system\nYou describe changes.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    );
    table.finish("tiny-llama.gguf")
}

#[test]
fn smollm2_matches_with_its_real_weights() -> Outcome {
    let Some(path) = real_weights(&["SmolLM2-135M-Instruct.Q4_1.gguf"], SMOLLM2)? else { return Ok(()) };
    let (device, notes, bytes) = (Device::flex(), golden_json("smollm2.json")?, std::fs::read(&path)?);
    let file = Gguf::parse(&bytes, &path.display().to_string())?;
    let (config, words) = (LlamaConfig::from_gguf(&file)?, Bpe::from_gguf(&file)?);
    let texts = notes["texts"].as_array().into_iter().flatten().zip(notes["tokens"].as_array().into_iter().flatten());
    for (text, expected) in texts {
        let text = text.as_str().unwrap_or_default();
        assert_eq!(words.encode(text)?, ids(expected), "{text:?}");
    }
    let chat = words.chat(&[("user", notes["user"].as_str().unwrap_or_default())], true)?;
    assert_eq!(Some(chat.as_str()), notes["chat"].as_str());
    let row = ids(&notes["ids"]);
    assert_eq!(words.encode_with_control(&chat)?, row);

    let model = Published::gguf(&config, &mut |name| file.tensor(name)).load(FloatDType::F32, &device)?;
    let x = model.embed(std::slice::from_ref(&row));
    let hidden = model.forward(x.clone(), &[vec![true; row.len()]], None);
    let logits = all_logits(&model, hidden)?;
    let places = ids(&notes["places"]);
    let got: Vec<f32> =
        logits.chunks(config.vocabulary).flat_map(|row| places.iter().map(|p| row[*p as usize])).collect();
    let mut table = Table::default();
    table.absolute("logits of every position", &got, &numbers(&notes["logits"]), LIMIT);
    let decoding = Decoding { strategy: Strategy::Greedy, repetition_penalty: 1.0, least: 0, most: 40, target: None };
    let answer = generate(&model, Start::new(x), &[words.end()], &decoding)?.remove(0);
    assert_eq!(answer, ids(&notes["greedy"]));
    assert_eq!(Some(words.decode(&answer)?.as_str()), notes["greedy_text"].as_str());
    table.finish("SmolLM2-135M-Instruct")
}

/// A long answer's cost grows with its length, not with its square: each token's own work is the same.
#[test]
fn the_cache_makes_a_long_answer_cost_what_it_is_long() -> Outcome {
    let device = Device::flex();
    let bytes = golden_bytes("tiny-llama.gguf")?;
    let file = Gguf::parse(&bytes, "tiny-llama.gguf")?;
    let config = LlamaConfig::from_gguf(&file)?;
    let model = Published::gguf(&config, &mut |name| file.tensor(name)).load(FloatDType::F32, &device)?;
    let (mut cache, mut seen) = (Cache::new(), Vec::new());
    for length in 0..400usize {
        let x: Tensor<3> = Tensor::from_data(TensorData::new(vec![0.1f32; 32], [1, 1, 32]), &device);
        let hidden = model.forward(x, &[vec![true]], Some(&mut cache));
        // One position in, one out: nothing is read again.
        assert_eq!((hidden.dims(), cache.len()), ([1, 1, 32], length + 1));
        seen.push(cache.capacity());
    }
    let grown = seen.windows(2).filter(|w| w[0] != w[1]).count();
    assert!(grown <= 6 && seen.last().is_some_and(|c| *c <= 640), "the room grew {grown} times: {:?}", seen.last());
    Ok(())
}
