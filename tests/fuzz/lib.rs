//! What the fuzz targets run: every parser of bytes that come from outside. A target fails on a panic, an overflow, a hang, an
//! allocation out of proportion to its input, or a broken promise of the parser (the asserts).

use burn::tensor::Device;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Cursor;
use thisbut_generator::runtime::{Bpe, Gguf, LlamaConfig};
use thisbut_generator::sentencepiece;
use thisbut_model::bundle::Manifest;
use thisbut_model::config::MAX_PARAMETERS;
use thisbut_model::gallery::{Chunk, parse_metadata};
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::quant::{read_metadata, read_weights};
use thisbut_model::text::{BytePairs, WordPiece, clean_caption};
use thisbut_model::{RetrievalConfig, weights};
use thisbut_trainer::features::read_cache;
use thisbut_trainer::import::source;

/// A parser that is given any bytes.
pub type Target = fn(&[u8]);

/// Every target with its name.
pub const ALL: [(&str, Target); 7] = [
    ("checkpoint", checkpoint),
    ("bundle", bundle),
    ("features", features),
    ("configuration", configuration),
    ("text", text),
    ("gguf", gguf),
    ("tokenizer", tokenizer),
];

/// Inputs are a few kilobytes; no parser has a reason to ask for more than this at once.
const LARGEST: usize = 64 << 20;

/// The system's allocator, which ends the process when asked for more than `LARGEST`.
pub struct Bounded;

fn bounded(size: usize) {
    if size > LARGEST {
        // A message would allocate.
        std::process::abort();
    }
}

// SAFETY: every call goes to the system's allocator with the arguments it came with.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        bounded(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        bounded(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        bounded(size);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(at, layout, size) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Checkpoints of others: safetensors and both of PyTorch's layouts. No tensor reaches beyond the file.
pub fn checkpoint(bytes: &[u8]) {
    for (name, entry) in source::describe(&mut Cursor::new(bytes)).unwrap_or_default() {
        let count = entry.dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).expect("a product that fits");
        let size = count.checked_mul(entry.kind.bytes()).expect("a size that fits") as u64;
        let end = entry.start.checked_add(size).expect("an end that fits");
        assert!(end <= bytes.len() as u64, "{name} ends at {end} of {}", bytes.len());
    }
}

/// What a browser downloads: the first byte chooses the part.
pub fn bundle(bytes: &[u8]) {
    let Some((part, bytes)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match part % 6 {
        0 => {
            if let Ok(manifest) = Manifest::parse(bytes) {
                let again = manifest.to_json().expect("what was read can be written");
                assert!(Manifest::parse(again.as_bytes()).is_ok(), "what was written can be read");
                assert!(
                    manifest.files().all(|f| f.path.split('/').all(|part| !part.is_empty() && !part.starts_with('.')))
                );
                if let Ok(config) = manifest.retrieval_config("here") {
                    assert_eq!(manifest.gallery.width, config.projection);
                    let bytes: u64 = manifest.weights.iter().map(|entry| entry.file.bytes).sum();
                    assert!(bytes <= 4 * config.demand().size.parameters + (16 << 20));
                }
            }
        }
        1 => {
            if let Ok(chunk) = Chunk::parse(bytes) {
                let image = chunk.count().checked_sub(1).and_then(|last| chunk.image(last));
                let tokens = chunk.tokens() * chunk.width();
                assert!(image.is_none_or(|i| i.len() == tokens && i.iter().all(|v| v.is_finite())));
                assert!(chunk.image(chunk.count()).is_none());
            }
        }
        2 => {
            let Some((count, bytes)) = bytes.split_first() else { return };
            if let Ok(images) = parse_metadata(bytes, usize::from(*count)) {
                assert_eq!(images.len(), usize::from(*count));
            }
        }
        3 => {
            let _ = read_metadata(bytes);
            for (name, (dims, values)) in read_weights(bytes).unwrap_or_default() {
                assert_eq!(dims.iter().product::<usize>(), values.len(), "{name}");
                assert!(values.iter().all(|v| v.is_finite()), "{name}");
            }
        }
        4 => {
            if let Ok(words) = WordPiece::from_vocab(&text) {
                check_encoding(&words, &text);
            }
            if let Ok(words) = BytePairs::from_merges(&text, 520) {
                check_byte_pairs(&words, &text);
            }
        }
        _ => {
            let _ = RetrievalConfig::parse(&text, "here");
        }
    }
}

/// The cache of image tokens. Every image of a cache that opens has its values.
pub fn features(bytes: &[u8]) {
    let mut sizes = Vec::new();
    if let Ok((tokens, width)) = read_cache(bytes, |_, values| sizes.push(values.len())) {
        let size = tokens.checked_mul(width).expect("a product that fits");
        assert!(size > 0 && sizes.iter().all(|found| *found == size), "{sizes:?} for {tokens} tokens of {width}");
        assert!(sizes.len().saturating_mul(size) <= bytes.len(), "more values than bytes");
    }
}

/// A configuration: of a bundle, a checkpoint or a file of one's own. One that is taken can be built, in little memory, and
/// is the same when it is written and read again.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // A checkpoint's reader, which takes the last of two fields of one name where `parse` refuses both.
    let inside = serde_json::from_str::<RetrievalConfig>(&text).ok();
    let alone = RetrievalConfig::parse(&text, "here").ok();
    assert!(alone.is_none() || alone == inside, "one that is refused inside a checkpoint");
    let Some(config) = inside else { return };
    assert!(!config.name.contains(['/', '\\', ':']) && !config.name.starts_with('.'), "{:?}", config.name);
    let again = serde_json::to_string(&config).expect("what was read can be written");
    assert_eq!(RetrievalConfig::parse(&again, "again").expect("what was written can be read"), config);
    let device = Device::flex();
    let method = AnyMethod::new(&config, &device).expect("a model").shapes("");
    let encoder = weights::shapes(&ImageEncoder::new(&config, &device), "");
    let sizes = method.values().chain(encoder.values()).map(|dims| dims.iter().map(|d| *d as u64).product::<u64>());
    assert!(sizes.sum::<u64>() <= MAX_PARAMETERS, "more parameters than were counted");
    let tokens = config.image_tokens().checked_mul(config.image_width()).expect("a product that fits");
    assert!(tokens <= 1 << 25, "{tokens} values of image tokens");
}

