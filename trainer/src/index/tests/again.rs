//! Indexing again: what is taken over, what is encoded, and which files change.

use super::*;
use std::collections::BTreeSet;

/// Counts the images that go through the encoder.
struct Counting(Colours, usize);

impl Encoder for Counting {
    fn encode(&mut self, images: Vec<Vec<f32>>) -> Result<Encoded> {
        self.1 += images.len();
        self.0.encode(images)
    }
    fn self_test(&mut self, text: &str) -> Result<Vec<f32>> {
        self.0.self_test(text)
    }
}

/// Indexes, and gives how many images were encoded.
fn encoded(place: &Place, options: &Options) -> (Outcome, usize) {
    let (n, p) = (place.bundle.config.target_tokens, place.bundle.config.projection);
    let mut encoder = Counting(Colours { n, p, files: place.bundle.manifest.form == Form::GalleryReference }, 0);
    let outcome = index(options, &place.bundle, &mut encoder, &mut |_, _| {}).unwrap();
    assert_eq!(outcome.encoded, encoder.1);
    (outcome, encoder.1)
}

/// The bundle's files.
fn files(place: &Place) -> BTreeSet<String> {
    let all = walkdir::WalkDir::new(place.at("out")).into_iter().map(|entry| entry.unwrap());
    let files = all.filter(|entry| entry.file_type().is_file());
    files.map(|entry| entry.path().strip_prefix(place.at("out")).unwrap().display().to_string()).collect()
}

/// The gallery's images with the first values of their tokens, in order.
fn gallery_of(place: &Place) -> Vec<(String, Vec<f32>)> {
    let bundle = Bundle::read(&place.at("out")).unwrap();
    let gallery = bundle.gallery().unwrap();
    let row = |at: usize| gallery.image(at as u32).unwrap()[..3].to_vec();
    bundle.metadata.iter().enumerate().map(|(at, image)| (image.id.clone(), row(at))).collect()
}

fn colour(i: u8) -> [u8; 4] {
    [i * 6, 100, 200 - i * 5, 255]
}

fn shop() -> Place {
    let place = Place::new();
    for i in 0..20u8 {
        photo(&place.at(&format!("photos/{i:02}.png")), 300, 300, colour(i));
    }
    assert_eq!(encoded(&place, &place.options()).1, 20);
    place
}

/// What every gallery must be, however it came about: that of a run that begins anew, but for the order.
fn assert_as_fresh(place: &Place) {
    let sorted = |place: &Place| {
        let mut all = gallery_of(place);
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let (other, found) = (Options { out: place.at("anew"), ..place.options() }, sorted(place));
    encoded(place, &other);
    let bundle = Bundle::read(&place.at("anew")).unwrap();
    let ids: BTreeSet<_> = bundle.metadata.iter().map(|image| image.id.clone()).collect();
    assert_eq!(found.iter().map(|(id, _)| id.clone()).collect::<BTreeSet<_>>(), ids);
    let gallery = bundle.gallery().unwrap();
    for (at, image) in bundle.metadata.iter().enumerate() {
        let (_, row) = found.iter().find(|(id, _)| *id == image.id).unwrap();
        assert_eq!(gallery.image(at as u32).unwrap()[..3], row[..], "{}", image.id);
    }
    for image in &Bundle::read(&place.at("out")).unwrap().metadata {
        assert!(place.at("out/thumbs").join(&image.thumb).is_file(), "{}", image.id);
    }
    std::fs::remove_dir_all(place.at("anew")).unwrap();
}

#[test]
fn nothing_new_is_nothing_to_do() {
    let place = shop();
    let manifest = std::fs::metadata(place.at("out/bundle.json")).unwrap().modified().unwrap();
    let before = files(&place);
    assert!(!before.iter().any(|path| path.contains("index.json")) && place.at(".out.index.json").is_file());
    let (outcome, count) = encoded(&place, &place.options());
    assert!(count == 0 && outcome.unchanged && outcome.anew.is_none() && outcome.completed.is_none());
    state::complete(&place.at("out"), "so").unwrap();
    assert_eq!(encoded(&place, &place.options()).0.completed.as_deref(), Some("so"));
    assert_eq!(files(&place), before);
    assert_eq!(std::fs::metadata(place.at("out/bundle.json")).unwrap().modified().unwrap(), manifest);
    // What people read is another thing than the gallery.
    let mut options = place.options();
    options.about.title = Some("Other".into());
    let (outcome, count) = encoded(&place, &options);
    assert!(count == 0 && !outcome.unchanged && outcome.completed.is_none());
    let changed: Vec<_> = files(&place).symmetric_difference(&before).cloned().collect();
    assert!(changed.is_empty(), "{changed:?}");
    let fresh = Options { again: Again::Fresh, ..options };
    assert_eq!(encoded(&place, &fresh).1, 20);
    place.assert_clean();
}

#[test]
fn what_changes_is_encoded_and_the_rest_is_not() {
    let place = shop();
    let before = gallery_of(&place);
    // New ones come last, wherever their names stand.
    photo(&place.at("photos/00-first.png"), 300, 300, [9, 250, 9, 255]);
    let (outcome, count) = encoded(&place, &place.options());
    assert_eq!((count, outcome.indexed, outcome.unchanged), (1, 21, false));
    assert_eq!(gallery_of(&place)[..20], before[..]);
    assert_eq!(gallery_of(&place)[20].0, "00-first.png");
    // Another picture of the same size keeps its place.
    photo(&place.at("photos/05.png"), 300, 300, [250, 9, 250, 255]);
    assert_eq!(encoded(&place, &place.options()).1, 1);
    let now = gallery_of(&place);
    assert!(now[5].0 == "05.png" && now[5].1 != before[5].1 && now[4] == before[4] && now[6] == before[6]);
    // Touched is not changed.
    let file = std::fs::File::options().write(true).open(place.at("photos/06.png")).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(90)).unwrap();
    let (outcome, count) = encoded(&place, &place.options());
    assert!(count == 0 && outcome.unchanged);
    std::fs::remove_file(place.at("photos/00.png")).unwrap();
    std::fs::remove_file(place.at("photos/19.png")).unwrap();
    let (outcome, count) = encoded(&place, &place.options());
    assert_eq!((count, outcome.indexed), (0, 19));
    assert_as_fresh(&place);
}

