//! Every picture of `tests/fixtures` against what Chromium shows of it (`shown.json`, by `tests/browser/pictures.test.mjs`).

use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A picture: red, green, blue and alpha of 8 × 6 places.
#[derive(Deserialize)]
struct Shown {
    width: u32,
    height: u32,
    places: Vec<[u8; 4]>,
}

/// Steps of 255 in which the two may differ: decoders and colour transforms round in their own ways.
const STEPS: f64 = 2.0;

/// The same where a profile's table of four inks is interpolated.
const STEPS_OF_INKS: (f64, [&str; 2]) = (3.0, ["inks.jpg", "ycck_inks.jpg"]);

/// Pictures in which Chromium's light has no upper end; it maps its tones in a way of its own.
const OTHERWISE: [&str; 1] = ["cicp_pq.png"];

/// The largest difference at any place, of what is seen through the alpha channel.
fn apart(got: &RgbaImage, shown: &Shown) -> (f64, usize) {
    let mut worst = (0.0, 0);
    for (at, expected) in shown.places.iter().enumerate() {
        let place = |n: usize, of: usize, size: u32| ((n as f64 + 0.5) * f64::from(size) / of as f64) as usize;
        let (x, y) = (place(at % 8, 8, got.width), place(at / 8, 6, got.height));
        let found = &got.data[(y * got.width as usize + x) * 4..][..4];
        for channel in 0..4 {
            let share = if channel < 3 { f64::from(expected[3]) / 255.0 } else { 1.0 };
            let step = f64::from(found[channel].abs_diff(expected[channel])) * share;
            if step > worst.0 {
                worst = (step, at);
            }
        }
    }
    worst
}

#[test]
fn pictures_are_those_that_a_browser_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let shown: BTreeMap<String, Option<Shown>> =
        serde_json::from_slice(&std::fs::read(folder.join("shown.json")).unwrap()).unwrap();
    let names = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let pictures: Vec<String> = names.filter(|name| !name.ends_with(".py") && !name.ends_with(".json")).collect();
    assert_eq!(pictures.len(), shown.len());
    let mut wrong = Vec::new();
    for (name, shown) in &shown {
        match (decode_file(&folder.join(name)), shown) {
            (Ok(got), Some(shown)) => {
                assert_eq!((got.width, got.height), (shown.width, shown.height), "{name}");
                let (step, at) = apart(&got, shown);
                println!("{name}: {step:.1}");
                let steps = if STEPS_OF_INKS.1.contains(&name.as_str()) { STEPS_OF_INKS.0 } else { STEPS };
                if (step > steps) != OTHERWISE.contains(&name.as_str()) {
                    wrong.push(format!("{name}: {step:.1} at place {at}, which is {:?}", shown.places[at]));
                }
            }
            (Err(_), None) => {}
            (Ok(_), None) => wrong.push(format!("{name}: a browser's page refuses it")),
            (Err(e), Some(_)) => wrong.push(format!("{name}: a browser's page shows it; {e}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
