//! What photos look like as a table of titles and tags that `thisbut index --csv` reads.

use crate::error::{Result, TrainerError};
use crate::index::titles::speaks;
use std::path::Path;

/// A class counts in a title from this probability on.
const SURE: f32 = 0.2;

/// A photo's row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Titled {
    file: String,
    title: String,
    tags: String,
}

impl Titled {
    /// Of the photo `file`, with its most likely classes and, where there is a list, the nearest word. A photo whose name has
    /// words gets no title, only tags: then `index` keeps its name.
    pub fn new(file: &str, classes: &[(&str, f32)], word: Option<&str>) -> Self {
        let sure = classes.iter().filter(|(_, share)| *share >= SURE).map(|(name, _)| *name);
        let mut words: Vec<&str> = word.into_iter().chain(sure).collect();
        if words.is_empty() {
            words.extend(classes.first().map(|(name, _)| *name));
        }
        words.dedup();
        let title = if speaks(Path::new(file)) { String::new() } else { words.join(", ") };
        Self { file: file.to_owned(), title, tags: words.join(";") }
    }
}

/// The table.
///
/// # Errors
/// When a row cannot be written.
pub fn as_csv(rows: &[Titled]) -> Result<Vec<u8>> {
    let failed = |problem: String| TrainerError::data("the titles", problem, "leave --csv out");
    let mut table = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| table.serialize(row)).map_err(|e| failed(e.to_string()))?;
    table.into_inner().map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sure_makes_a_title_and_a_name_with_words_stays() {
        let classes = [("jean", 0.6), ("overskirt", 0.25), ("sarong", 0.1)];
        let rows = [
            Titled::new("a/IMG_0012.jpg", &classes, Some("skirt")),
            Titled::new("a/red-skirt.jpg", &classes, Some("skirt")),
            Titled::new("011ecf12-aab1-4c72-8f77-2649386cd23b.jpg", &classes[2..], None),
        ];
        let table = String::from_utf8(as_csv(&rows).unwrap()).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "file,title,tags",
                "a/IMG_0012.jpg,\"skirt, jean, overskirt\",skirt;jean;overskirt",
                "a/red-skirt.jpg,,skirt;jean;overskirt",
                "011ecf12-aab1-4c72-8f77-2649386cd23b.jpg,sarong,sarong",
            ]
        );
    }
}
