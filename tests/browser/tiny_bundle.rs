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
use thisbut_model::Retrieval;
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::{
    FileEntry, GalleryChunk, GalleryEntry, Manifest, MetadataChunk, SelfTest, WeightsEntry, hashed_name,
};
use thisbut_model::engine::Engine;
use thisbut_model::gallery::{Chunk, ImageMeta, encode_chunk, encode_metadata};
use thisbut_model::image::Rgba;
use thisbut_model::number::NumberFormat;
use thisbut_model::quant::{CodeWidth, read_weights, stays_plain, write_weights};
use thisbut_tests::fixed::{tensors, vocabulary};
use thisbut_trainer::images::decode_file;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TEXT: &str = "but blue and round";

/// On the CPU the engine's answers are there at once.
fn at_once<T>(answer: impl Future<Output = T>) -> Result<T> {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("the CPU did not answer at once".into()),
    }
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
    let config = RetrievalConfig::preset(&std::env::args().nth(2).unwrap_or_else(|| "tiny".into()))?;
    let width = |_: &str, dims: &[usize]| (!stays_plain(dims)).then_some(CodeWidth::Q8);
    let meta = BTreeMap::from([("architecture".to_owned(), config.name.clone())]);
    let weights = write_weights(&tensors(&config, &device)?, width, &meta)?;
    let vocab = vocabulary();
    // What is stored is what answers: the gallery is made with the quantized weights.
    let engine = Engine::new(Retrieval::load(config.clone(), read_weights(&weights)?, &vocab, &device)?);

    let mut names: Vec<_> = fs::read_dir(folder.join("thumbs"))?
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".png"))
        .collect();
    names.sort();
    let (mut tokens, mut images) = (Vec::new(), Vec::new());
    for name in &names {
        let picture = decode_file(&folder.join("thumbs").join(name))?;
        let encoded = engine.retrieval().encode_image(&Rgba::new(picture.width, picture.height, &picture.data)?)?;
        tokens.extend(at_once(engine.retrieval().target_rows(&encoded))??);
        let id = name.trim_end_matches(".png").to_owned();
        let (shape, colour) = id.split_once('-').ok_or("shape-colour.png")?;
        let (title, tags) = (format!("{colour} {shape}"), vec![colour.to_owned(), shape.to_owned()]);
        images.push(ImageMeta {
            id,
            title,
            tags,
            changes: Vec::new(),
            extra: Default::default(),
            thumb: name.clone(),
            width: picture.width,
            height: picture.height,
            reference: None,
        });
    }
    let (n, p) = (config.target_tokens, config.projection);
    let half = images.len() / 2;
    let mut gallery = engine;
    let (mut chunks, mut metadata) = (Vec::new(), Vec::new());
    for (first, last) in [(0, half), (half, images.len())] {
        let chunk = encode_chunk(&tokens[first * n * p..last * n * p], n, p)?;
        gallery.add_chunk(Chunk::parse(&chunk)?)?;
        let (first_image, count) = (u32::try_from(first)?, u32::try_from(last - first)?);
        let file = write(&folder, "tokens", "bin", &chunk)?;
        chunks.push(GalleryChunk { file, first: first_image, count });
        let file = write(&folder, "meta", "json", &encode_metadata(&images[first..last])?)?;
        metadata.push(MetadataChunk { file, first: first_image, count });
    }
    let mut self_test =
        SelfTest { text: TEXT.into(), gallery_index: None, expected: vec![(0, 0.0); 5], score_tolerance: 0.01 };
    let hits = at_once(gallery.self_test_hits(&self_test))??;
    self_test.expected = hits.iter().map(|hit| (hit.index, hit.score)).collect();
    println!("{:?}", self_test.expected);
    let weights =
        WeightsEntry { file: write(&folder, "weights", "safetensors", &weights)?, code_width: NumberFormat::Q8 };
    let mut manifest = Manifest::of_model(&config, vec![weights], write(&folder, "vocab", "txt", vocab.as_bytes())?)?;
    manifest.gallery = GalleryEntry {
        count: u32::try_from(images.len())?,
        chunks,
        metadata,
        title: "Shapes".into(),
        licence: "MIT OR Apache-2.0".into(),
        ..manifest.gallery
    };
    manifest.self_test = Some(self_test);
    manifest.suggestions = vec!["but red".into(), "but blue".into()];
    fs::write(folder.join("bundle.json"), manifest.to_json()?)?;
    Ok(())
}
