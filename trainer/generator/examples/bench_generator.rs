//! Times of the generator's language model on the CPU, one JSON line each, beside `bench/peers/generator_peer.py`: answers of
//! a batch (texts a second), one long answer in quarters, and a training step's passes over a frozen decoder.
//!
//! Built with `cargo build --release -p thisbut-generator --example bench_generator`; arguments: GGUF file, threads, and `int8` for
//! the lines in 8 bits alone.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use std::time::Instant;
use thisbut_generator::Language;
use thisbut_generator::language::frozen;
use thisbut_generator::mtst::answer_logits;
use thisbut_generator::runtime::{Adapted, Adapters, Cache, Decoder, Decoding, FrozenBlock, Start, Strategy, generate};
use thisbut_kernels::negative_log_likelihood;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Positions of a prompt: 24 image tokens and the instruction.
const PROMPT: usize = 35;
/// Tokens of an answer.
const ANSWER: usize = 16;
/// Rank of the changes that train beside the decoder.
const RANK: usize = 8;

/// Embeddings without a pattern that a kernel could profit from.
fn wave(b: usize, n: usize, w: usize, device: &Device) -> Tensor<3> {
    let values: Vec<f32> = (0..b * n * w).map(|i| ((i * 7919 % 100_003) as f32 / 50_001.5 - 1.0) * 0.1).collect();
    Tensor::from_data(TensorData::new(values, [b, n, w]), device)
}

fn say(name: &str, shape: &str, value: f64, unit: &str) {
    println!(
        "{}",
        serde_json::json!({"name": name, "peer": "thisbut", "shape": shape, unit: (value * 1e3).round() / 1e3})
    );
}

/// Answers of batches, and one long answer in quarters.
fn answers(model: &dyn Decoder, width: usize, end: u32, precision: &str) -> Outcome {
    let device = Device::flex();
    let exact = |strategy| Decoding { strategy, repetition_penalty: 1.5, least: ANSWER, most: ANSWER, target: None };
    for (name, batch, strategy) in [
        ("greedy", 1, Strategy::Greedy),
        ("greedy", 32, Strategy::Greedy),
        ("beam 5", 8, Strategy::Beam { beams: 5, length_penalty: 1.0 }),
    ] {
        let run = || -> Outcome<f64> {
            let start = Start::new(wave(batch, PROMPT, width, &device));
            let began = Instant::now();
            generate(model, start, &[end], &exact(strategy))?;
            Ok(batch as f64 / began.elapsed().as_secs_f64())
        };
        let mut speeds = [run()?, run()?, run()?];
        speeds.sort_by(f64::total_cmp);
        say(name, &format!("{batch} x {PROMPT} + {ANSWER}{precision}"), speeds[1], "texts_per_second");
    }

    let mut cache = Cache::new();
    model.forward(wave(1, PROMPT, width, &device), &[vec![true; PROMPT]], Some(&mut cache));
    for quarter in 0..4 {
        let began = Instant::now();
        for _ in 0..64 {
            let hidden = model.forward(wave(1, 1, width, &device), &[vec![true]], Some(&mut cache));
            let logits = model.logits(hidden.reshape([1, width]));
            std::hint::black_box(logits.into_data());
        }
        let each = began.elapsed().as_secs_f64() * 1e3 / 64.0;
        let shape = format!("{}-{}{precision}", quarter * 64, quarter * 64 + 63);
        say("token of a long answer", &shape, each, "ms");
    }
    Ok(())
}

fn main() -> Outcome {
    thisbut_trainer::allocator::keep_freed_memory();
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("give the GGUF file")?;
    let threads: usize = arguments.next().map_or(Ok(2), |t| t.parse())?;
    let only_int8 = arguments.next().is_some_and(|word| word == "int8");
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let device = Device::flex();
    let language = Language::load(path.as_ref(), FloatDType::F32, &device)?;
    let (width, end) = (language.config.width, language.words.end());
    if !only_int8 {
        answers(&language.decoder, width, end, "")?;
    }
    let inside = frozen(&language.decoder);
    let adapters = Adapters::new(&language.config, RANK, &device.clone().autodiff());
    if !only_int8 {
        training(&Adapted::new(&inside, &inside.blocks, None), width, "")?;
    }
    let blocks = FrozenBlock::of(&language.decoder, &inside)?;
    training(&Adapted::new(&inside, &blocks, None), width, ", int8")?;
    training(&Adapted::new(&inside, &blocks, Some(&adapters)), width, &format!(", int8, rank {RANK}"))?;
    drop((inside, blocks));
    drop(language);
    let language = Language::load_int8(path.as_ref(), |_| Ok(None), &device)?;
    answers(&language.decoder, width, end, ", int8")
}

/// The passes of a training step over the frozen decoder.
fn training(decoder: &dyn Decoder, width: usize, kind: &str) -> Outcome {
    let device = Device::flex().autodiff();
    let batch = 16;
    let answers: Vec<Vec<u32>> =
        (0..batch).map(|i| (0..ANSWER).map(|t| (i * 977 + t * 31) as u32 % 40_000).collect()).collect();
    let right: Vec<u32> = answers.iter().flatten().copied().collect();
    let mut times = Vec::new();
    for _ in 0..4 {
        let prompt = wave(batch, PROMPT, width, &device).require_grad();
        let began = Instant::now();
        let loss = negative_log_likelihood(answer_logits(decoder, prompt.clone(), &answers), &right).mean();
        let gradient = prompt.grad(&loss.backward()).ok_or("no gradient")?;
        std::hint::black_box(gradient.into_data());
        times.push(began.elapsed().as_secs_f64());
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    say("train passes", &format!("{batch} x {PROMPT} + {ANSWER}{kind}"), 1.0 / times[1], "steps_per_second");
    Ok(())
}
