//! Times of the parts that need no model: preprocessing, the gallery scan, reading quantized weights.
//! `cargo run --release -p thisbut-model -p thisbut-trainer --example speed`

use std::hint::black_box;
use std::time::Instant;

use thisbut_model::Result;
use thisbut_model::gallery::{Chunk, Gallery, encode_chunk};
use thisbut_model::image::{PreprocessConfig, Rgba, preprocess};
use thisbut_model::quant::{CodeWidth, WeightMap, read_weights, write_weights};

/// Best of `runs`, in milliseconds.
fn best<T>(runs: usize, mut work: impl FnMut() -> Result<T>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let started = Instant::now();
        black_box(work()?);
        best = best.min(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}

fn main() -> Result<()> {
    for (width, height, alpha) in [(4000, 3000, 255), (4000, 3000, 200), (1280, 720, 255), (256, 256, 255)] {
        let bytes = 4 * width as usize * height as usize;
        let data: Vec<u8> = (0..bytes).map(|i| if i % 4 == 3 { alpha } else { (i * 7 % 251) as u8 }).collect();
        let image = Rgba::new(width, height, &data)?;
        let time = best(5, || preprocess(&image, &PreprocessConfig::EFFICIENTNET_LITE))?;
        println!("preprocess {width}x{height}, alpha {alpha}: {time:.1} ms");
    }
    let wave = |count: usize, step: usize| -> Vec<f32> {
        (0..count).map(|i| (i % 100_003 * step % 1013) as f32 / 5000.0 - 0.1).collect()
    };
    for (images, n, p) in [(10_000, 8, 128), (10_000, 4, 96), (5_000, 32, 256)] {
        let mut gallery = Gallery::new();
        gallery.push(Chunk::parse(&encode_chunk(&wave(images * n * p, 7919), n, p)?)?)?;
        let query = wave(p, 31);
        let time = best(20, || gallery.search(&query, 50, &[3]))?;
        println!("scan of {images} images, N = {n}, P = {p}: {time:.2} ms");
    }
    let tensors: WeightMap = (0..15).map(|i| (format!("t{i}"), (vec![1000, 1000], wave(1_000_000, 57 + i)))).collect();
    for width in [CodeWidth::Q8, CodeWidth::Q4] {
        let bytes = write_weights(&tensors, |_, _| Some(width), &Default::default())?;
        let time = best(5, || read_weights(&bytes))?;
        println!("read 15 M weights, {}, {} bytes: {time:.1} ms", width.format(), bytes.len());
    }
    Ok(())
}
