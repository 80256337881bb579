//! Training rows made from what a data set already says: captions, and queries that change nothing.

use super::described::Described;
use super::table::{Table, Triplet};
use crate::error::{Result, TrainerError};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap};

/// Modifiers that change nothing.
const SAME: [&str; 12] = [
    "the same",
    "exactly this one",
    "no change",
    "identical",
    "keep everything",
    "just like this",
    "this one again",
    "nothing different",
    "the very same picture",
    "don't change anything",
    "as it is",
    "unchanged",
];

/// One row an image of the gallery that has a title: the title is the text, the image both reference and target. Images with
/// the same title are right answers too.
///
/// # Errors
/// When no image has a title.
pub fn captions(table: &Table, described: &BTreeMap<String, Described>) -> Result<Table> {
    let subsets = subsets(table);
    let titled = table.gallery.iter().filter_map(|image| {
        let title = described.get(&table.images.get(*image as usize)?.name)?.title.as_deref()?;
        Some((*image, title))
    });
    let titled: Vec<(u32, &str)> = titled.collect();
    let mut alike: HashMap<&str, Vec<u32>> = HashMap::new();
    titled.iter().for_each(|(image, title)| alike.entry(title).or_default().push(*image));
    let triplets: Vec<Triplet> = titled
        .iter()
        .map(|(image, title)| {
            let mut row = itself(*image, (*title).to_owned(), &subsets);
            row.targets.extend(alike.get(title).into_iter().flatten().filter(|other| *other != image));
            row
        })
        .enumerate()
        .map(|(row, t)| Triplet { id: row as u64, row: row as u32 + 1, ..t })
        .collect();
    if triplets.is_empty() {
        return Err(TrainerError::data(
            super::described::FILE,
            "no image of the split has a title",
            super::described::MEND,
        ));
    }
    Ok(Table { triplets, ..table.clone() })
}

/// One row an image of the split, without a text: the image is both reference and target.
///
/// # Errors
/// When there are no images.
pub fn images(table: &Table) -> Result<Table> {
    let subsets = HashMap::new();
    let row = |image: u32| Triplet { id: image.into(), row: image + 1, ..itself(image, String::new(), &subsets) };
    let triplets: Vec<Triplet> = (0..table.images.len() as u32).map(row).collect();
    match triplets.is_empty() {
        true => Err(TrainerError::data("the training split", "has no images", "give a folder of images")),
        false => Ok(Table { triplets, ..table.clone() }),
    }
}

/// Rows for a generator that has seen no image yet: each titled image of the gallery with `partners` others as targets, drawn
/// from `seed`; the text is "from" the one's title "to" the other's.
///
/// # Errors
/// When fewer than two images have a title.
pub fn titled_pairs(
    table: &Table,
    described: &BTreeMap<String, Described>,
    partners: usize,
    seed: u64,
) -> Result<Table> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7117);
    let rows = captions(table, described)?.triplets;
    if rows.len() < 2 {
        return Err(TrainerError::data(super::described::FILE, "only one image has a title", "give titles"));
    }
    let mut triplets = Vec::with_capacity(rows.len() * partners);
    for (at, row) in rows.iter().enumerate() {
        for _ in 0..partners {
            let other = (at + rng.random_range(1..rows.len())) % rows.len();
            let Some(other) = rows.get(other) else { continue };
            let number = triplets.len();
            triplets.push(Triplet {
                id: number as u64,
                row: number as u32 + 1,
                targets: other.targets.clone(),
                text: naming(&row.text, &other.text),
                ..row.clone()
            });
        }
    }
    Ok(Table { triplets, ..table.clone() })
}

/// What [`Triplet::kind`] says of a row that names two images and has no modification text.
pub const TITLES: &str = "titles";

/// Adds [`titled_pairs`] until they are `share` of all rows.
///
/// # Errors
/// When fewer than two images have a title.
pub fn add_titled_pairs(
    table: &mut Table,
    described: &BTreeMap<String, Described>,
    share: f64,
    seed: u64,
) -> Result<()> {
    let (wanted, first) = (rows_for(table, share), next_id(table));
    let titled = captions(table, described)?.triplets.len().max(1);
    let mut rows = titled_pairs(table, described, wanted.div_ceil(titled), seed)?.triplets;
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ 0x7118));
    let known = table.triplets.len();
    table.triplets.extend(rows.into_iter().take(wanted).enumerate().map(|(at, triplet)| Triplet {
        id: first + at as u64,
        row: (known + at) as u32 + 1,
        kind: Some(TITLES.into()),
        ..triplet
    }));
    Ok(())
}

