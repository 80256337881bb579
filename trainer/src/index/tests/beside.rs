//! What stands beside the photos and in the way of the output, and runs after and beside others.

use super::*;

#[cfg(unix)]
#[test]
fn only_photos_of_the_folder_are_indexed() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    photo(&place.at("photos/in/b.png"), 8, 8, [9, 99, 9, 255]);
    photo(&place.at("private/c.png"), 8, 8, [99, 9, 9, 255]);
    symlink(place.at("private"), place.at("photos/link")).unwrap();
    symlink("../private/c.png", place.at("photos/c.png")).unwrap();
    symlink("nowhere.png", place.at("photos/d.png")).unwrap();
    symlink("in/b.png", place.at("photos/e.png")).unwrap();
    let mut options = place.options();
    options.out = place.at("photos/gallery");
    for _ in 0..2 {
        let outcome = place.index(&options).unwrap();
        let bundle = Bundle::read(&options.out).unwrap();
        let ids: Vec<_> = bundle.metadata.iter().map(|image| image.id.as_str()).collect();
        assert_eq!(ids, ["a.png", "e.png", "in/b.png"]);
        let said: Vec<_> = outcome.complaints.iter().map(ToString::to_string).collect();
        for name in ["photos/c.png: a link that leads out", "photos/link: a link that leads out", "photos/d.png: "] {
            assert!(said.iter().any(|line| line.contains(name)), "{name}: {said:?}");
        }
    }
    // Another output folder: the bundle of before is in the way, and is no folder of photos.
    options.out = place.at("other");
    let outcome = place.index(&options).unwrap();
    assert_eq!(outcome.indexed, 3);
    assert!(
        outcome.complaints.iter().any(|c| c.to_string().contains("gallery: a bundle, whose pictures are thumbnails"))
    );
    for (photos, out, words) in [
        ("photos/gallery", "other", "is a bundle: its pictures are thumbnails"),
        ("photos/gallery/thumbs", "photos/gallery", "is the output folder, or lies in it"),
        ("photos", "photos", "has files and is no bundle"),
    ] {
        (options.photos, options.out) = (place.at(photos), place.at(out));
        let text = place.index(&options).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn what_is_not_a_bundle_is_not_written_over() {
    let place = Place::new();
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    std::fs::create_dir_all(place.at("out/captions")).unwrap();
    std::fs::write(place.at("out/captions/cap.json"), "[]").unwrap();
    let refused = || place.index(&place.options()).unwrap_err().to_string();
    assert!(refused().contains("out: has files and is no bundle"), "{}", refused());
    for foreign in ["{\"entry\": \"main.js\"}", "{\"format\": \"webpack\"}", "no JSON", ""] {
        std::fs::write(place.at("out/bundle.json"), foreign).unwrap();
        assert!(refused().contains("has a bundle.json that is not a bundle's"), "{}", refused());
        assert_eq!(std::fs::read_to_string(place.at("out/bundle.json")).unwrap(), foreign);
    }
    place.assert_clean();
    #[cfg(unix)]
    {
        // A pipe that nobody writes to is not waited for.
        std::fs::remove_file(place.at("out/bundle.json")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(place.at("out/bundle.json")).status().unwrap().success());
        assert!(refused().contains("has a bundle.json that is not a bundle's"), "{}", refused());
    }
    std::fs::remove_dir_all(place.at("out")).unwrap();
    // An empty folder, and one with hidden files, may become a bundle; so may a bundle of another version.
    for name in [None, Some(".gitkeep")] {
        std::fs::create_dir(place.at("out")).unwrap();
        if let Some(name) = name {
            std::fs::write(place.at("out").join(name), "").unwrap();
        }
        place.index(&place.options()).unwrap();
        assert!(name.is_none_or(|name| place.at("out").join(name).exists()));
        let manifest = place.at("out/bundle.json");
        let json = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, json.replace("\"version\": 1", "\"version\": 9")).unwrap();
        place.index(&place.options()).unwrap();
        Bundle::read(&place.at("out")).unwrap();
        std::fs::remove_dir_all(place.at("out")).unwrap();
    }
}