/// A language model's file: its tensors, sizes and tokenizer.
pub fn gguf(bytes: &[u8]) {
    let Ok(file) = Gguf::parse(bytes, "here") else { return };
    for name in file.names() {
        if let Ok(Some((dims, values))) = file.tensor(name) {
            assert_eq!(dims.iter().product::<usize>(), values.len(), "{name}");
        }
    }
    let _ = LlamaConfig::from_gguf(&file);
    if let Ok(words) = Bpe::from_gguf(&file) {
        check_tokens(&words);
        let _ = words.chat(&[("user", "Make it red")], true);
    }
}

/// A language model's tokenizer beside its weights: the first byte chooses the file.
pub fn tokenizer(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let config = serde_json::json!({"eos_token_id": 2});
    let words = match kind % 2 {
        0 => Bpe::from_hugging_face(&String::from_utf8_lossy(rest), &config, "here").ok(),
        _ => sentencepiece::parse(rest, &sentencepiece::Beside { config, ..Default::default() }).ok(),
    };
    if let Some(words) = words {
        check_tokens(&words);
    }
}

fn check_tokens(words: &Bpe) {
    let text = "Make it red, \u{e9} 12 </s>  and\n";
    // A tokenizer without a token for some character says so.
    for ids in [words.encode(text), words.encode_with_control(text)].into_iter().flatten() {
        assert!(ids.iter().all(|id| (*id as usize) < words.len()));
        words.decode(&ids).expect("a text");
    }
}

/// A visitor's words.
pub fn text(bytes: &[u8]) {
    use std::sync::LazyLock;
    static WORDS: LazyLock<WordPiece> = LazyLock::new(|| {
        let letters = ('!'..='~').chain('à'..='ÿ').chain(['中', '😀', '\u{301}']);
        let lines = letters.flat_map(|c| [c.to_string(), format!("##{c}")]);
        let vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "but", "with", "##out", "red"].map(str::to_owned);
        WordPiece::from_vocab(&vocabulary.into_iter().chain(lines).collect::<Vec<_>>().join("\n"))
            .expect("a vocabulary")
    });
    static PAIRS: LazyLock<BytePairs> =
        LazyLock::new(|| BytePairs::from_merges("r e\nre d</w>\nÃ ©\na a\naa aa\n", 519).expect("a list of merges"));
    let text = String::from_utf8_lossy(bytes);
    check_byte_pairs(&PAIRS, &text);
    let clean = clean_caption(&text, 32);
    assert_eq!(clean_caption(&clean, 32), clean, "cleaning twice is cleaning once");
    check_encoding(&WORDS, &text);
    check_encoding(&WORDS, &clean);
}

fn check_encoding(words: &WordPiece, text: &str) {
    let encoded = words.encode(text, 32);
    assert_eq!((encoded.ids.len(), encoded.mask.len()), (32, 32));
    assert!(encoded.ids.iter().all(|id| (*id as usize) < words.vocab_size()));
    assert_eq!(encoded.ids.first(), Some(&words.cls_id()));
    let real = encoded.mask.iter().filter(|real| **real).count();
    assert!(real >= 2 && encoded.mask.iter().take(real).all(|real| *real), "padding comes last");
    assert_eq!(encoded.ids.get(real - 1), Some(&words.sep_id()));
    assert!(encoded.ids.iter().skip(real).all(|id| *id == words.pad_id()));
}

fn check_byte_pairs(words: &BytePairs, text: &str) {
    let clean = words.clean(text);
    let count = clean.chars().count() as u32;
    for text in [text, &clean] {
        let encoded = words.encode(text, 32);
        assert_eq!((encoded.ids.len(), encoded.mask.len(), encoded.spans.len()), (32, 32, 32));
        let real = encoded.count();
        assert_eq!(encoded.ids.first(), Some(&words.begin_id()));
        assert_eq!(encoded.ids.get(real - 1), Some(&words.end_id()));
        let inside = encoded.ids.get(1..real - 1).expect("tokens between the marks");
        assert!(inside.iter().all(|id| *id < words.begin_id()), "no mark within the text");
    }
    let encoded = words.encode(&clean, 32);
    assert!(encoded.spans.iter().all(|span| span.start <= span.end && span.end <= count), "spans lie in the text");
}