/// How many rows make up `share` of all when they are added.
fn rows_for(table: &Table, share: f64) -> usize {
    (table.triplets.len() as f64 * share / (1.0 - share)).round() as usize
}

fn next_id(table: &Table) -> u64 {
    table.triplets.iter().map(|t| t.id + 1).max().unwrap_or(0)
}

/// Puts what both images are called before each triplet's text, on a line of its own.
///
/// # Errors
/// When an image has no title.
pub fn describe_first(table: &mut Table, described: &BTreeMap<String, Described>) -> Result<()> {
    let images = &table.images;
    let title = |image: u32| {
        let name = images[image as usize].name.as_str();
        described.get(name).and_then(|found| found.title.as_deref()).ok_or_else(|| {
            let problem = format!("the image '{name}' has no title");
            TrainerError::data(super::described::FILE, problem, "give every image of the triplets one")
        })
    };
    let text = |triplet: &Triplet| {
        let target = triplet.targets.first().copied().ok_or_else(|| {
            let place = format!("triplet {}", triplet.id);
            TrainerError::data(place, "has no target", "leave it out, or use a split whose answers are known")
        })?;
        Ok(format!("{}\n{}", naming(title(triplet.reference)?, title(target)?), triplet.text.trim()))
    };
    let texts: Vec<String> = table.triplets.iter().map(text).collect::<Result<_>>()?;
    table.triplets.iter_mut().zip(texts).for_each(|(triplet, text)| triplet.text = text);
    Ok(())
}

/// What a generator says first when it says what both images show.
fn naming(reference: &str, target: &str) -> String {
    format!("from {reference} to {target}")
}

/// Adds queries that change nothing (reference = target), so that they make up `share` of all rows.
///
/// Most triplets keep what the text does not name; without such rows the fusion learns the named part long before the
/// kept one, and targets that differ only there become alike.
pub fn add_unchanged(table: &mut Table, share: f64, seed: u64) {
    let (count, next) = (rows_for(table, share), next_id(table));
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5a3e);
    let subsets = subsets(table);
    let mut images: Vec<u32> = subsets.keys().copied().collect();
    images.sort_unstable();
    let mut order = Vec::new();
    for at in 0..if images.is_empty() { 0 } else { count } {
        if order.is_empty() {
            order.clone_from(&images);
            order.shuffle(&mut rng);
        }
        let (Some(image), Some(text)) = (order.pop(), SAME.choose(&mut rng)) else { return };
        let text = if rng.random_bool(0.3) { capitalised(text) } else { (*text).to_owned() };
        let row = itself(image, text.clone(), &subsets);
        table.triplets.push(Triplet {
            id: next + at as u64,
            reverse: Some(text),
            kind: Some("unchanged".into()),
            ..row
        });
    }
}

