//! Writes a bundle of a preset with random weights and a gallery of random targets, to time the browser with:
//! its answers mean nothing, its times are those of a trained one. `bench_bundle FOLDER [preset] [images]`
//! (web-s, 10000); `bench/browser` runs it.

use burn::tensor::Device;
use std::collections::BTreeMap;
use std::path::Path;
use thisbut::bundle_io::Writer;
use thisbut::wait;
use thisbut_model::CirConfig;
use thisbut_model::bundle::{
    FORMAT, Form, GalleryChunk, GalleryEntry, Manifest, MetadataChunk, Precision, SelfTest, VERSION, VocabularyEntry,
    WeightsEntry,
};
use thisbut_model::cir::Cir;
use thisbut_model::engine::{ENCODER_PREFIX, Engine, MODEL_PREFIX};
use thisbut_model::gallery::{Chunk, ImageMeta, encode_chunk, encode_metadata};
use thisbut_model::nn::ImageEncoder;
use thisbut_model::quant::{CodeWidth, read_weights, stays_plain, write_weights};
use thisbut_model::text::WordPiece;
use thisbut_model::weights;

/// The words of the timed modifier: with `[CLS]` and `[SEP]` twelve tokens.
const WORDS: &str = "but with a red hat and the same blue background";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let config = CirConfig::preset(&arguments.next().unwrap_or_else(|| "web-s".into()))?;
    let images: u32 = arguments.next().map_or(Ok(10_000), |x| x.parse())?;
    let device = Device::flex();
    let mut tensors = weights::collect(&ImageEncoder::new(&config, &device), ENCODER_PREFIX)?;
    tensors.extend(weights::collect(&Cir::new(&config, &device), MODEL_PREFIX)?);
    let width = |_: &str, dims: &[usize]| (!stays_plain(dims)).then_some(CodeWidth::Q8);
    let weights = write_weights(&tensors, width, &BTreeMap::new())?;

    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let vocabulary: String = special.into_iter().chain(WORDS.split(' ')).flat_map(|word| [word, "\n"]).collect();
    let (n, p) = (config.qformer.query_tokens, config.projection);
    let targets: Vec<f32> = (0..images as usize * n * p).map(|i| (i * 7919 % 1013) as f32 / 5000.0 - 0.1).collect();
    let entry = |i: u32| ImageMeta {
        id: format!("{i}"),
        title: format!("image {i}"),
        tags: Vec::new(),
        thumb: "none.webp".into(),
        width: 256,
        height: 256,
        reference: None,
    };
    let metadata: Vec<ImageMeta> = (0..images).map(entry).collect();

    // The page insists on a stored query. Random targets tie, so any order of the best will do.
    let words = WordPiece::from_vocab(&vocabulary)?;
    let mut engine = Engine::new(config.clone(), read_weights(&weights)?, words, &device)?;
    let chunk = encode_chunk(&targets, n, p)?;
    engine.add_chunk(Chunk::parse(&chunk)?)?;
    let mut test =
        SelfTest { text: WORDS.into(), gallery_index: None, expected: vec![(0, 0.0); 5], score_tolerance: 0.5 };
    let hits = wait::block_on(engine.self_test_hits(&test))?;
    test.expected = hits.iter().map(|hit| (hit.index, hit.score)).collect();

    let mut writer = Writer::new(Path::new(&folder))?;
    let file = writer.add("", "weights", "safetensors", &weights)?;
    let manifest = Manifest {
        format: FORMAT.into(),
        version: VERSION,
        product_version: env!("CARGO_PKG_VERSION").into(),
        architecture: config.name.clone(),
        form: Form::Full,
        config: serde_json::to_value(&config)?,
        weights: vec![WeightsEntry { file, code_width: Precision::Q8 }],
        vocab: VocabularyEntry { file: writer.add("", "vocab", "txt", vocabulary.as_bytes())? },
        gallery: GalleryEntry {
            count: images,
            tokens: n,
            width: p,
            chunks: vec![GalleryChunk { file: writer.add("", "tokens", "bin", &chunk)?, first: 0, count: images }],
            metadata: vec![MetadataChunk {
                file: writer.add("", "meta", "json", &encode_metadata(&metadata)?)?,
                first: 0,
                count: images,
            }],
            thumbnails: "thumbs/".into(),
            title: "Random".into(),
            licence: "none".into(),
        },
        self_test: Some(test),
        measured: serde_json::Value::Null,
        suggestions: vec![WORDS.into()],
    };
    writer.finish(&manifest)?;
    println!("{folder}: {}, {images} images", config.name);
    Ok(())
}