#[test]
fn names_are_followed_by_what_is_in_the_files() {
    let place = shop();
    let before = gallery_of(&place);
    std::fs::create_dir(place.at("photos/in")).unwrap();
    std::fs::rename(place.at("photos/03.png"), place.at("photos/in/red hat.png")).unwrap();
    std::fs::copy(place.at("photos/04.png"), place.at("photos/copy.png")).unwrap();
    // Two trade their names.
    std::fs::rename(place.at("photos/07.png"), place.at("photos/x")).unwrap();
    std::fs::rename(place.at("photos/08.png"), place.at("photos/07.png")).unwrap();
    std::fs::rename(place.at("photos/x"), place.at("photos/08.png")).unwrap();
    let (outcome, count) = encoded(&place, &place.options());
    assert_eq!((count, outcome.indexed), (0, 21));
    assert_eq!(outcome.renamed, [("03.png".to_owned(), "in/red hat.png".to_owned())]);
    let now = gallery_of(&place);
    assert_eq!((now[3].0.as_str(), &now[3].1), ("in/red hat.png", &before[3].1));
    assert_eq!((&now[7].1, &now[8].1), (&before[8].1, &before[7].1));
    assert_eq!((now[20].0.as_str(), &now[20].1), ("copy.png", &before[4].1));
    let title = &Bundle::read(&place.at("out")).unwrap().metadata[3].title;
    assert_eq!(title, "Red hat", "what people read follows the new name");
    assert_as_fresh(&place);
}

#[test]
fn chunks_without_a_change_keep_their_names() {
    let mut place = Place::new();
    // Wide rows: a chunk holds few images.
    let mut config = RetrievalConfig::preset("tiny").unwrap();
    config.projection = 4096;
    place.bundle = model_of(&place.at("wide"), &config);
    let each = gallery::CHUNK_BYTES.div_ceil(config.target_tokens * (4 + config.projection));
    assert!((2..100).contains(&each), "{each}");
    for i in 0..each * 2 + 9 {
        let colour = [i as u8, (i >> 4) as u8, 7, 255];
        photo(&place.at(&format!("photos/{i:05}.png")), 2, 2, colour);
    }
    encoded(&place, &place.options());
    let chunks = || {
        let gallery = Bundle::read(&place.at("out")).unwrap().manifest.gallery;
        gallery.chunks.into_iter().map(|chunk| chunk.file.path).collect::<Vec<_>>()
    };
    let first = chunks();
    assert_eq!(first.len(), 3);
    photo(&place.at("photos/00000-new.png"), 2, 2, [250, 250, 9, 255]);
    encoded(&place, &place.options());
    let second = chunks();
    assert!(first[..2] == second[..2] && first[2] != second[2], "{first:?} {second:?}");
    std::fs::remove_file(place.at("photos/00003.png")).unwrap();
    let before = upload::Files::of(&place.at("out"));
    encoded(&place, &place.options());
    let third = chunks();
    assert!(third[0] != second[0] && third[1..] == second[1..], "{second:?} {third:?}");
    let list = upload::List::between(&before, &upload::Files::of(&place.at("out")));
    assert_eq!(list.new.iter().filter(|path| path.starts_with("gallery/tokens-")).collect::<Vec<_>>(), [&third[0]]);
    assert!(list.deleted.contains(&second[0]) && list.changed == ["bundle.json"]);
    assert!(!list.new.iter().any(|path| path.starts_with("weights") || path.starts_with("vocab")), "{list}");
}

