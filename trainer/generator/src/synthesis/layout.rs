//! The layouts in which good4cir's data is released: CIRR_R's, Hotel-CIR's, and what its pipeline writes.

use super::output::Made;
use serde_json::{Map, Value, json};
use thisbut_trainer::error::{Result, TrainerError};

/// How the rows of pairs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One triplet a line, in MTST's field names.
    #[default]
    Rows,
    /// A list of pairs with `difference_captions`, as good4cir's pipeline writes it.
    Good4cir,
    /// The same with CIRR_R's field names; images by file name.
    CirrR,
    /// A list of triplets with Hotel-CIR's field names; images by two folders and a file name at most.
    HotelCir,
}

/// Folders before the file's name that a layout keeps.
const HOTEL_FOLDERS: usize = 2;

impl Layout {
    /// The names of the layouts.
    pub const NAMES: [&str; 4] = ["rows", "good4cir", "cirr-r", "hotel-cir"];

    /// The layout of a name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Rows, Self::Good4cir, Self::CirrR, Self::HotelCir];
        Self::NAMES.iter().position(|known| *known == name).and_then(|at| all.get(at).copied())
    }

    /// The whole file of pairs' rows; none for rows that stand a line each.
    ///
    /// # Errors
    /// When an image's name cannot stand in the layout.
    pub fn released(self, made: &[Made]) -> Result<Option<Vec<Value>>> {
        let mut out = Vec::new();
        for one in made {
            let Made::Rows(rows) = one else { continue };
            let Some(first) = rows.first() else { continue };
            let texts: Vec<&str> = rows.iter().map(|row| field(row, "modifier_generated")).collect();
            let (reference, target) = (field(first, "reference"), field(first, "target"));
            match self {
                Self::Rows => return Ok(None),
                Self::Good4cir => out.push(json!({"reference_image": reference, "target_image": target,
                    "difference_captions": texts})),
                Self::CirrR => {
                    let (reference, target) = (png(reference)?, png(target)?);
                    out.push(json!({"query_image_url": reference, "retrieved_image_url": target,
                        "difference_captions": texts}));
                }
                Self::HotelCir => {
                    let (reference, target) = (of_hotel(reference)?, of_hotel(target)?);
                    let row = |text| json!({"query_image": reference, "result_image": target, "difference": text});
                    out.extend(texts.into_iter().map(row));
                }
            }
        }
        Ok((self != Self::Rows).then_some(out))
    }
}

fn field<'a>(row: &'a Map<String, Value>, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// CIRR's name of an image with the ending that CIRR_R's addresses have.
fn png(name: &str) -> Result<String> {
    match (name.contains('/'), name.ends_with(".png")) {
        (true, _) => Err(refused("cirr-r", name, "it stands in a folder, and that layout names files alone")),
        (false, true) => Ok(name.to_owned()),
        (false, false) => Ok(format!("{name}.png")),
    }
}

fn of_hotel(name: &str) -> Result<&str> {
    match name.matches('/').count() > HOTEL_FOLDERS {
        true => Err(refused("hotel-cir", name, "that layout keeps two folders before a file's name")),
        false => Ok(name),
    }
}

fn refused(layout: &str, name: &str, problem: &str) -> TrainerError {
    TrainerError::settings(format!("--layout {layout}, image '{name}'"), problem, "give --layout good4cir")
}

#[cfg(test)]
mod tests {
    use super::super::output::row;
    use super::*;
    use thisbut_trainer::data::{DataSet, LoadOptions, Split};

    fn made(reference: &str, target: &str) -> Vec<Made> {
        let text = |text: &str| row(json!({"reference": reference, "target": target, "modifier_generated": text}));
        vec![
            Made::without(row(json!({"reference": "a"})), "no-caption"),
            Made::Rows(vec![text("add a dog"), text("add a \"cat\"")]),
        ]
    }

    #[test]
    fn what_is_written_is_read_by_the_data_sets_reader() {
        for (layout, file, names) in [
            ("good4cir", "train.json", ["7/web/a.png", "7/web/b.png"]),
            ("hotel-cir", "captions/hotel_train_data.json", ["7/web/a.png", "7/web/b.png"]),
            ("cirr-r", "rewritten_captions/rewritten_train.json", ["dev-1", "dev-2"]),
        ] {
            let root = tempfile::tempdir().unwrap();
            for name in names {
                let path = root.path().join("images").join(name.trim_end_matches(".png")).with_extension("png");
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, b"x").unwrap();
            }
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let released = Layout::named(layout).unwrap().released(&made(names[0], names[1])).unwrap().unwrap();
            std::fs::write(&path, serde_json::to_string(&released).unwrap()).unwrap();
            let set = DataSet::open(root.path(), None).unwrap();
            let (table, complaints) = set.load(Split::Train, &LoadOptions::default()).unwrap();
            assert!(complaints.is_empty(), "{layout}: {complaints:?}");
            let rows: Vec<_> =
                table.triplets.iter().map(|t| (table.image_name(t.reference), t.text.as_str())).collect();
            assert_eq!(rows, [(names[0], "add a dog"), (names[0], "add a \"cat\"")], "{layout}");
            assert_eq!(table.image_name(table.triplets[0].targets[0]), names[1]);
        }
        assert_eq!(Layout::Rows.released(&made("a", "b")).unwrap(), None);
    }

    #[test]
    fn names_that_a_layout_would_lose_are_refused() {
        for (layout, name) in [(Layout::CirrR, "x/a.png"), (Layout::HotelCir, "w/x/y/a.png")] {
            let problem = layout.released(&made(name, "b")).unwrap_err().to_string();
            assert!(problem.contains(name) && problem.contains("--layout good4cir"), "{problem}");
        }
    }
}
