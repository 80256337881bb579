//! Indexing with a made-up encoder: what is found, what is left out, what is written.

mod again;
mod alike;
mod beside;
mod named;

use super::*;
use crate::bundle_io;
use image::{Rgba as Pixel, RgbaImage as Picture};
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::{FileEntry, Form, Manifest, WeightsEntry};
use thisbut_model::gallery::{ImageMeta, encode_chunk};
use thisbut_model::number::NumberFormat;
use work::Item;

/// Each image's tokens are its mean colour, so that colours can be searched.
struct Colours {
    n: usize,
    p: usize,
    /// Whether it gives files of tokens.
    files: bool,
}

impl Colours {
    fn vector(&self, image: &[f32]) -> Vec<f32> {
        let plane = image.len() / 3;
        let mut v: Vec<f32> = image.chunks(plane).map(|c| c.iter().sum::<f32>() / plane as f32 + 1.01).collect();
        v.resize(self.p, 0.0);
        let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
        v.iter().map(|x| x / norm).collect()
    }
}

impl Encoder for Colours {
    fn encode(&mut self, images: Vec<Vec<f32>>) -> Result<Encoded> {
        let targets = images.iter().flat_map(|image| self.vector(image).repeat(self.n)).collect();
        let references = images.iter().filter(|_| self.files).map(|image| self.vector(image)[0].to_le_bytes().to_vec());
        let looks = images.iter().flat_map(|image| self.vector(image)).collect();
        Ok(Encoded { targets, looks, references: references.collect() })
    }
    fn self_test(&mut self, _: &str) -> Result<Vec<f32>> {
        Ok(self.vector(&[0.5, 0.2, -0.3]))
    }
}

/// A bundle of the tiny model with an empty gallery; the weights are any bytes.
fn model(folder: &Path) -> Bundle {
    model_of(folder, &RetrievalConfig::preset("tiny").unwrap())
}

fn model_of(folder: &Path, config: &RetrievalConfig) -> Bundle {
    let mut writer = Writer::new(folder).unwrap();
    let weights = writer.add("", "weights", "safetensors", b"not looked at here").unwrap();
    let vocab = writer.add("", "vocab", "txt", b"[PAD]\n").unwrap();
    let weights = vec![WeightsEntry { file: weights, code_width: NumberFormat::Q8 }];
    let mut manifest = Manifest::of_model(config, weights, vocab).unwrap();
    manifest.measured = serde_json::json!({"r1": 50});
    manifest.understands = "coloured squares".into();
    writer.finish(&manifest).unwrap();
    Bundle::read_model(folder).unwrap()
}

fn photo(path: &Path, width: u32, height: u32, colour: [u8; 4]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let picture = DynamicImageOf(Picture::from_pixel(width, height, Pixel(colour)));
    picture.save(path);
}

struct DynamicImageOf(Picture);
impl DynamicImageOf {
    fn save(self, path: &Path) {
        let jpeg = path.extension().is_some_and(|e| e == "jpg");
        if jpeg {
            image::DynamicImage::from(self.0).into_rgb8().save(path).unwrap();
        } else {
            self.0.save(path).unwrap();
        }
    }
}

struct Place {
    folder: tempfile::TempDir,
    bundle: Bundle,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("photos")).unwrap();
        let bundle = model(&folder.path().join("model"));
        Self { folder, bundle }
    }
    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }
    fn options(&self) -> Options {
        Options {
            photos: self.at("photos"),
            out: self.at("out"),
            csv: None,
            again: Again::Changed,
            near: Near::Report(near::THRESHOLD),
            about: About {
                title: Some("Shop".into()),
                licence: Some("ours".into()),
                suggestions: Some(vec!["but red".into()]),
                understands: None,
            },
        }
    }
    fn index(&self, options: &Options) -> Result<Outcome> {
        let (n, p) = (self.bundle.config.target_tokens, self.bundle.config.projection);
        let files = self.bundle.manifest.form == Form::GalleryReference;
        let mut encoder = Colours { n, p, files };
        index(options, &self.bundle, &mut encoder, &mut |_, _| {})
    }
    /// Nothing staged may be left beside the output.
    fn assert_clean(&self) {
        let left = std::fs::read_dir(self.folder.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".partial-"));
        assert_eq!(left.count(), 0);
    }
}