#[test]
fn another_model_or_a_damaged_record_means_everything_anew() {
    let mut place = shop();
    let record = place.at(".out.index.json");
    let whole = std::fs::read(&record).unwrap();
    let anew = |place: &Place, words: &str| {
        let (outcome, count) = encoded(place, &place.options());
        let why = outcome.anew.unwrap_or_default();
        assert!(count == 20 && why.contains(words), "{count} {why}");
        assert!(encoded(place, &place.options()).0.unchanged, "the record is mended");
    };
    std::fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    anew(&place, ".out.index.json: is no record of an index");
    std::fs::write(&record, "[]").unwrap();
    anew(&place, "is no record of an index");
    std::fs::write(place.at(".out.index.looks"), "x").unwrap();
    anew(&place, ".out.index.looks: is damaged");
    std::fs::remove_file(&record).unwrap();
    anew(&place, "there is no .out.index.json beside the bundle");
    let thumb = |place: &Place| {
        let name = Bundle::read(&place.at("out")).unwrap().metadata[4].thumb.clone();
        place.at("out/thumbs").join(name)
    };
    std::fs::remove_file(thumb(&place)).unwrap();
    assert_eq!(encoded(&place, &place.options()).1, 1, "a photo without its thumbnail is made once more");
    assert!(thumb(&place).is_file());
    let chunk = Bundle::read(&place.at("out")).unwrap().manifest.gallery.chunks[0].file.path.clone();
    std::fs::write(place.at("out").join(&chunk), "x").unwrap();
    anew(&place, &chunk);
    // A bundle that something else has written meanwhile.
    let other = Options { again: Again::Never, photos: place.at("few"), ..place.options() };
    photo(&place.at("few/a.png"), 9, 9, [1, 2, 3, 255]);
    encoded(&place, &other);
    anew(&place, "the gallery is another one");
    place.bundle.manifest.weights[0].file = FileEntry::new("weights.b.safetensors", b"another model");
    place.bundle.weights[0] = b"another model".to_vec();
    anew(&place, "another model, other settings");
    place.assert_clean();
}

#[test]
fn photos_that_cannot_be_read_are_tried_again() {
    let place = shop();
    std::fs::write(place.at("photos/05.png"), "no picture").unwrap();
    let (outcome, count) = encoded(&place, &place.options());
    assert_eq!((count, outcome.indexed, outcome.complaints.len()), (0, 19, 1));
    assert_eq!(encoded(&place, &place.options()).0.complaints.len(), 1);
    photo(&place.at("photos/05.png"), 300, 300, colour(5));
    assert_eq!(encoded(&place, &place.options()).1, 1);
    assert_as_fresh(&place);
}

#[test]
fn without_an_encoder_tokens_are_taken_over_too() {
    let mut place = Place::new();
    place.bundle.manifest.form = Form::GalleryReference;
    for i in 0..5u8 {
        photo(&place.at(&format!("photos/{i}.png")), 30, 30, colour(i));
    }
    encoded(&place, &place.options());
    std::fs::remove_file(place.at("photos/2.png")).unwrap();
    let (outcome, count) = encoded(&place, &place.options());
    assert_eq!((count, outcome.indexed), (0, 4));
    let bundle = Bundle::read(&place.at("out")).unwrap();
    for image in &bundle.metadata {
        assert_eq!(bundle.reference(image.reference.as_ref().unwrap()).unwrap().len(), 4);
    }
    assert_eq!(std::fs::read_dir(place.at("out/references")).unwrap().count(), 4);
}

#[test]
fn an_output_inside_the_photos_is_never_read() {
    let place = shop();
    let inside = Options { out: place.at("photos/gallery"), ..place.options() };
    for _ in 0..3 {
        assert_eq!(encoded(&place, &inside).0.indexed, 20);
    }
    assert!(place.at("photos/.gallery.index.json").is_file());
    assert_eq!(encoded(&place, &inside).1, 0);
}