/// Gives each wording of a triplet a row of its own, of which an epoch reads one or all: [`Wordings`](crate::train::settings::Wordings). Ids become those of the pair times the largest number of wordings, plus the wording's place.
pub fn spread_wordings(table: &mut Table) {
    let most = table.triplets.iter().map(|t| t.wordings.len()).max().unwrap_or(0).max(1) as u64;
    if most == 1 {
        return;
    }
    let spread = |triplet: Triplet| {
        let texts = if triplet.wordings.is_empty() { vec![triplet.text.clone()] } else { triplet.wordings.clone() };
        (0..).zip(texts).map(move |(at, text)| Triplet {
            id: triplet.id * most + at,
            text,
            wordings: Vec::new(),
            further_wording: at > 0,
            ..triplet.clone()
        })
    };
    table.triplets = std::mem::take(&mut table.triplets).into_iter().flat_map(spread).collect();
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn itself(image: u32, text: String, subsets: &HashMap<u32, Vec<u32>>) -> Triplet {
    Triplet {
        reference: image,
        targets: vec![image],
        text,
        subset: subsets.get(&image).cloned().unwrap_or_default(),
        ..Triplet::default()
    }
}

/// Each target's image set: the first that a triplet gives it.
fn subsets(table: &Table) -> HashMap<u32, Vec<u32>> {
    let mut found = HashMap::new();
    for t in &table.triplets {
        if let Some(target) = t.targets.first() {
            found.entry(*target).or_insert_with(|| t.subset.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::ImageEntry;

    fn table() -> Table {
        let image = |name: &str| ImageEntry { name: name.into(), path: name.into() };
        let t = |id, reference, target| Triplet {
            id,
            reference,
            subset: vec![0, 1, 2],
            ..itself(target, "but blue".into(), &HashMap::new())
        };
        let t = |id, reference, target| Triplet { reference, ..t(id, reference, target) };
        let images = ["a", "b", "c"].map(image).to_vec();
        Table { images, triplets: vec![t(7, 0, 1), t(9, 1, 2)], gallery: vec![0, 1, 2], ..Table::default() }
    }

    #[test]
    fn titled_pairs_name_both_images_and_follow_the_seed() {
        let table = table();
        let title =
            |name: &str| (name.to_owned(), Described { title: Some(format!("title {name}")), ..Described::default() });
        let described = ["a", "b"].map(title).into();
        let rows = titled_pairs(&table, &described, 2, 1).unwrap().triplets;
        let texts: Vec<&str> = rows.iter().map(|t| t.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "from title a to title b",
                "from title a to title b",
                "from title b to title a",
                "from title b to title a"
            ]
        );
        assert!(rows.iter().all(|t| t.targets != [t.reference]) && rows[3].row == 4);
        let mut named = table.clone();
        describe_first(&mut named, &described).unwrap_err();
        assert_eq!(named, table);
        named.triplets.truncate(1);
        describe_first(&mut named, &described).unwrap();
        assert_eq!(named.triplets[0].text, "from title a to title b\nbut blue");
        assert!(titled_pairs(&table, &["a"].map(title).into(), 2, 1).is_err());
        add_titled_pairs(&mut named, &described, 0.75, 1).unwrap();
        let added = &named.triplets[1..];
        assert!(added.len() == 3 && added.iter().all(|t| t.id > 7 && t.kind.as_deref() == Some(TITLES)), "{added:?}");
        let mut again = Table { triplets: named.triplets[..1].to_vec(), ..named.clone() };
        add_titled_pairs(&mut again, &described, 0.75, 1).unwrap();
        assert_eq!(again, named);
    }

    #[test]
    fn captions_are_one_row_a_titled_image() {
        let title = |t: &str| Described { title: Some(t.into()), ..Described::default() };
        let described = BTreeMap::from([("a".to_owned(), title("A")), ("c".to_owned(), title("C"))]);
        let made = captions(&table(), &described).unwrap();
        let rows: Vec<_> = made.triplets.iter().map(|t| (t.targets.clone(), t.text.as_str())).collect();
        assert_eq!(rows, [(vec![0], "A"), (vec![2], "C")]);
        assert!(captions(&table(), &BTreeMap::new()).is_err());
        let described =
            ["a", "b", "c"].map(|name| (name.to_owned(), title(if name == "b" { "B" } else { "A" }))).into();
        let made = captions(&table(), &described).unwrap();
        let rows: Vec<_> = made.triplets.iter().map(|t| t.targets.clone()).collect();
        assert_eq!(rows, [vec![0, 2], vec![1], vec![2, 0]], "one title, and so no negatives of each other");
        let positions = made.gallery_positions();
        let query = made.query(&positions, &made.triplets[0]);
        assert_eq!((query.exclude, query.right), (None, vec![0, 2]));
    }

    #[test]
    fn unchanged_rows_make_up_the_share_and_follow_the_seed() {
        let make = |seed| {
            let mut table = table();
            add_unchanged(&mut table, 0.5, seed);
            table
        };
        let made = make(1);
        assert_eq!(made.triplets.len(), 4);
        assert!(made.triplets[2..].iter().all(|t| t.targets == [t.reference] && t.id > 9 && t.reverse.is_some()));
        assert_eq!(made, make(1));
        assert_ne!(made, make(2));
    }

    #[test]
    fn every_wording_becomes_a_row() {
        let mut made = table();
        made.triplets[1].wordings = ["A and b", "B and a", "A", "B"].map(str::to_owned).to_vec();
        spread_wordings(&mut made);
        let rows: Vec<_> = made.triplets.iter().map(|t| (t.id, t.text.as_str(), t.reference)).collect();
        let expected = [(28, "but blue", 0), (36, "A and b", 1), (37, "B and a", 1), (38, "A", 1), (39, "B", 1)];
        assert_eq!(rows, expected);
        let mut alone = table();
        spread_wordings(&mut alone);
        assert_eq!(alone, table());
    }
}