#[test]
fn a_folder_becomes_a_bundle_that_reads_back() {
    let place = Place::new();
    photo(&place.at("photos/red-dress_02.jpg"), 640, 320, [250, 10, 10, 255]);
    photo(&place.at("photos/sub/blue coat.png"), 300, 300, [10, 10, 250, 100]);
    photo(&place.at("photos/tiny.png"), 1, 1, [10, 250, 10, 255]);
    photo(&place.at("photos/.hidden.png"), 9, 9, [0; 4]);
    std::fs::write(place.at("photos/notes.txt"), "x").unwrap();
    std::fs::write(place.at("photos/empty.jpg"), "").unwrap();
    std::fs::write(place.at("photos/text.png"), "not an image at all").unwrap();
    let outcome = place.index(&place.options()).unwrap();
    assert_eq!((outcome.indexed, outcome.others, outcome.complaints.len()), (3, 1, 2));
    assert!(outcome.complaints[0].to_string().contains("empty.jpg: the file has zero bytes"));

    let bundle = Bundle::read(&place.at("out")).unwrap();
    let shown: Vec<_> = bundle.metadata.iter().map(|m| (m.id.as_str(), m.title.as_str(), m.width)).collect();
    let expected =
        [("red-dress_02.jpg", "Red dress 02", 640), ("sub/blue coat.png", "Blue coat", 300), ("tiny.png", "Tiny", 1)];
    assert_eq!(shown, expected);
    let endings: Vec<_> = bundle.metadata.iter().map(|m| m.thumb.rsplit('.').next().unwrap()).collect();
    assert_eq!(endings, ["jpg", "webp", "png"]);
    let thumb = |i: usize| crate::images::decode_file(&place.at("out/thumbs").join(&bundle.metadata[i].thumb)).unwrap();
    assert_eq!((thumb(0).width, thumb(0).height), (256, 128));
    assert!((thumb(1).width, thumb(1).is_opaque()) == (256, false));
    let gallery = bundle.gallery().unwrap();
    let mut blue = vec![0.0; bundle.config.projection];
    blue[2] = 1.0;
    assert_eq!(gallery.search(&blue, 1, &[]).unwrap()[0].index, 1);
    let test = bundle.manifest.self_test.as_ref().unwrap();
    assert_eq!((test.expected.len(), test.gallery_index), (3, None));
    // The model's own figures are of another gallery.
    assert_eq!(bundle.manifest.measured, serde_json::Value::Null);
    assert_eq!(bundle.weights, place.bundle.weights);
    place.assert_clean();
}

#[test]
fn without_an_encoder_every_image_brings_its_tokens() {
    let mut place = Place::new();
    place.bundle.manifest.form = Form::GalleryReference;
    for (i, name) in ["a.png", "b.png", "c.png"].into_iter().enumerate() {
        photo(&place.at("photos").join(name), 30, 30, [20, 80 * i as u8, 200, 255]);
    }
    place.index(&place.options()).unwrap();
    let bundle = Bundle::read(&place.at("out")).unwrap();
    assert_eq!(bundle.manifest.form, Form::GalleryReference);
    let files: Vec<FileEntry> = bundle.metadata.iter().map(|image| image.reference.clone().unwrap()).collect();
    assert!(
        files.iter().all(|file| file.path.starts_with("references/r.") && place.at("out").join(&file.path).is_file())
    );
    assert_eq!(bundle.reference(&files[0]).unwrap().len(), 4);
    std::fs::write(place.at("out").join(&files[0].path), b"xyz").unwrap();
    let message = bundle.reference(&files[0]).unwrap_err().to_string();
    assert!(message.contains("references/r.") && message.contains("cut short"), "{message}");

    // Files of an image that is gone are removed; an engine without files for them is refused.
    std::fs::remove_file(place.at("photos/b.png")).unwrap();
    place.index(&place.options()).unwrap();
    assert_eq!(std::fs::read_dir(place.at("out/references")).unwrap().count(), 2);
    let mut wrong = Colours { n: bundle.config.target_tokens, p: bundle.config.projection, files: false };
    let fresh = Options { again: Again::Fresh, ..place.options() };
    let refused = index(&fresh, &place.bundle, &mut wrong, &mut |_, _| {}).unwrap_err().to_string();
    assert!(refused.contains("0 files for 2 images"), "{refused}");

    // A bundle that promises tokens and has none for an image is not opened.
    let path = place.at("out").join(bundle_io::MANIFEST);
    place.bundle.manifest.form = Form::Full;
    place.index(&place.options()).unwrap();
    assert!(
        !place.at("out/references").exists() || std::fs::read_dir(place.at("out/references")).unwrap().count() == 0
    );
    let json = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, json.replace("\"config\"", "\"form\": \"gallery-reference\", \"config\"")).unwrap();
    let message = Bundle::read(&place.at("out")).unwrap_err().to_string();
    assert!(message.contains("'a.png' has no file of tokens"), "{message}");
}

