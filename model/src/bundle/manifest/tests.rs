//! Manifests that are read, written, and refused.

use super::*;

fn manifest() -> Manifest {
    let file = |path: &str| FileEntry::new(path, path.as_bytes());
    let chunk = |first, count| {
        let bytes = chunk_bytes(count as usize, 4, 8);
        GalleryChunk { file: FileEntry { bytes, ..file(&format!("gallery/{first}.bin")) }, first, count }
    };
    Manifest {
        format: FORMAT.into(),
        version: VERSION,
        product_version: "0.1.0".into(),
        architecture: "tiny".into(),
        form: Form::Full,
        understands: "photographs".into(),
        config: serde_json::json!({"name": "tiny"}),
        weights: vec![WeightsEntry { file: file("w.safetensors"), code_width: NumberFormat::Q4 }],
        vocab: VocabularyEntry { file: file("vocab.txt") },
        gallery: GalleryEntry {
            count: 10,
            tokens: 4,
            width: 8,
            chunks: vec![chunk(0, 6), chunk(6, 4)],
            metadata: vec![MetadataChunk { file: file("meta.json"), first: 0, count: 10 }],
            thumbnails: "thumbs/".into(),
            title: "Emoji".into(),
            licence: "MIT".into(),
        },
        self_test: Some(SelfTest {
            text: "but red".into(),
            gallery_index: Some(3),
            expected: vec![(1, 0.5)],
            score_tolerance: 0.01,
        }),
        measured: Value::Null,
        suggestions: vec!["but red".into()],
        opening: None,
        closeness: None,
    }
}

#[test]
fn round_trips() {
    let text = manifest().to_json().unwrap();
    assert!(text.contains("\"code_width\": \"q4\"") && text.contains("\"sha256\""), "{text}");
    assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest());
    let paths: Vec<_> = manifest().files().map(|f| f.path.clone()).collect();
    assert_eq!(paths, ["w.safetensors", "vocab.txt", "gallery/0.bin", "gallery/6.bin", "meta.json"]);
    for cut in 0..text.len() - 1 {
        assert!(Manifest::parse(&text.as_bytes()[..cut]).is_err(), "{cut}");
    }
    assert!(!text.contains("\"form\""), "a full bundle is written as before there were forms");
    let silent = Manifest { understands: String::new(), ..manifest() };
    let json = silent.to_json().unwrap();
    assert!(text.contains("\"understands\"") && !json.contains("\"understands\""), "{json}");
    assert_eq!(Manifest::parse(json.as_bytes()).unwrap(), silent);
    let other = Manifest { form: Form::GalleryReference, ..manifest() };
    let json = other.to_json().unwrap();
    assert!(json.contains("\"form\": \"gallery-reference\""), "{json}");
    assert_eq!(Manifest::parse(json.as_bytes()).unwrap(), other);
    let with_more = text.replacen('{', "{\"later_addition\": [1],", 1);
    assert!(Manifest::parse(with_more.as_bytes()).is_ok());
}

