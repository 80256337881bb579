//! Groceries: the public GroceryStoreDataset, whose lists name each photograph with its fine and coarse class.

use super::not_it;
use crate::source::{Picture, Source, split_named};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_trainer::data::{Complaint, Split};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;
use thisbut_trainer::sheet::Sheet;

/// Where the photographs come from.
pub const ORIGIN: &str = "https://github.com/marcusklasson/GroceryStoreDataset";

/// What the names and descriptions of the 81 fine classes say, class by class.
const KNOWN: &str = include_str!("grocery.csv");

/// The attributes.
const COLUMNS: [&str; 7] = ["product", "category", "department", "brand", "flavour", "colour", "properties"];

/// One fine class.
struct Class {
    values: Vec<Vec<String>>,
    description: Option<String>,
    iconic: PathBuf,
}

/// Reads the folder `from`, which holds classes.csv and the lists train.txt, val.txt and test.txt as far as they are there.
///
/// # Errors
/// When the folder lacks classes.csv or every list, or a line of them is no such line.
pub fn read_from(from: &Path) -> Result<Source> {
    let mend = format!("give the folder 'dataset' of {ORIGIN}");
    let table = from.join("classes.csv");
    if !table.is_file() {
        return Err(not_it(from, "classes.csv", &mend));
    }
    let classes = classes(from, &table)?;
    let mut source = Source { columns: COLUMNS.map(str::to_owned).to_vec(), ..Source::default() };
    let lists: Vec<(PathBuf, Split)> = ["train", "val", "test"]
        .iter()
        .filter_map(|name| Some((from.join(format!("{name}.txt")), split_named(name)?)))
        .filter(|(path, _)| path.is_file())
        .collect();
    if lists.is_empty() {
        return Err(not_it(from, "train.txt, val.txt or test.txt", &mend));
    }
    for (list, split) in lists {
        pictures(from, (&list, split), &classes, &mut source)?;
    }
    // One clean picture of each class, as a shop's own catalogue has it.
    for class in classes.values() {
        let id = class.iconic.to_string_lossy().into_owned();
        add(from, &mut source, Picture { id, split: Some(Split::Train), ..of(class) });
    }
    source.pictures.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(source)
}

fn of(class: &Class) -> Picture {
    Picture { values: class.values.clone(), description: class.description.clone(), ..Picture::default() }
}

/// Adds a picture whose file is there.
fn add(from: &Path, source: &mut Source, picture: Picture) {
    let path = from.join(&picture.id);
    if path.is_file() {
        source.pictures.push(Picture { path, ..picture });
    } else {
        let problem = "the picture is missing; left out".to_owned();
        source.complaints.push(Complaint { place: path.display().to_string(), problem });
    }
}

/// The fine classes by number: of classes.csv, with what is known of each by its name.
fn classes(from: &Path, table: &Path) -> Result<BTreeMap<u32, Class>> {
    let known = known();
    let (sheet, place) = (Sheet::read(table)?, table.display().to_string());
    let mut out = BTreeMap::new();
    for (line, row) in &sheet.rows {
        let field = |column: usize| row.get(column).unwrap_or_default().trim();
        let broken =
            |problem: String| TrainerError::data(format!("{place}, line {line}"), problem, "copy the file again");
        let number: u32 = field(1).parse().map_err(|_| broken(format!("'{}' is no class number", field(1))))?;
        let spoken = field(0).replace('-', " ");
        let values = known.get(field(0)).cloned().unwrap_or_else(|| {
            let mut values = vec![Vec::new(); COLUMNS.len()];
            values[0] = vec![spoken];
            values[1] = vec![field(2).replace('-', " ")];
            values
        });
        let text = from.join(field(5).trim_start_matches('/'));
        let description =
            if text.is_file() { Some(fsx::read_text(&text, fsx::SMALL)?.trim().to_owned()) } else { None };
        out.insert(number, Class { values, description, iconic: PathBuf::from(field(4).trim_start_matches('/')) });
    }
    if out.is_empty() {
        return Err(TrainerError::data(place, "has no classes", "copy the file again"));
    }
    Ok(out)
}

/// The built-in table: fine class → values of each column.
fn known() -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let rows = KNOWN.lines().skip(1).filter_map(|line| line.split_once(','));
    let several = |field: &str| field.split('|').filter(|v| !v.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    rows.map(|(class, rest)| (class, rest.split(',').map(several).collect())).collect()
}

fn pictures(
    from: &Path,
    (list, split): (&Path, Split),
    classes: &BTreeMap<u32, Class>,
    source: &mut Source,
) -> Result<()> {
    for (n, line) in fsx::read_text(list, fsx::TABLE)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{}, line {}", list.display(), n + 1);
        let mut fields = line.split(',').map(str::trim);
        let class = fields.next().zip(fields.next());
        let class = class.and_then(|(file, number)| Some((file, classes.get(&number.parse().ok()?)?)));
        let Some((file, class)) = class else {
            return Err(TrainerError::data(
                place,
                "is no line of 'path, fine class, coarse class'",
                "copy the file again",
            ));
        };
        if !Path::new(file).components().all(|part| matches!(part, std::path::Component::Normal(_))) {
            return Err(TrainerError::data(place, "names a file outside the folder", "copy the file again"));
        }
        add(from, source, Picture { id: file.to_owned(), split: Some(split), ..of(class) });
    }
    Ok(())
}
