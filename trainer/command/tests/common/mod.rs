//! A small data set of coloured shapes in CIRR's layout, and a way to call the command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const COLOURS: [(&str, [u8; 3]); 6] = [
    ("red", [210, 40, 40]),
    ("green", [40, 170, 60]),
    ("blue", [40, 70, 200]),
    ("yellow", [230, 200, 40]),
    ("purple", [140, 50, 170]),
    ("black", [30, 30, 30]),
];
const SHAPES: [&str; 4] = ["square", "circle", "cross", "stripe"];

/// The command under test.
pub fn thisbut() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thisbut"));
    command.stdin(Stdio::null());
    command
}

/// Runs the command to its end and checks that it succeeded.
pub fn run(arguments: &[&str]) -> Output {
    let output = thisbut().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn picture(shape: usize, colour: [u8; 3]) -> image::RgbImage {
    image::RgbImage::from_fn(48, 48, |x, y| {
        let (dx, dy) = (x as i32 - 24, y as i32 - 24);
        let inside = match shape {
            0 => dx.abs() < 15 && dy.abs() < 15,
            1 => dx * dx + dy * dy < 300,
            2 => dx.abs() < 5 || dy.abs() < 5,
            _ => (y / 6) % 2 == 0,
        };
        image::Rgb(if inside { colour } else { [250, 250, 250] })
    })
}

#[allow(clippy::needless_range_loop)] // shape and colour are numbers here, not only their names
/// Writes the data set and a vocabulary under `root`; returns (data set, weights folder).
pub fn shapes(root: &Path) -> (PathBuf, PathBuf) {
    let (data, weights) = (root.join("shapes"), root.join("weights"));
    for folder in ["images", "captions", "image_splits"] {
        std::fs::create_dir_all(data.join(folder)).unwrap();
    }
    std::fs::create_dir_all(&weights).unwrap();
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "but", "in", "a", "now", "make", "it", "the", "same"];
    let colours = COLOURS.iter().map(|(name, _)| *name);
    let vocabulary: Vec<&str> = words.into_iter().chain(colours).chain(SHAPES).collect();
    std::fs::write(weights.join("vocab.txt"), vocabulary.join("\n")).unwrap();

    let name = |s: usize, c: usize| format!("{}-{}", COLOURS[c].0, SHAPES[s]);
    let mut split = serde_json::Map::new();
    for s in 0..SHAPES.len() {
        for (c, (_, rgb)) in COLOURS.iter().enumerate() {
            let path = format!("./images/{}.png", name(s, c));
            picture(s, *rgb).save(data.join(&path)).unwrap();
            split.insert(name(s, c), path.into());
        }
    }
    let mut rows = Vec::new();
    let mut reverse = String::new();
    for s in 0..SHAPES.len() {
        for c in 0..COLOURS.len() {
            let mut push = |target: String, text: String, back: String, group: &str| {
                let members: Vec<String> = (0..6)
                    .map(|k| name(s, (c + k) % 6))
                    .filter(|m| *m != target)
                    .take(5)
                    .chain([target.clone()])
                    .collect();
                let mut row = serde_json::json!({
                    "pairid": rows.len() + 1, "reference": name(s, c), "target_hard": target,
                    "target_soft": {(target): 1.0}, "caption": text,
                    "img_set": {"id": 1, "members": members, "reference_rank": 0, "target_rank": 5},
                    "group": group, "kind": group, "people": false,
                });
                rows.push(row.clone());
                row["modifier_generated"] = back.into();
                reverse.push_str(&format!("{row}\n"));
            };
            for other in (0..COLOURS.len()).filter(|o| *o != c) {
                push(
                    name(s, other),
                    format!("but in {}", COLOURS[other].0),
                    format!("but in {}", COLOURS[c].0),
                    "colour",
                );
            }
            for other in (0..SHAPES.len()).filter(|o| *o != s) {
                push(name(other, c), format!("now a {}", SHAPES[other]), format!("now a {}", SHAPES[s]), "shape");
            }
        }
    }
    for split_name in ["train", "val", "test1"] {
        std::fs::write(data.join(format!("captions/cap.rc2.{split_name}.json")), serde_json::to_vec(&rows).unwrap())
            .unwrap();
        std::fs::write(
            data.join(format!("image_splits/split.rc2.{split_name}.json")),
            serde_json::to_vec(&split).unwrap(),
        )
        .unwrap();
    }
    std::fs::write(data.join("captions/cap.rc2.train_rev.jsonl"), reverse).unwrap();
    (data, weights)
}
