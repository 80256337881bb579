//! Near-duplicates: who is named, who stays, and what a later run remembers.

use super::*;

/// Three reds, one of them a copy and one larger and nearly the same; a blue and a green.
fn shop() -> Place {
    let place = Place::new();
    photo(&place.at("photos/a-red.png"), 30, 30, [200, 20, 20, 255]);
    std::fs::copy(place.at("photos/a-red.png"), place.at("photos/b-copy.png")).unwrap();
    photo(&place.at("photos/c-large.png"), 60, 60, [200, 45, 20, 255]);
    photo(&place.at("photos/d-blue.png"), 30, 30, [20, 20, 200, 255]);
    photo(&place.at("photos/e-green.png"), 30, 30, [20, 200, 20, 255]);
    place
}

fn ids(place: &Place) -> Vec<String> {
    Bundle::read(&place.at("out")).unwrap().metadata.into_iter().map(|image| image.id).collect()
}

fn with(place: &Place, near: Near) -> Options {
    Options { near, ..place.options() }
}

#[test]
fn they_are_named_with_the_one_that_stays() {
    let place = shop();
    let outcome = place.index(&with(&place, Near::Report(0.99))).unwrap();
    assert_eq!(outcome.indexed, 5);
    let [group] = outcome.duplicates.as_slice() else { panic!("{:?}", outcome.duplicates) };
    assert_eq!(group.kept, "c-large.png", "the largest stays");
    let others: Vec<_> = group.others.iter().map(|other| (other.id.as_str(), other.copy)).collect();
    assert_eq!(others, [("a-red.png", false), ("b-copy.png", false)]);
    assert!(group.others.iter().all(|other| (0.99..=1.0).contains(&other.similarity)));
    assert!(place.index(&with(&place, Near::Keep)).unwrap().duplicates.is_empty());
    // The same file is one whatever the threshold.
    let [group] = &place.index(&with(&place, Near::Report(1.0))).unwrap().duplicates[..] else { panic!("no group") };
    assert_eq!((group.kept.as_str(), group.others[0].id.as_str()), ("a-red.png", "b-copy.png"));
    assert!(group.others[0].copy && group.others[0].similarity == 1.0);
}

#[test]
fn one_of_each_group_is_indexed_and_the_others_are_not_read_again() {
    let place = shop();
    let remove = with(&place, Near::Remove(0.99));
    let outcome = place.index(&remove).unwrap();
    assert_eq!((outcome.indexed, outcome.encoded), (3, 4), "a copy is not encoded");
    assert_eq!(ids(&place), ["c-large.png", "d-blue.png", "e-green.png"]);
    assert_eq!(std::fs::read_dir(place.at("out/thumbs")).unwrap().count(), 3);
    assert!(place.at("photos/a-red.png").exists(), "the photos themselves stay");
    // Old enough that their times can be trusted.
    for name in ["a-red", "b-copy", "c-large", "d-blue", "e-green"] {
        let file = std::fs::File::options().write(true).open(place.at(&format!("photos/{name}.png"))).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(90)).unwrap();
    }
    place.index(&remove).unwrap();
    let again = place.index(&remove).unwrap();
    assert!(again.encoded == 0 && again.unchanged, "{again:?}");
    // Another threshold, or another way, looks again.
    assert_eq!(place.index(&with(&place, Near::Keep)).unwrap().indexed, 5);
    assert_eq!(place.index(&remove).unwrap().indexed, 3);
    assert_eq!(place.index(&with(&place, Near::Remove(1.0))).unwrap().indexed, 4);
    assert_eq!(place.index(&remove).unwrap().indexed, 3);
    // The one that stayed goes: the others come back.
    std::fs::remove_file(place.at("photos/c-large.png")).unwrap();
    place.index(&remove).unwrap();
    assert_eq!(ids(&place).len(), 3);
    assert!(ids(&place).contains(&"a-red.png".to_owned()) || ids(&place).contains(&"b-copy.png".to_owned()));
    place.assert_clean();
}

#[test]
fn a_chain_is_not_one_group() {
    let place = Place::new();
    // Each is near the next, and the ends are far from each other.
    for (at, green) in [20, 60, 100, 140, 180].into_iter().enumerate() {
        photo(&place.at(&format!("photos/{at}.png")), 30, 30, [200, green, 20, 255]);
    }
    let outcome = place.index(&with(&place, Near::Report(0.97))).unwrap();
    assert!(outcome.duplicates.iter().all(|group| group.others.len() <= 2), "{:?}", outcome.duplicates);
    assert!(outcome.duplicates.len() > 1, "{:?}", outcome.duplicates);
}