#[test]
fn indexing_again_gives_the_same_files_and_removes_the_old_ones() {
    let place = Place::new();
    for i in 0..40u8 {
        photo(&place.at(&format!("photos/{i:02}.png")), 300, 300, [i * 6, 100, 200 - i * 5, 255]);
    }
    place.index(&place.options()).unwrap();
    let list = || {
        let mut files: Vec<_> = walkdir::WalkDir::new(place.at("out"))
            .into_iter()
            .map(|e| e.unwrap().path().to_path_buf())
            .filter(|p| p.is_file())
            .collect();
        files.sort();
        files
    };
    let (before, manifest) = (list(), std::fs::read(place.at("out/bundle.json")).unwrap());
    assert_eq!(before.len(), 40 + 5, "thumbnails, tokens, metadata, weights, vocabulary, manifest");
    place.index(&place.options()).unwrap();
    assert_eq!((list(), std::fs::read(place.at("out/bundle.json")).unwrap()), (before, manifest));
    std::fs::remove_file(place.at("photos/07.png")).unwrap();
    place.index(&place.options()).unwrap();
    assert_eq!(list().len(), 39 + 5);
    assert_eq!(Bundle::read(&place.at("out")).unwrap().metadata.len(), 39);
}

#[test]
fn large_galleries_are_cut_into_chunks() {
    let place = Place::new();
    let (n, p) = (place.bundle.config.target_tokens, place.bundle.config.projection);
    let mut token = vec![0.0; n * p];
    token[0] = 1.0;
    let row = Chunk::parse(&encode_chunk(&token, n, p).unwrap()).unwrap();
    let item = |i: u32| Item {
        meta: ImageMeta {
            id: i.to_string(),
            title: String::new(),
            tags: vec![],
            changes: vec![],
            extra: Default::default(),
            thumb: "t.jpg".into(),
            width: 1,
            height: 1,
            reference: None,
        },
        row: row.clone(),
        look: row.only(0).unwrap(),
        stamp: state::Stamp { bytes: 1, modified: 1 },
        sha256: String::new(),
        place: None,
    };
    let items: Vec<Item> = (0..4000).map(item).collect();
    let (options, writer) = (place.options(), Writer::new(&place.at("out")).unwrap());
    let mut encoder = Colours { n, p, files: false };
    let mut finish = Finish { options: &options, bundle: &place.bundle, known: None, writer, encoder: &mut encoder };
    let (manifest, ..) = finish.manifest(&items).unwrap();
    finish.writer.finish(&manifest).unwrap();
    let bundle = Bundle::read(&place.at("out")).unwrap();
    assert_eq!(bundle.metadata.len(), 4000);
    assert!(bundle.chunks.len() > 1 && bundle.manifest.gallery.metadata.len() == 8);
    let bytes = gallery::CHUNK_BYTES as u64;
    for entry in &bundle.manifest.gallery.chunks[..bundle.chunks.len() - 1] {
        assert!((bytes..bytes + 4096).contains(&entry.file.bytes), "{}", entry.file.bytes);
    }
    let names: Vec<_> = bundle.manifest.gallery.chunks.iter().map(|chunk| chunk.file.path.as_str()).collect();
    assert!(names[1].starts_with("gallery/tokens-1."), "chunks with the same bytes have names of their own: {names:?}");
}

