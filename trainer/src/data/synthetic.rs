//! Generated triplets (MTST's pretraining rows, as `thisbut generator generate` writes them) over the images of a data set.

use super::DataSet;
use super::extra;
use super::json_rows;
use super::table::{Complaint, ImageEntry, LoadOptions, Table, Triplet, refuse_complaints};
use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// One triplet in MTST's published field names. Other fields are left alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Text {
    /// The image that a query starts from.
    pub reference: String,
    /// The image that it asks for.
    pub target: String,
    /// How to get from the reference to the target.
    pub modifier_generated: String,
    /// How to get back; not every generator writes it.
    #[serde(default)]
    pub modifier_reversed: Option<String>,
    /// The reference's caption, of rows that `thisbut rewrite` wrote.
    #[serde(default)]
    pub reference_caption: Option<String>,
    /// The target's caption, as [`Text::reference_caption`].
    #[serde(default)]
    pub target_caption: Option<String>,
}

/// Where the images of generated triplets may come from: a data set, every split of it, and what lies outside it.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The data set.
    pub data: DataSet,
    /// Folders and split files of further images; see [`extra::images`].
    pub more: Vec<PathBuf>,
}

impl Sources {
    /// Every image once, the data set's own first where a name occurs twice, and what is wrong with the others' files.
    ///
    /// # Errors
    /// When a split, folder or file cannot be read.
    pub fn images(&self, options: &LoadOptions) -> Result<(Vec<ImageEntry>, Vec<Complaint>)> {
        let (mut images, mut complaints) = (Vec::new(), Vec::new());
        let mut known: HashSet<String> = HashSet::new();
        let mut add = |found: Vec<ImageEntry>| {
            images.extend(found.into_iter().filter(|image| known.insert(image.name.clone())));
        };
        for split in self.data.splits() {
            add(self.data.load(split, options)?.0.images);
        }
        for source in &self.more {
            let (found, missing) = extra::images(source, &self.data.root, options)?;
            add(found);
            complaints.extend(missing);
        }
        Ok((images, complaints))
    }
}

/// Reads the rows of `path`; their images are those of `sources`, by name. Rows that cannot be used are left out and named in
/// the complaints.
///
/// # Errors
/// When the file or an image's source cannot be read, when nothing usable is left, and in strict mode on any complaint.
pub fn load(path: &Path, sources: &Sources, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let (images, mut complaints) = sources.images(options)?;
    let of_images = complaints.len();
    if options.strict {
        refuse_complaints(&complaints)?;
    }
    let known: HashMap<String, u32> = images.iter().map(|image| image.name.clone()).zip(0..).collect();
    let mut triplets = Vec::new();
    for (at, row) in json_rows::lines::<Text>(path)? {
        let built = row.and_then(|row| triplet(row, at.row, &known));
        match built {
            Ok(triplet) => triplets.push(triplet),
            Err(problem) => {
                let complaint = Complaint::left_out(path, at, problem);
                if options.strict {
                    return Err(TrainerError::data(complaint.place, complaint.problem, "mend the row"));
                }
                complaints.push(complaint);
            }
        }
    }
    if triplets.is_empty() {
        let first = complaints.get(of_images).map_or_else(|| "the file is empty".to_owned(), ToString::to_string);
        let mend = "give a file of `thisbut generator generate` and the data set that its pairs are from; images outside it \
                    are given with --images";
        return Err(TrainerError::data(path.display().to_string(), format!("has no usable row ({first})"), mend));
    }
    Ok((only_used(images, triplets), complaints))
}

