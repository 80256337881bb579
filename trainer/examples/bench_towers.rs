//! Times of a dual encoder's towers on the CPU, batch 1 and 8, one JSON line each, in the form that
//! `bench/peers/towers_peer.py` prints for the same shapes. `bench/towers` runs both in one sitting.
//!
//! Arguments: preset, threads, seconds (tinyclip-8m, 2, 3). Weights are random: time does not depend on them.

use burn::tensor::Device;
use measure::{Bench, wave};
use std::hint::black_box;
use thisbut_model::RetrievalConfig;
use thisbut_model::method::PseudoWord;
use thisbut_model::nn::{ImageEncoder, Noise, TextBatch};

#[path = "shared/measure.rs"]
mod measure;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Tokens of a modification text of ten words with its marks.
const WORDS: usize = 12;

fn main() -> Outcome {
    thisbut_trainer::allocator::keep_freed_memory();
    let mut arguments = std::env::args().skip(1);
    let preset = arguments.next().unwrap_or_else(|| "tinyclip-8m".into());
    let threads = arguments.next().map_or(Ok(2), |x| x.parse())?;
    let seconds = arguments.next().map_or(Ok(3.0), |x| x.parse())?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let (bench, device, config) = (Bench { threads, seconds }, Device::flex(), RetrievalConfig::preset(&preset)?);
    let (encoder, method) = (ImageEncoder::new(&config, &device), PseudoWord::new(&config, &device)?);
    let side = config.preprocess.size;
    for batch in [1, 8] {
        let pixels = wave([batch, 3, side, side], &device);
        bench.measure(&format!("vision {preset}"), &format!("{batch}x3x{side}x{side}"), 5, || {
            black_box(encoder.forward(pixels.clone()).into_data());
            Ok(())
        })?;
        for length in [config.text.length(), WORDS] {
            let rows = vec![((0..length as u32).map(|t| t * 13 + 1).collect(), vec![true; length]); batch];
            let text = TextBatch::padded(&rows, length, &device);
            bench.measure(&format!("text {preset}"), &format!("{batch}x{length}"), 5, || {
                let words = method.text.words(text.ids.clone());
                black_box(method.text.forward(words, text.bias.clone(), text.ends.clone(), &Noise::off()).into_data());
                Ok(())
            })?;
        }
    }
    Ok(())
}
