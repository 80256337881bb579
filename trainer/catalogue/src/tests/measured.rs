//! What is measured from pictures: colours of the object before any background, patterns, and corrections.

use super::*;
use crate::measure::{Guess, Measure, colour, guess, lab};
use image::{Rgba, RgbaImage};

/// A box of one surface on a ground of another, with a little noise as cameras have it.
fn object(surface: impl Fn(u32, u32) -> [u8; 3], ground: impl Fn(u32, u32) -> [u8; 3]) -> RgbaImage {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    RgbaImage::from_fn(160, 160, |x, y| {
        let inside = (40..120).contains(&x) && (30..130).contains(&y);
        let [r, g, b] = if inside { surface(x, y) } else { ground(x, y) };
        let mut noisy = |v: u8| (i16::from(v) + rng.random_range(-6..=6)).clamp(0, 255) as u8;
        Rgba([noisy(r), noisy(g), noisy(b), 255])
    })
}

const PLACES: [fn(u32, u32) -> [u8; 3]; 4] = [
    |_, _| [245, 245, 245],
    |_, _| [215, 30, 40],
    |x, _| if x / 12 % 2 == 0 { [170, 120, 70] } else { [145, 95, 50] },
    |x, y| if (x / 8 + y / 8) % 2 == 0 { [40, 60, 120] } else { [60, 80, 60] },
];

#[test]
fn the_colour_is_the_objects_whatever_it_lies_on() {
    for (said, rgb) in [
        ("blue", [30, 60, 190]),
        ("green", [40, 140, 50]),
        ("yellow", [240, 210, 30]),
        ("black", [18, 18, 20]),
        ("pink", [245, 160, 185]),
        ("purple", [110, 45, 140]),
        ("turquoise", [60, 190, 180]),
    ] {
        for (n, place) in PLACES.iter().enumerate() {
            let seen = guess(&object(|_, _| rgb, place));
            assert_eq!(seen.colour, Some(said), "on ground {n}: {seen:?}");
            assert!((0.2..0.45).contains(&seen.object), "on ground {n}: {seen:?}");
        }
    }
    let red = guess(&object(|_, _| [190, 25, 30], PLACES[0]));
    assert_eq!((red.colour, red.pattern), (Some("red"), Some("plain")));
}

#[test]
fn names_of_colours_are_those_that_people_use() {
    for (said, rgb) in [
        ("white", [238, 238, 236]),
        ("grey", [128, 128, 130]),
        ("black", [20, 20, 20]),
        ("red", [180, 20, 30]),
        ("orange", [240, 130, 30]),
        ("brown", [100, 65, 40]),
        ("beige", [215, 195, 160]),
        ("blue", [25, 35, 80]),
        ("blue", [120, 170, 220]),
        ("pink", [240, 120, 170]),
    ] {
        assert_eq!(colour::name(lab::of_rgb(rgb)), said, "{rgb:?}");
    }
    let many = colour::main(&[(0.35, "red"), (0.33, "blue"), (0.32, "white")]);
    assert_eq!((many, colour::main(&[(0.5, "red"), (0.48, "blue")])), (Some(colour::MANY), None));
    assert_eq!((colour::main(&[(0.9, "red")]), colour::main(&[])), (Some("red"), None));
}

#[test]
fn stripes_and_checks_are_told_from_plain_cloth() {
    let dark = |on: bool| if on { [20, 20, 60] } else { [235, 235, 240] };
    let striped = guess(&object(|_, y| dark(y / 5 % 2 == 0), PLACES[1]));
    assert_eq!(striped.pattern, Some("striped"), "{striped:?}");
    let checked = guess(&object(|x, y| dark((x / 5 + y / 5) % 2 == 0), PLACES[1]));
    assert_eq!(checked.pattern, Some("patterned"), "{checked:?}");
    let tiny = RgbaImage::from_pixel(3, 2, Rgba([0, 0, 0, 0]));
    assert_eq!(guess(&tiny).colour, Some("white"), "what is transparent lies on white");
}

/// Twenty boxes of two kinds on grounds of all sorts.
fn boxes(root: &Path) {
    for n in 0..40usize {
        let surfaces = [[190, 25, 30], [30, 60, 190], [40, 140, 50], [18, 18, 20]];
        let shift = (n * 3) as u32;
        let picture = object(|_, _| surfaces[n % 4], |x, y| PLACES[n / 4 % 4](x + shift, y));
        let corner = image::imageops::crop_imm(&picture, (n as u32) / 2, (n as u32) / 3, 130, 130).to_image();
        let path = root.join(format!("{}/{n:02}.png", ["hat", "skirt"][n / 20]));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        corner.save(path).unwrap();
    }
}

fn measured(root: &Path, corrections: Option<&str>) -> thisbut_trainer::error::Result<CatalogueReport> {
    let file = corrections.map(|text| {
        std::fs::write(root.join("corrections.csv"), text).unwrap();
        root.join("corrections.csv")
    });
    let source = read(&reading(&root.join("photos"), None), &Words::load(None)?)?;
    let options = Options { measures: vec![Measure::Colour], corrections: file, ..options(&root.join("out")) };
    prepare(source, &options, &mut |_| {})
}

#[test]
fn guesses_become_attributes_and_people_correct_them() {
    let root = tempfile::tempdir().unwrap();
    boxes(&root.path().join("photos"));
    let report = measured(root.path(), None).unwrap();
    let colours: BTreeMap<String, usize> = report.attributes["colour"].frequent.iter().cloned().collect();
    assert_eq!(colours.keys().map(String::as_str).collect::<Vec<_>>(), ["black", "blue", "green", "red"]);
    let out = files(&root.path().join("out"));
    let page = String::from_utf8(out["check.html"].clone()).unwrap();
    assert!(
        page.contains("<h2>blue: ")
            && page.contains("src=\"images/hat/00.png\"")
            && page.contains("<option selected>red</option>")
    );
    assert!(!page.contains("http"), "it needs nothing but the pictures beside it");
    let table = String::from_utf8(out["measured.csv"].clone()).unwrap();
    assert!(table.starts_with("file,colour,object,colours\n") && table.contains("hat/00.png,red,"), "{table}");
    let images: BTreeMap<String, Value> = serde_json::from_slice(&out["images.json"]).unwrap();
    assert_eq!(images["hat/00.png"]["title"], "a red hat");

    let report = measured(root.path(), Some("file,colour\nhat/00.png,Orange\nhat/01.png,?\ngone.png,red\n")).unwrap();
    assert!(
        report.left_out.iter().any(|said| said.contains("corrections.csv, line 4: there is no picture 'gone.png'"))
    );
    let images: BTreeMap<String, Value> =
        serde_json::from_slice(&files(&root.path().join("out"))["images.json"]).unwrap();
    assert_eq!(
        (images["hat/00.png"]["title"].clone(), images["hat/01.png"]["title"].clone()),
        ("an orange hat".into(), "a hat".into())
    );
    for (text, said) in [
        ("picture,colour\n", "line 1: there is no column 'file'"),
        ("file,size\n", "corrects nothing that is measured"),
    ] {
        let problem = measured(root.path(), Some(text)).unwrap_err().to_string();
        assert!(problem.contains(said), "{problem}");
    }
    assert_eq!(Guess::default().value(Measure::Pattern), None);
}
