//! Times of encode, fuse, target, scan and a train step on the CPU, one JSON line each, in the form that
//! `bench/peers/torch_peer.py` prints for the same shapes. `bench/run` runs both in one sitting.
//!
//! Built with `cargo build --release -p thisbut-model -p thisbut-trainer --example bench`; arguments: preset, threads, seconds,
//! training batches (web-s, 2, 3, 32,128). Weights are random: time does not depend on them.

use burn::tensor::{Device, Tensor};
use measure::{Bench, wave};
use std::hint::black_box;
use thisbut_model::RetrievalConfig;
use thisbut_model::gallery::{Chunk, Gallery, encode_chunk};
use thisbut_model::method::{TwoPass, similarity};
use thisbut_model::nn::{ImageEncoder, Noise, TextBatch};
use thisbut_trainer::train::losses;
use thisbut_trainer::train::optimizer::AdamW;
use thisbut_trainer::train::settings::Settings;

#[path = "shared/measure.rs"]
mod measure;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Real tokens of the texts; the rest of L is padding.
const WORDS: usize = 12;

fn text(count: usize, length: usize, device: &Device) -> TextBatch {
    let row =
        |i: usize| (0..length).map(|t| if t < WORDS { (i * 31 + t * 977) as u32 % 2000 + 1 } else { 0 }).collect();
    let rows: Vec<_> = (0..count).map(|i| (row(i), (0..length).map(|t| t < WORDS).collect())).collect();
    TextBatch::padded(&rows, length, device)
}

fn settings() -> Settings {
    Settings { seed: 1, batch: 32, ..Settings::sprc() }
}

/// q2t + 0.4 t2t + 0.5 p2p of a batch, as the fine-tuning loop computes it on cached image tokens, and one AdamW step.
fn train_step(
    model: TwoPass,
    optimizer: &mut AdamW,
    tokens: Tensor<3>,
    text: &TextBatch,
    noise: &Noise,
) -> Outcome<TwoPass> {
    use burn::module::Module;
    let device = tokens.device();
    let b = text.ids.dims()[0];
    let keys = model.image_keys(tokens);
    let (reference, target) = (keys.slice(0..b), keys.slice(b..2 * b));
    let prompt = model.fuse(&reference, text, noise);
    let query = model.compose(prompt.clone(), text, noise);
    let embedded = model.target(&target, b, noise);
    let (tau, none) = (model.temperature.val(), Tensor::zeros([b, b], &device));
    let q2t = losses::contrastive(similarity(query, embedded.clone()), tau.clone(), none.clone(), 0.1);
    let t2t = losses::contrastive(similarity(model.text_only(text, noise), embedded), tau, none, 0.0);
    let towards = model.valid().fuse(&target.inner(), &text.inner(), noise);
    let total = q2t + t2t * 0.4 + losses::prototype(prompt, Tensor::from_inner(towards)) * 0.5;
    let (model, _) = optimizer.step(model, &total.backward(), 1e-5)?;
    Ok(model)
}

fn main() -> Outcome {
    thisbut_trainer::allocator::keep_freed_memory();
    let mut arguments = std::env::args().skip(1);
    let preset = arguments.next().unwrap_or_else(|| "web-s".into());
    let threads = arguments.next().map_or(Ok(2), |x| x.parse())?;
    let seconds = arguments.next().map_or(Ok(3.0), |x| x.parse())?;
    let batches = arguments.next().unwrap_or_else(|| "32,128".into());
    let batches = batches.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let (bench, device, config) = (Bench { threads, seconds }, Device::flex(), RetrievalConfig::preset(&preset)?);
    let (q, side, tokens) = (&config.two_pass()?.qformer, config.preprocess.size, config.image_tokens());
    let size = format!("D={} layers={} N={} L={} T={tokens}", q.width, q.layers, q.query_tokens, config.text.length());

    let encoder = ImageEncoder::new(&config, &device);
    let pixels = wave([1, 3, side, side], &device);
    bench.measure("encode", &format!("1x3x{side}x{side}"), 5, || {
        black_box(encoder.forward(pixels.clone()).into_data());
        Ok(())
    })?;

    let model = TwoPass::new(&config, &device)?;
    let image = wave([1, tokens, config.image_width()], &device);
    let off = Noise::off();
    for (name, length) in [("fuse", config.text.length()), ("fuse, text cut to its tokens", WORDS)] {
        let words = text(1, length, &device);
        bench.measure(name, &format!("B=1 {size}"), 5, || {
            let prompt = model.fuse(&model.image_keys(image.clone()), &words, &off);
            black_box(model.compose(prompt, &words, &off).into_data());
            Ok(())
        })?;
    }
    bench.measure("target", &format!("B=1 {size}"), 5, || {
        black_box(model.target(&model.image_keys(image.clone()), 1, &off).into_data());
        Ok(())
    })?;

    let (images, n, p) = (10_000, q.query_tokens, config.projection);
    let row = |count: usize| -> Vec<f32> { (0..count).map(|i| (i * 7919 % 1013) as f32 / 5000.0 - 0.1).collect() };
    let mut gallery = Gallery::new();
    gallery.push(Chunk::parse(&encode_chunk(&row(images * n * p), n, p)?)?)?;
    let query = row(p);
    bench.measure("scan", &format!("{images} images, N={n} P={p}, int8, top 50"), 5, || {
        black_box(gallery.search(&query, 50, &[])?);
        Ok(())
    })?;

    let training = device.clone().autodiff();
    for b in batches {
        let mut optimizer = AdamW::new(&settings());
        let mut model = Some(TwoPass::new(&config, &training)?);
        let (image, words) =
            (wave([2 * b, tokens, config.image_width()], &training), text(b, config.text.length(), &training));
        bench.measure("train", &format!("B={b} {size}"), 3, || {
            let noise = Noise::new(q.dropout, 1);
            let taken = model.take().ok_or("the model is gone")?;
            model = Some(train_step(taken, &mut optimizer, image.clone(), &words, &noise)?);
            Ok(())
        })?;
    }
    Ok(())
}
