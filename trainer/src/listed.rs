//! Tables with a row for each picture of a folder: which column names the pictures, which their titles, and which picture a row is
//! of. `prepare catalogue` and `index` read one table by these rules.

use crate::error::{Result, TrainerError};
use crate::sheet::Sheet;
use std::collections::HashMap;

/// Headers of the column that names the pictures; the first that is there counts.
const FILE: [&str; 6] = ["file", "image", "filename", "path", "photo", "picture"];
/// Headers of the column with their titles.
const TITLE: [&str; 2] = ["title", "name"];

/// The place of the column that names the pictures.
///
/// # Errors
/// When there is none, with the names that it may have.
pub fn file_column(sheet: &Sheet, place: &str) -> Result<usize> {
    first(sheet, &FILE).ok_or_else(|| {
        let [wanted, others @ ..] = FILE;
        let problem = format!("there is no column '{wanted}' (columns: {})", sheet.columns());
        let one = match sheet.headers.len() {
            1 => ", and separate the columns by commas, semicolons or tabs",
            _ => "",
        };
        let mend = format!("name the column with the pictures' names '{wanted}', or {}{one}", others.join(", "));
        TrainerError::data(format!("{place}, line 1"), problem, mend)
    })
}

/// The place of the column with the pictures' titles.
pub fn title_column(sheet: &Sheet) -> Option<usize> {
    first(sheet, &TITLE)
}

/// The column of the first of `names` that is there: another column may have one of the later names.
fn first(sheet: &Sheet, names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| sheet.column(&[name]))
}

/// The pictures of a folder as rows name them.
#[derive(Debug)]
pub struct Pictures {
    places: HashMap<String, Vec<usize>>,
}

impl Pictures {
    /// Pictures whose paths inside their folder are `ids`, in their order.
    pub fn of<'a>(ids: impl Iterator<Item = &'a str>) -> Self {
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, id) in ids.enumerate() {
            places.entry(id.to_owned()).or_default().push(at);
            if let Some((_, bare)) = id.rsplit_once('/') {
                places.entry(bare.to_owned()).or_default().push(at);
            }
        }
        Self { places }
    }

    /// The place of the picture that `field` names: by its path, with `/` or `\\`, or by its bare name where one picture alone has
    /// it.
    ///
    /// # Errors
    /// What is wrong with the name, in words.
    pub fn find(&self, field: &str) -> std::result::Result<usize, String> {
        let name = named(field);
        match self.places.get(&name).map(Vec::as_slice) {
            Some([one]) => Ok(*one),
            Some(_) => Err(format!("'{name}' is the name of several pictures; give its path inside the folder")),
            None if name.is_empty() => Err("names no picture".to_owned()),
            None => Err(format!("there is no picture '{name}' in the folder")),
        }
    }
}

/// A field's name of a picture, as paths inside the folder are written.
pub fn named(field: &str) -> String {
    let name = field.trim().replace('\\', "/");
    name.trim_start_matches("./").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_its_picture_by_path_or_by_bare_name() {
        let pictures = Pictures::of(["hats/a.jpg", "skirts/a.jpg", "skirts/b.jpg", "c.jpg"].into_iter());
        for (field, found) in [
            (" ./hats\\a.jpg ", Ok(0)),
            ("skirts/a.jpg", Ok(1)),
            ("b.jpg", Ok(2)),
            ("c.jpg", Ok(3)),
            ("a.jpg", Err("'a.jpg' is the name of several pictures; give its path inside the folder")),
            ("", Err("names no picture")),
            ("C.jpg", Err("there is no picture 'C.jpg' in the folder")),
        ] {
            assert_eq!(pictures.find(field), found.map_err(str::to_owned), "{field}");
        }
    }

    #[test]
    fn the_column_of_the_pictures_has_one_of_six_names() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let column = |header: &str| {
            std::fs::write(file.path(), format!("{header}\n")).unwrap();
            let sheet = Sheet::read(file.path()).unwrap();
            (file_column(&sheet, "t.csv").map_err(|e| e.to_string()), title_column(&sheet))
        };
        for (at, name) in FILE.iter().enumerate() {
            assert_eq!(column(&format!("id,{}", name.to_uppercase())).0, Ok(1), "{at}");
        }
        assert_eq!(column("image,file,name,title"), (Ok(1), Some(3)), "the plainest name counts");
        assert_eq!(column("name,path"), (Ok(1), Some(0)));
        let problem = column("sku,colour").0.unwrap_err();
        assert_eq!(
            problem,
            "t.csv, line 1: there is no column 'file' (columns: sku, colour); name the column with the pictures' names \
             'file', or image, filename, path, photo, picture"
        );
        let problem = column("file|colour").0.unwrap_err();
        assert!(problem.ends_with("and separate the columns by commas, semicolons or tabs"), "{problem}");
    }
}
