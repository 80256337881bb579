//! Times of the parts that need no model: preprocessing, the gallery scan, reading quantized weights, attention with and without
//! dropout of its weights. `cargo run --release -p thisbut-model -p thisbut-trainer --example speed`

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

/// Processor time of all threads so far in milliseconds, where the system says.
#[cfg(all(feature = "flex", feature = "autodiff"))]
fn processor() -> Option<f64> {
    let spent = |task: std::fs::DirEntry| -> Option<f64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e6)
    };
    Some(std::fs::read_dir("/proc/self/task").ok()?.flatten().filter_map(spent).sum())
}

/// Attention of a Q-Former as wide as BERT, 32 rows of 32 queries and 32 words: forward alone, and both passes. With and without
/// dropout take turns, so that another program on the machine slows both down. Processor time, else time.
#[cfg(all(feature = "flex", feature = "autodiff"))]
fn attention() {
    use burn::tensor::{Device, Distribution, Tensor};
    use thisbut_kernels::{Mask, attention_with_dropout};

    for (pass, device, rounds) in [("forward", Device::flex(), 200), ("both passes", Device::flex().autodiff(), 50)] {
        let random = |_| Tensor::<3>::random([32, 64, 768], Distribution::Normal(0.0, 1.0), &device);
        let inputs = [0; 3].map(random).map(|x| if pass == "forward" { x } else { x.require_grad() });
        let bias = Tensor::<2>::zeros([32, 64], &device);
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            for (share, times) in [None, Some(0.1)].into_iter().zip(&mut times) {
                let dropout = share.map(|p| (p, Mask { seed: round, first_row: 0, by_row: true }));
                let (started, before) = (Instant::now(), processor());
                let out = attention_with_dropout(inputs.clone(), bias.clone(), 12, dropout);
                if pass == "forward" {
                    drop(black_box(out.into_data()));
                } else {
                    drop(black_box(out.sum().backward()));
                }
                let spent = processor().zip(before).map(|(after, before)| after - before);
                times.push(spent.unwrap_or(started.elapsed().as_secs_f64() * 1e3));
            }
        }
        for (name, times) in ["without dropout", "with dropout 0.1"].into_iter().zip(&mut times) {
            times.sort_by(f64::total_cmp);
            println!("attention {name}, {pass}: least {:.1} ms, median {:.1} ms", times[0], times[times.len() / 2]);
        }
    }
}

fn main() -> Result<()> {
    #[cfg(all(feature = "flex", feature = "autodiff"))]
    attention();
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
