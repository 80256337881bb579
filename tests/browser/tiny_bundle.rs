//! Writes the small bundle of the browser tests: preset `tiny` with fixed pseudo-random weights over coloured shapes.
//! It ranks by no meaning, but always the same, so that two devices can be compared. Run it after a change of format:
//!
//! ```sh
//! node tests/browser/lib/shapes.mjs tests/browser/fixtures/tiny/thumbs
//! cargo run --release -p thisbut-tests --example tiny_bundle -- tests/browser/fixtures/tiny
//! ```
//!
//! A second argument names another preset: a bundle that answers nonsense, but takes as long as a trained one.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use burn::tensor::Device;
use thisbut::images::decode_file;
use thisbut_model::CirConfig;
use thisbut_model::bundle::{
    FORMAT, FileEntry, GalleryChunk, GalleryEntry, Manifest, MetadataChunk, Precision, SelfTest, VERSION,
    VocabularyEntry, WeightsEntry, hashed_name,
};
use thisbut_model::cir::Cir;
use thisbut_model::engine::{ENCODER_PREFIX, Engine, MODEL_PREFIX};
use thisbut_model::gallery::{Chunk, ImageMeta, encode_chunk, encode_metadata};
use thisbut_model::image::Rgba;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::quant::{CodeWidth, read_weights, stays_plain, write_weights};
use thisbut_model::text::WordPiece;
use thisbut_model::weights::{self, Tensors};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TEXT: &str = "but blue and round";

/// Normal-ish values from a counter (splitmix64, sum of four uniforms), the same on every machine.
fn noise(seed: &mut u64) -> f32 {
    let mut uniform = || {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    };
    (uniform() + uniform() + uniform() + uniform() - 2.0) * 1.73
}

/// On the CPU the engine's answers are there at once.
fn at_once<T>(answer: impl Future<Output = T>) -> Result<T> {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("the CPU did not answer at once".into()),
    }
}

fn tensors(config: &CirConfig, device: &Device) -> Result<Tensors> {
    let mut all = weights::collect(&ImageEncoder::new(config, device), ENCODER_PREFIX)?;
    all.extend(weights::collect(&Cir::new(config, device), MODEL_PREFIX)?);
    let mut seed = 7;
    for (dims, values) in all.values_mut() {
        let columns: usize = dims.iter().skip(1).product();
        if dims.len() > 1 {
            // Larger than a training would start with: scores have to lie apart.
            let scale = 1.5 / (columns as f32).sqrt();
            values.iter_mut().for_each(|value| *value = scale * noise(&mut seed));
        }
    }
    Ok(all)
}

fn vocabulary() -> String {
    let mut words: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(String::from).to_vec();
    for letter in ('a'..='z').chain('0'..='9') {
        words.push(letter.into());
        words.push(format!("##{letter}"));
    }
    let plain = "but with a an the in of and same this red green blue yellow black white round circle square triangle \
                 ring cross corners smaller larger";
    words.extend(plain.split_whitespace().filter(|word| word.len() > 1).map(String::from));
    words.join("\n") + "\n"
}

fn write(folder: &Path, stem: &str, ext: &str, content: &[u8]) -> Result<FileEntry> {
    let entry = FileEntry::new(hashed_name(stem, ext, content), content);
    fs::write(folder.join(&entry.path), content)?;
    Ok(entry)
}

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    for old in fs::read_dir(&folder)?.filter_map(std::result::Result::ok).filter(|old| old.path().is_file()) {
        fs::remove_file(old.path())?;
    }
    let device = Device::flex();
    let config = CirConfig::preset(&std::env::args().nth(2).unwrap_or_else(|| "tiny".into()))?;
    let width = |_: &str, dims: &[usize]| (!stays_plain(dims)).then_some(CodeWidth::Q8);
    let meta = BTreeMap::from([("architecture".to_owned(), config.name.clone())]);
    let weights = write_weights(&tensors(&config, &device)?, width, &meta)?;
    let vocab = vocabulary();
    // What is stored is what answers: the gallery is made with the quantized weights.
    let engine = Engine::new(config.clone(), read_weights(&weights)?, WordPiece::from_vocab(&vocab)?, &device)?;

    let mut names: Vec<_> = fs::read_dir(folder.join("thumbs"))?
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".png"))
        .collect();
    names.sort();
    let (mut tokens, mut images) = (Vec::new(), Vec::new());
    for name in &names {
        let picture = decode_file(&folder.join("thumbs").join(name))?;
        let encoded = engine.encode_image(&Rgba::new(picture.width, picture.height, &picture.data)?)?;
        tokens.extend(at_once(engine.target_tokens(&encoded))??);
        let id = name.trim_end_matches(".png").to_owned();
        let (shape, colour) = id.split_once('-').ok_or("shape-colour.png")?;
        let (title, tags) = (format!("{colour} {shape}"), vec![colour.to_owned(), shape.to_owned()]);
        images.push(ImageMeta { id, title, tags, thumb: name.clone(), width: picture.width, height: picture.height });
    }
    let (n, p) = (config.qformer.query_tokens, config.projection);
    let half = images.len() / 2;
    let mut gallery = engine;
    let (mut chunks, mut metadata) = (Vec::new(), Vec::new());
    for (first, last) in [(0, half), (half, images.len())] {
        let chunk = encode_chunk(tokens.get(first * n * p..last * n * p).unwrap_or_default(), n, p)?;
        gallery.add_chunk(Chunk::parse(&chunk)?)?;
        let (first_image, count) = (u32::try_from(first)?, u32::try_from(last - first)?);
        let file = write(&folder, "tokens", "bin", &chunk)?;
        chunks.push(GalleryChunk { file, first: first_image, count });
        let file = write(&folder, "meta", "json", &encode_metadata(images.get(first..last).unwrap_or_default())?)?;
        metadata.push(MetadataChunk { file, first: first_image, count });
    }
    let mut self_test =
        SelfTest { text: TEXT.into(), gallery_index: None, expected: vec![(0, 0.0); 5], score_tolerance: 0.01 };
    let hits = at_once(gallery.self_test_hits(&self_test))??;
    self_test.expected = hits.iter().map(|hit| (hit.index, hit.score)).collect();
    println!("{:?}", self_test.expected);
    let manifest = Manifest {
        format: FORMAT.into(),
        version: VERSION,
        product_version: env!("CARGO_PKG_VERSION").into(),
        architecture: config.name.clone(),
        config: serde_json::to_value(&config)?,
        weights: vec![WeightsEntry {
            file: write(&folder, "weights", "safetensors", &weights)?,
            code_width: Precision::Q8,
        }],
        vocab: VocabularyEntry { file: write(&folder, "vocab", "txt", vocab.as_bytes())? },
        gallery: GalleryEntry {
            count: u32::try_from(images.len())?,
            tokens: n,
            width: p,
            chunks,
            metadata,
            thumbnails: "thumbs/".into(),
            title: "Shapes".into(),
            licence: "MIT OR Apache-2.0".into(),
        },
        self_test: Some(self_test),
        measured: serde_json::Value::Null,
        suggestions: vec!["but red".into(), "but blue".into()],
    };
    fs::write(folder.join("bundle.json"), manifest.to_json()?)?;
    Ok(())
}