/// Gives the triplets of `table` the reverse texts that a generator wrote for their pairs: `path` is a file of `thisbut generator generate`,
/// and what its rules left out, in the file beside it, counts too, as long as there is a text. Tells how many triplets found none;
/// those keep what they had. Lines that cannot be used are left out and named in the complaints.
///
/// # Errors
/// When a file cannot be read, or has no text for any of the pairs.
pub fn reverse_texts(path: &Path, table: &mut Table) -> Result<(usize, Vec<Complaint>)> {
    let (mut found, mut complaints): (HashMap<(String, String), String>, _) = (HashMap::new(), Vec::new());
    let left_out = fsx::beside(path, "left-out.jsonl");
    for file in [path, &left_out].into_iter().filter(|file| *file == path || file.is_file()) {
        for (at, row) in json_rows::lines::<Text>(file)? {
            match row.map(|row| (row.reference, row.target, row.modifier_reversed)) {
                Ok((reference, target, Some(text))) if !text.trim().is_empty() => {
                    found.insert((reference, target), text);
                }
                Ok(_) => {}
                Err(problem) => complaints.push(Complaint::left_out(file, at, problem)),
            }
        }
    }
    let name = |image: u32| table.images[image as usize].name.clone();
    let mut missing = 0;
    for triplet in &mut table.triplets {
        let target = triplet.targets.first().map(|target| name(*target));
        match target.and_then(|target| found.get(&(name(triplet.reference), target))) {
            Some(text) => triplet.reverse = Some(text.clone()),
            None => missing += 1,
        }
    }
    if missing == table.triplets.len() {
        let problem = "has a reverse text for none of the training pairs";
        let mend = "generate it for the pairs of `thisbut generator pairs --annotated FOLDER --split train`";
        return Err(TrainerError::data(path.display().to_string(), problem, mend));
    }
    Ok((missing, complaints))
}

/// Puts generated triplets in the place of a table's own (enhFashionIQ in that of FashionIQ): `path` is a file of `thisbut rewrite` or
/// `thisbut generator generate` over the images of its gallery. Images, gallery and the way of counting stay; where a category has
/// a gallery of its own, a triplet is asked in the first that has both its images. Lines that cannot be used are left out and named
/// in the complaints.
///
/// # Errors
/// When the file cannot be read, or has no usable row.
pub fn in_place(path: &Path, table: &mut Table) -> Result<Vec<Complaint>> {
    let known: HashMap<String, u32> = table.images.iter().map(|image| image.name.clone()).zip(0..).collect();
    let pools: Vec<HashSet<u32>> = table.pools.iter().map(|pool| pool.iter().copied().collect()).collect();
    let groups: HashMap<u32, String> =
        table.triplets.iter().filter_map(|triplet| Some((triplet.pool?, triplet.group.clone()?))).collect();
    let whole: HashSet<u32> = table.gallery.iter().copied().collect();
    let (mut triplets, mut complaints) = (Vec::new(), Vec::new());
    for (at, row) in json_rows::lines::<Text>(path)? {
        let built = row.and_then(|row| {
            let triplet = triplet(row, at.row, &known)?;
            let asked =
                |pool: &HashSet<u32>| triplet.targets.iter().chain([&triplet.reference]).all(|i| pool.contains(i));
            let pool = pools.iter().position(asked).map(|pool| pool as u32);
            match pool {
                Some(pool) => Ok(Triplet { pool: Some(pool), group: groups.get(&pool).cloned(), ..triplet }),
                None if !pools.is_empty() => Err("no category's gallery has both its images".to_owned()),
                None if asked(&whole) => Ok(triplet),
                None => Err("the gallery lacks one of its images".to_owned()),
            }
        });
        match built {
            Ok(triplet) => triplets.push(triplet),
            Err(problem) => complaints.push(Complaint::left_out(path, at, problem)),
        }
    }
    if triplets.is_empty() {
        let first = complaints.first().map_or_else(|| "the file is empty".to_owned(), ToString::to_string);
        let mend = "give triplets over the images of this split";
        return Err(TrainerError::data(path.display().to_string(), format!("has no usable row ({first})"), mend));
    }
    table.triplets = triplets;
    table.missing.queries = 0;
    table.missing.subsets = 0;
    Ok(complaints)
}