#[test]
fn a_csv_gives_titles_and_tags() {
    let place = Place::new();
    for name in ["a.png", "sub/a.png", "b.png", "c.png"] {
        photo(&place.at("photos").join(name), 8, 8, [9, 9, 9, 255]);
    }
    let csv = place.at("t.csv");
    let mut options = place.options();
    options.csv = Some(csv.clone());
    std::fs::write(&csv, "\u{feff}File,tags,title\nb.png,\"red, wool;warm\",Béret\n./sub/a.png,,\"Coat, long\"\na.png,x,y\nb.png,x,z\ngone.png,,\n").unwrap();
    let outcome = place.index(&options).unwrap();
    let bundle = Bundle::read(&place.at("out")).unwrap();
    let titles: Vec<_> = bundle.metadata.iter().map(|m| m.title.as_str()).collect();
    assert_eq!(titles, ["A", "Béret", "C", "Coat, long"]);
    assert_eq!(bundle.metadata[1].tags, ["red", "wool", "warm"]);
    assert_eq!(bundle.metadata[3].tags, ["sub"], "empty tags keep the folder's name");
    let said: Vec<_> = outcome.complaints.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("t.csv, line 4: 'a.png' is the name of several"), "{said:?}");
    assert!(said[1].contains("line 5: 'b.png' already stands in line 2"), "{said:?}");
    assert!(said[2].contains("line 6: there is no picture 'gone.png'"), "{said:?}");

    for (content, words) in [
        (&b"name,title\nx,y\n"[..], "line 1: there is no column 'file' (columns: name, title)"),
        (b"file,title\na.png,b,c\n", "line 2: has 3 fields, the header has 2"),
        (b"file\n\xff\xfe\n", "not UTF-8"),
        (b"", "no column 'file'"),
    ] {
        std::fs::write(&csv, content).unwrap();
        let text = place.index(&options).unwrap_err().to_string();
        assert!(text.contains(words) && text.contains("t.csv"), "{text}");
    }
    options.csv = Some(place.at("none.csv"));
    assert!(place.index(&options).unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn folders_without_images_and_broken_engines_leave_nothing() {
    let place = Place::new();
    let text = place.index(&place.options()).unwrap_err().to_string();
    assert!(text.contains("no usable image (there are 0 other files)"), "{text}");
    std::fs::write(place.at("photos/x.gif"), b"GIF89a").unwrap();
    let text = place.index(&place.options()).unwrap_err().to_string();
    assert!(text.contains("1 left out") && text.contains("x.gif"), "{text}");
    let mut options = place.options();
    options.photos = place.at("nowhere");
    assert!(place.index(&options).unwrap_err().to_string().contains("is not a folder"));
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    let wrong = index(&place.options(), &place.bundle, &mut Colours { n: 1, p: 3, files: false }, &mut |_, _| {});
    assert!(wrong.unwrap_err().to_string().contains("the engine"));
    assert!(!place.at("out").exists());
    std::fs::write(place.at("out"), "a file").unwrap();
    assert!(place.index(&place.options()).unwrap_err().to_string().contains("is a file"));
    place.assert_clean();
}

#[test]
fn damaged_bundles_are_named() {
    let place = Place::new();
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    place.index(&place.options()).unwrap();
    let out = place.at("out");
    let manifest = Bundle::read(&out).unwrap().manifest;
    let files: Vec<FileEntry> = manifest.files().cloned().collect();
    for entry in &files {
        let path = out.join(&entry.path);
        let whole = std::fs::read(&path).unwrap();
        let mut other = whole.clone();
        *other.last_mut().unwrap() ^= 1;
        for (content, words) in [(other, "checksum"), (whole[..whole.len() - 1].to_vec(), "cut short")] {
            std::fs::write(&path, content).unwrap();
            let text = Bundle::read(&out).unwrap_err().to_string();
            assert!(text.contains(words) && text.contains(&entry.path), "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Bundle::read(&out).unwrap_err().to_string().contains("cannot read"));
        std::fs::write(&path, whole).unwrap();
    }
    let json = std::fs::read_to_string(out.join(bundle_io::MANIFEST)).unwrap();
    std::fs::write(out.join(bundle_io::MANIFEST), json.replace("\"version\": 1", "\"version\": 9")).unwrap();
    assert!(Bundle::read(&out).unwrap_err().to_string().contains("format version 9"));
    assert!(Bundle::read(&place.at("photos")).unwrap_err().to_string().contains("is not a bundle"));
}