#[test]
fn version_comes_first() {
    for (text, mend) in [
        (r#"{"format":"thisbut-bundle","version":2,"weights":7}"#, "update the page"),
        (r#"{"format":"thisbut-bundle","version":0}"#, "export the bundle again"),
        (r#"{"format":"thisbut-bundle","version":"1"}"#, "export the bundle again"),
        (r#"{"format":"thisbut-bundle"}"#, "export the bundle again"),
    ] {
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, ModelError::Version { .. }) && error.to_string().contains(mend), "{error}");
    }
    for text in ["", "[]", "{}", "null", r#"{"format":"other","version":1}"#] {
        assert!(matches!(Manifest::parse(text.as_bytes()), Err(ModelError::Format { .. })), "{text}");
    }
}

/// A gallery of chunks that are as large as a chunk may be.
fn many_chunks(m: &mut Manifest, count: u32) {
    let (images, width) = (1 << 10, 8192);
    let bytes = chunk_bytes(images as usize, 4, width);
    let file = |i: u32| FileEntry { bytes, ..FileEntry::new(format!("gallery/c{i}.bin"), b"") };
    let chunk = |i: u32| GalleryChunk { file: file(i), first: i * images, count: images };
    m.gallery.width = width;
    m.gallery.chunks = (0..count).map(chunk).collect();
    m.gallery.count = count * images;
    let meta = m.gallery.metadata[0].clone();
    m.gallery.metadata = vec![MetadataChunk { count: m.gallery.count, ..meta }];
}

/// Metadata in chunks that are as large as one may be, an image each.
fn many_metadata(m: &mut Manifest, count: u32) {
    let file = |i: u32| FileEntry { bytes: 64 << 20, ..FileEntry::new(format!("gallery/m{i}.json"), b"") };
    m.gallery.count = count;
    m.gallery.metadata = (0..count).map(|i| MetadataChunk { file: file(i), first: i, count: 1 }).collect();
    let chunk = GalleryChunk { count, ..m.gallery.chunks[0].clone() };
    let bytes = chunk_bytes(count as usize, 4, 8);
    m.gallery.chunks = vec![GalleryChunk { file: FileEntry { bytes, ..chunk.file.clone() }, ..chunk }];
}

#[test]
fn sizes_are_those_of_the_architecture() {
    let config = RetrievalConfig::preset("tiny").unwrap();
    let mut fits = manifest();
    fits.config = serde_json::to_value(&config).unwrap();
    (fits.gallery.tokens, fits.gallery.width) = (4, 16);
    assert_eq!(fits.retrieval_config("b.json").unwrap(), config);
    let refused = |change: fn(&mut Manifest)| {
        let mut other = fits.clone();
        change(&mut other);
        other.retrieval_config("b.json").unwrap_err().to_string()
    };
    let message = refused(|m| m.weights[0].file.bytes = 1 << 30);
    assert!(message.starts_with("b.json: weights: 1073741824 bytes are too many"), "{message}");
    assert!(refused(|m| m.gallery.tokens = 5).starts_with("b.json: gallery: "));
    assert!(refused(|m| m.gallery.width = 8).contains("(4, 8)"));
    let message = refused(|m| m.config["method"]["qformer"]["layers"] = (1 << 20).into());
    assert!(message.starts_with("b.json: config: qformer.layers: "), "{message}");
}

#[test]
fn senseless_manifests_are_errors() {
    type Break = fn(&mut Manifest);
    let breaks: [(&str, Break); 29] = [
        ("config", |m| m.config = Value::Null),
        ("understands", |m| m.understands = "x".repeat(1001)),
        ("weights", |m| m.weights.clear()),
        ("weights[0]", |m| m.weights[0].file.path = "../x".into()),
        ("weights[0]", |m| m.weights[0].file.bytes = 0),
        ("weights[0]", |m| m.weights[0].file.bytes = u64::MAX),
        ("weights[0]", |m| m.weights[0].code_width = NumberFormat::Int8),
        ("vocab", |m| m.vocab.file.sha256 = "AB".repeat(32)),
        ("gallery", |m| m.gallery.tokens = 0),
        ("gallery", |m| m.gallery.width = 1 << 20),
        ("gallery.chunks", |m| m.gallery.count = 11),
        ("gallery.chunks[1]", |m| m.gallery.chunks[1].first = 5),
        ("gallery.chunks[1]", |m| m.gallery.chunks[1].count = 0),
        ("gallery.chunks[1]", |m| m.gallery.chunks[1].count = u32::MAX),
        ("gallery.metadata", |m| m.gallery.metadata.clear()),
        ("gallery.thumbnails", |m| m.gallery.thumbnails = "../".into()),
        ("gallery.chunks[1]", |m| m.gallery.chunks[1].file.bytes += 1),
        ("gallery.metadata[0]", |m| m.gallery.metadata[0].file.bytes = 65 << 20),
        ("vocab", |m| m.vocab.file.bytes = 17 << 20),
        ("weights", |m| m.weights = vec![m.weights[0].clone(); 4097]),
        ("the files", |m| m.weights.push(m.weights[0].clone())),
        ("the files", |m| m.vocab.file.path = "w.safetensors".into()),
        ("the files", |m| m.gallery.metadata[0].file.path = "gallery/6.bin".into()),
        ("gallery.chunks", |m| many_chunks(m, 2000)),
        ("gallery.metadata", |m| many_metadata(m, 17)),
        ("self_test", |m| m.self_test.as_mut().unwrap().expected = vec![(1, 0.5); 1025]),
        ("self_test", |m| m.self_test = None),
        ("self_test", |m| m.self_test.as_mut().unwrap().expected[0].0 = 10),
        ("self_test", |m| m.self_test.as_mut().unwrap().score_tolerance = 0.0),
    ];
    for (field, break_it) in breaks {
        let mut broken = manifest();
        break_it(&mut broken);
        let text = serde_json::to_string(&broken).unwrap();
        let message = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(message.starts_with(&format!("bundle.json: {field}: ")), "{field}: {message}");
        assert!(broken.to_json().is_err());
    }
}

#[test]
fn a_message_repeats_no_more_than_a_line_of_the_file() {
    let text =
        manifest().to_json().unwrap().replacen("\"count\": 10", &format!("\"count\": \"{}\"", "é".repeat(100_000)), 1);
    let message = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(message.starts_with("bundle.json: the fields: ") && message.len() < 1000, "{} bytes", message.len());
}

#[test]
fn noise_never_panics() {
    let text = manifest().to_json().unwrap().into_bytes();
    let mut state = 1_u32;
    for _ in 0..3000 {
        let mut broken = text.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (state >> 8) as usize % broken.len();
            broken[at] = (state >> 3) as u8;
        }
        let _ = Manifest::parse(&broken);
    }
}