fn triplet(row: Text, line: u32, known: &HashMap<String, u32>) -> std::result::Result<Triplet, String> {
    // A folder of images without annotations has paths with endings for names; as `--images` they are named without either.
    let bare = |name: &str| Path::new(name).file_stem().and_then(|stem| known.get(stem.to_str()?));
    let image = |name: &str| {
        let found = known.get(name).or_else(|| bare(name)).copied();
        found.ok_or_else(|| format!("there is no image '{name}'"))
    };
    let (reference, target) = (image(&row.reference)?, image(&row.target)?);
    if reference == target {
        return Err("the target is the reference itself".into());
    }
    if row.modifier_generated.trim().is_empty() {
        return Err("modifier_generated is empty".into());
    }
    let reverse = row.modifier_reversed.filter(|text| !text.trim().is_empty());
    let caption = row.target_caption.filter(|text| !text.trim().is_empty());
    let (id, text) = (u64::from(line), row.modifier_generated);
    Ok(Triplet { id, reference, targets: vec![target], text, reverse, caption, row: line, ..Triplet::default() })
}

/// A table of the images that the triplets use, in their first order.
fn only_used(images: Vec<ImageEntry>, mut triplets: Vec<Triplet>) -> Table {
    let mut places: HashMap<u32, u32> = HashMap::new();
    let mut kept = Vec::new();
    for triplet in &mut triplets {
        for image in std::iter::once(&mut triplet.reference).chain(&mut triplet.targets) {
            *image = *places.entry(*image).or_insert_with(|| {
                kept.extend(images.get(*image as usize).cloned());
                kept.len() as u32 - 1
            });
        }
    }
    let gallery = (0..kept.len() as u32).collect();
    Table { images: kept, triplets, gallery, ..Table::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_find_their_images_and_others_are_named() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(root.path().join(format!("{name}.png")), b"x").unwrap();
        }
        let rows = r#"{"reference": "a", "target": "b", "caption": "x"}"#;
        std::fs::write(root.path().join("train.jsonl"), rows).unwrap();
        std::fs::write(root.path().join("val.jsonl"), r#"{"reference": "c", "target": "b", "caption": "x"}"#).unwrap();
        let row = |reference: &str, target: &str, text: &str| {
            format!(
                "{{\"reference\": \"{reference}\", \"target\": \"{target}\", \"modifier_generated\": \"{text}\", \
                 \"modifier_reversed\": \"back\"}}\n"
            )
        };
        let file = root.path().join("made.jsonl");
        let text =
            [row("c", "b", "red"), row("a", "gone", "red"), row("a", "a", "red"), row("b", "a", " "), "{".into()];
        std::fs::write(&file, text.concat()).unwrap();
        let sources = Sources { data: DataSet::open(root.path(), None).unwrap(), more: Vec::new() };
        let data = &sources.data;
        let (table, complaints) = load(&file, &sources, &LoadOptions::default()).unwrap();
        assert_eq!((table.triplets.len(), table.images.len(), complaints.len()), (1, 2, 4));
        // With the folder that holds it, the second row is used too.
        let outside = root.path().join("more");
        std::fs::create_dir_all(outside.join("1")).unwrap();
        for name in ["1/gone.png", "1/a.png"] {
            std::fs::write(outside.join(name), b"x").unwrap();
        }
        let both = Sources { more: vec![outside.clone()], ..sources.clone() };
        let (table, complaints) = load(&file, &both, &LoadOptions::default()).unwrap();
        assert_eq!((table.triplets.len(), complaints.len()), (2, 3));
        let path = |name: &str| table.images.iter().find(|i| i.name == name).unwrap().path.clone();
        assert_eq!(path("gone"), outside.join("1/gone.png"));
        assert_eq!(path("a"), root.path().join("a.png"), "the data set's own comes first");
        // As `describe` names the pictures of a folder.
        let described = root.path().join("described.jsonl");
        std::fs::write(&described, row("1/gone.png", "b", "red")).unwrap();
        assert_eq!(load(&described, &both, &LoadOptions::default()).unwrap().0.triplets.len(), 1);
        let split = root.path().join("more.json");
        std::fs::write(&split, r#"{"gone": "./more/1/gone.png", "lost": "./lost.png"}"#).unwrap();
        let both = Sources { more: vec![split], ..sources.clone() };
        let (table, complaints) = load(&file, &both, &LoadOptions::default()).unwrap();
        assert_eq!((table.triplets.len(), complaints.len()), (2, 4));
        assert!(complaints[0].to_string().contains("'lost'"), "{}", complaints[0]);
        let strict = LoadOptions { strict: true, ..LoadOptions::default() };
        assert!(load(&file, &both, &strict).unwrap_err().to_string().contains("'lost'"));
        let (table, complaints) = load(&file, &sources, &LoadOptions::default()).unwrap();
        let only = &table.triplets[0];
        assert_eq!((only.text.as_str(), only.reverse.as_deref()), ("red", Some("back")));
        assert_eq!(table.images[only.reference as usize].name, "c");
        assert!(complaints[0].to_string().contains("line 2") && complaints[0].to_string().contains("'gone'"));

        // The same file gives a data set's own triplets their reverse texts.
        let (mut own, _) = data.load(crate::data::Split::Val, &LoadOptions::default()).unwrap();
        assert_eq!(own.triplets[0].reverse, None);
        let (missing, complaints) = reverse_texts(&file, &mut own).unwrap();
        assert_eq!((missing, complaints.len()), (0, 1));
        assert!(complaints[0].to_string().contains("line 5"), "{}", complaints[0]);
        assert_eq!(own.triplets[0].reverse.as_deref(), Some("back"));
        std::fs::write(file.with_extension("left-out.jsonl"), row("a", "b", " ").replace("back", "to a")).unwrap();
        let (mut own, _) = data.load(crate::data::Split::Train, &LoadOptions::default()).unwrap();
        assert_eq!(reverse_texts(&file, &mut own).unwrap().0, 0);
        assert_eq!(own.triplets[0].reverse.as_deref(), Some("to a"));
        std::fs::remove_file(file.with_extension("left-out.jsonl")).unwrap();
        assert!(reverse_texts(&file, &mut own).unwrap_err().to_string().contains("none of the training pairs"));

        // And may stand in their place: what lacks an image of the gallery is left out.
        let (mut own, _) = data.load(crate::data::Split::Val, &LoadOptions::default()).unwrap();
        let gallery = own.gallery.clone();
        std::fs::write(&file, [row("b", "c", "green"), row("a", "b", "red")].concat()).unwrap();
        let complaints = in_place(&file, &mut own).unwrap();
        assert_eq!((own.triplets.len(), own.triplets[0].text.as_str(), own.triplets[0].pool), (1, "green", None));
        assert_eq!((own.image_name(own.triplets[0].targets[0]), &own.gallery), ("c", &gallery));
        assert!(complaints.len() == 1 && complaints[0].to_string().contains("line 2: there is no image 'a'"));
        // Each in the gallery of its category.
        own.pools = vec![vec![0], vec![0, 1]];
        own.triplets = vec![Triplet { pool: Some(1), group: Some("hats".into()), ..Triplet::default() }];
        in_place(&file, &mut own).unwrap();
        assert_eq!((own.triplets[0].pool, own.triplets[0].group.as_deref()), (Some(1), Some("hats")));
        own.pools = vec![vec![0], vec![1]];
        let said = in_place(&file, &mut own).unwrap_err().to_string();
        assert!(said.contains("no category's gallery has both its images"), "{said}");

        // A reverse text is nothing that pretraining needs.
        std::fs::write(&file, r#"{"reference": "c", "target": "b", "modifier_generated": "red"}"#).unwrap();
        let (table, complaints) = load(&file, &sources, &LoadOptions::default()).unwrap();
        assert_eq!((table.triplets[0].reverse.as_deref(), complaints.len()), (None, 0));

        std::fs::write(&file, "").unwrap();
        assert!(load(&file, &sources, &LoadOptions::default()).unwrap_err().to_string().contains("empty"));
    }
}
