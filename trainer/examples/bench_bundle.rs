//! Writes a bundle of a preset with random weights and a gallery of random targets, to time the browser with:
//! its answers mean nothing, its times and its memory are those of a trained one.
//! `bench_bundle FOLDER [preset] [images] [full|gallery-reference] [q8|q4] [MERGES]` (web-s, 10000, full, q8); `bench/browser` runs it.
//! MERGES, for a model that reads CLIP's byte pairs: merges.txt or OpenAI's bpe_simple_vocab_16e6.txt[.gz].

use burn::tensor::Device;
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::{Form, GalleryChunk, GalleryEntry, Manifest, MetadataChunk, SelfTest};
use thisbut_model::config::TextConfig;
use thisbut_model::gallery::{Chunk, ImageMeta, encode_chunk, encode_metadata, encode_reference};
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::quant::CodeWidth;
use thisbut_model::retrieval::{ENCODER_PREFIX, MODEL_PREFIX};
use thisbut_model::weights;
use thisbut_trainer::bundle_io::Writer;
use thisbut_trainer::export::{Packing, bundle};
use thisbut_trainer::footprint::{Bytes, Footprint};
use thisbut_trainer::import::merges;

/// The words of the timed modifier: with `[CLS]` and `[SEP]` twelve tokens.
const WORDS: &str = "but with a red hat and the same blue background";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let config = RetrievalConfig::preset(&arguments.next().unwrap_or_else(|| "web-s".into()))?;
    let images: u32 = arguments.next().map_or(Ok(10_000), |x| x.parse())?;
    let form = match arguments.next().as_deref() {
        None | Some("full") => Form::Full,
        Some("gallery-reference") => Form::GalleryReference,
        Some(other) => return Err(format!("{other} is no form").into()),
    };
    let width = arguments.next().map_or(Ok(NumberFormat::Q8), |x| x.parse())?;
    let device = Device::flex();
    let mut tensors = AnyMethod::new(&config, &device)?.collect(MODEL_PREFIX)?;
    if form == Form::Full {
        tensors.extend(weights::collect(&ImageEncoder::new(&config, &device), ENCODER_PREFIX)?);
    }
    let (n, p) = (config.target_tokens, config.projection);
    let vocabulary = match config.text {
        TextConfig::Bpe { vocabulary, .. } => {
            merges::read(Path::new(&arguments.next().ok_or("which file of merges?")?), vocabulary)?
        }
        TextConfig::WordPiece { .. } => {
            let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
            special.into_iter().chain(WORDS.split(' ')).flat_map(|word| [word, "\n"]).collect()
        }
    };
    let packing = Packing { form, width: CodeWidth::of(width)?, split: 64_000_000, tokens: n };
    let made = bundle(&config, tensors, packing, vocabulary)?;

    let mut writer = Writer::new(Path::new(&folder))?;
    for (entry, content) in made.manifest.weights.iter().zip(&made.weights) {
        writer.add_as(entry.file.path.clone(), content)?;
    }
    writer.add_as(made.manifest.vocab.file.path.clone(), made.vocab.as_bytes())?;
    // Every image shares one file of tokens: where it comes from makes no difference to what it takes.
    let (t, c) = (config.image_tokens(), config.image_width());
    let tokens: Vec<f32> = (0..t * c).map(|i| (i * 7919 % 2003) as f32 / 1001.0 - 1.0).collect();
    let reference = match form {
        Form::GalleryReference => {
            Some(writer.add("references", "r", "safetensors", &encode_reference(&tokens, t, c)?)?)
        }
        Form::Full => None,
    };
    let targets: Vec<f32> = (0..images as usize * n * p).map(|i| (i * 7919 % 1013) as f32 / 5000.0 - 0.1).collect();
    let entry = |i: u32| ImageMeta {
        id: format!("{i}"),
        title: format!("image {i}"),
        tags: Vec::new(),
        changes: Vec::new(),
        extra: Default::default(),
        thumb: "none.webp".into(),
        width: 256,
        height: 256,
        reference: reference.clone(),
    };
    let metadata: Vec<ImageMeta> = (0..images).map(entry).collect();

    // The page insists on a stored query. Random targets tie, so any order of the best will do.
    let mut engine = made.engine(&device)?;
    let chunk = encode_chunk(&targets, n, p)?;
    engine.add_chunk(Chunk::parse(&chunk)?)?;
    let mut test =
        SelfTest { text: WORDS.into(), gallery_index: None, expected: vec![(0, 0.0); 5], score_tolerance: 0.5 };
    let hits = pollster::block_on(engine.self_test_hits(&test))?;
    test.expected = hits.iter().map(|hit| (hit.index, hit.score)).collect();
    let manifest = Manifest {
        gallery: GalleryEntry {
            count: images,
            chunks: vec![GalleryChunk { file: writer.add("", "tokens", "bin", &chunk)?, first: 0, count: images }],
            metadata: vec![MetadataChunk {
                file: writer.add("", "meta", "json", &encode_metadata(&metadata)?)?,
                first: 0,
                count: images,
            }],
            thumbnails: "thumbs/".into(),
            title: "Random".into(),
            licence: "none".into(),
            ..made.manifest.gallery.clone()
        },
        self_test: Some(test),
        suggestions: vec![WORDS.into()],
        ..made.manifest.clone()
    };
    writer.finish(&manifest)?;
    let memory = Bytes(Footprint::of(&config, packing)?.memory + chunk.len() as u64);
    println!("{folder}: {}, {images} images, memory in the page about {memory}", config.name);
    Ok(())
}