#[test]
fn what_a_killed_run_left_is_swept() {
    let place = Place::new();
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    let (staged, lock) = (place.at(".partial-out.files"), place.at(".partial-out.lock"));
    let leave = || {
        std::fs::create_dir_all(staged.join("thumbs")).unwrap();
        std::fs::write(staged.join("thumbs/t.0123456789abcdef.jpg"), "x").unwrap();
        std::fs::write(&lock, "").unwrap();
    };
    leave();
    assert_eq!(place.index(&place.options()).unwrap().swept, [staged.canonicalize().unwrap_or(staged.clone())]);
    place.assert_clean();
    // Killed while it moved its files into place: the bundle of before is whole, and what it does not use goes.
    leave();
    for name in ["thumbs/t.0123456789abcdef.jpg", "weights.0123456789abcdef.safetensors", ".partial-Xy12Zz"] {
        std::fs::write(place.at("out").join(name), "x").unwrap();
    }
    std::fs::write(place.at("out/index.html"), "mine").unwrap();
    let swept = place.index(&place.options()).unwrap().swept;
    assert_eq!(swept.len(), 4, "{swept:?}");
    assert!(place.at("out/index.html").exists() && !place.at("out/.partial-Xy12Zz").exists());
    assert_eq!(std::fs::read_dir(place.at("out/thumbs")).unwrap().count(), 1);
    Bundle::read(&place.at("out")).unwrap();
    assert!(place.index(&place.options()).unwrap().swept.is_empty());
    place.assert_clean();
}

#[test]
fn one_run_at_a_time_writes_a_bundle() {
    let place = Place::new();
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    let writer = Writer::new(&place.at("out")).unwrap();
    let text = place.index(&place.options()).unwrap_err().to_string();
    assert!(text.contains("out: another run is writing here; wait until it has ended"), "{text}");
    let mut other = place.options();
    other.out = place.at("other");
    place.index(&other).unwrap();
    drop(writer);
    let results: Vec<Result<Outcome>> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| place.index(&place.options()))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(results.iter().any(Result::is_ok));
    assert!(results.iter().filter_map(|r| r.as_ref().err()).all(|e| e.to_string().contains("another run is writing")));
    assert_eq!(Bundle::read(&place.at("out")).unwrap().metadata.len(), 1);
    place.assert_clean();
}

#[test]
fn indexing_again_keeps_what_people_read() {
    let place = Place::new();
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    place.index(&place.options()).unwrap();
    let mut options = place.options();
    let read = || {
        let manifest = Bundle::read(&place.at("out")).unwrap().manifest;
        (manifest.gallery.title, manifest.gallery.licence, manifest.suggestions.join("+"))
    };
    options.about = About::default();
    assert_eq!(place.index(&options).unwrap().kept, ["title", "licence", "suggestions"]);
    assert_eq!(read(), ("Shop".to_owned(), "ours".to_owned(), "but red".to_owned()));
    options.about = About { title: Some("New".into()), suggestions: Some(vec![]), licence: None, understands: None };
    assert_eq!(place.index(&options).unwrap().kept, ["licence"]);
    assert_eq!(read(), ("New".to_owned(), "ours".to_owned(), String::new()));
    // What the model understands is the model's own matter, unless it is said.
    options.about.understands = Some("squares".into());
    place.index(&options).unwrap();
    let understands = |at: &str| Bundle::read(&place.at(at)).unwrap().manifest.understands;
    assert_eq!(understands("out"), "squares");
    options.out = place.at("fresh");
    options.about = About::default();
    assert!(place.index(&options).unwrap().kept.is_empty());
    assert_eq!(Bundle::read(&place.at("fresh")).unwrap().manifest.gallery.title, "photos");
    assert_eq!(understands("fresh"), "coloured squares");
}

#[test]
fn a_thumbnail_is_no_more_than_a_picture() {
    let place = Place::new();
    photo(&place.at("photos/a.jpg"), 30, 30, [9, 99, 200, 255]);
    let plain = std::fs::read(place.at("photos/a.jpg")).unwrap();
    let thumb = |bytes: &[u8]| thumbs::make(bytes, crate::images::decode_bytes(bytes, "x").unwrap()).unwrap().bytes;
    assert_eq!(thumb(&plain), plain);
    let motion = [&plain[..], b"MotionPhoto_Data and a video"].concat();
    let kept = thumb(&motion);
    assert!(!kept.windows(6).any(|part| part == b"Motion") && kept.ends_with(&[0xff, 0xd9]));
}
