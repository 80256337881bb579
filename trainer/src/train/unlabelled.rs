//! Images without labels whose files cannot be read: a feature cache names them, and a run does without them.

use crate::data::table::{ImageEntry, Table};
use crate::error::{Result, TrainerError};
use crate::features::ImageTokens;

/// The images that have tokens, and how many have none because they could not be read.
///
/// # Errors
/// When the tokens lack an image that nobody has tried to read, and when none is left.
pub fn readable(images: Vec<ImageEntry>, features: &dyn ImageTokens) -> Result<(Vec<ImageEntry>, usize)> {
    let all = images.len();
    let kept: Vec<ImageEntry> = images.into_iter().filter(|image| !features.left_out(&image.name)).collect();
    kept.iter().try_for_each(|image| features.row(&image.name).map(drop))?;
    match kept.is_empty() {
        true => Err(TrainerError::data("the unlabelled images", "none of them could be read", "give other images")),
        false => Ok((kept.clone(), all - kept.len())),
    }
}

/// A table without the rows that are an image alone which could not be read, and how many these are. Rows that say something
/// of an image are the data set's: they stay, and are asked for.
///
/// # Errors
/// When no row is left.
pub fn readable_rows(mut table: Table, features: &dyn ImageTokens) -> Result<(Table, usize)> {
    let left_out: Vec<bool> = table.images.iter().map(|image| features.left_out(&image.name)).collect();
    let unread = |image: &u32| left_out.get(*image as usize).copied().unwrap_or(false);
    let rows = table.triplets.len();
    table.triplets.retain(|t| !(t.text.is_empty() && t.targets[..] == [t.reference] && unread(&t.reference)));
    if table.triplets.is_empty() && rows > 0 {
        return Err(TrainerError::data("the images", "none of them could be read", "give other images"));
    }
    let lost = rows - table.triplets.len();
    let used: Vec<bool> = used(&table);
    if lost > 0 {
        table = without(table, &|image| unread(&image) && !used.get(image as usize).copied().unwrap_or(false));
    }
    Ok((table, lost))
}

/// Which images a triplet names.
fn used(table: &Table) -> Vec<bool> {
    let mut used = vec![false; table.images.len()];
    let named = table.triplets.iter().flat_map(|t| std::iter::once(&t.reference).chain(&t.targets).chain(&t.subset));
    for image in named {
        if let Some(place) = used.get_mut(*image as usize) {
            *place = true;
        }
    }
    used
}

/// The table without some images, which no triplet names.
fn without(table: Table, gone: &dyn Fn(u32) -> bool) -> Table {
    let mut places = Vec::with_capacity(table.images.len());
    let mut next = 0;
    for image in 0..table.images.len() as u32 {
        places.push(next);
        next += u32::from(!gone(image));
    }
    let place = |image: u32| places.get(image as usize).copied().unwrap_or_default();
    let kept = |images: Vec<u32>| images.into_iter().filter(|image| !gone(*image)).map(place).collect::<Vec<u32>>();
    let triplets = table.triplets.into_iter().map(|mut t| {
        t.reference = place(t.reference);
        t.targets = kept(t.targets);
        t.subset = kept(t.subset);
        t
    });
    let triplets = triplets.collect();
    let images = (0..).zip(table.images).filter(|(image, _)| !gone(*image)).map(|(_, entry)| entry).collect();
    Table {
        images,
        triplets,
        gallery: kept(table.gallery),
        pools: table.pools.into_iter().map(kept).collect(),
        ..table
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::data::derive;
    use burn::tensor::{Device, Tensor};

    /// A cache of ten images, of which the third and the last could not be read; it has never heard of others.
    struct Cache;

    impl ImageTokens for Cache {
        fn row(&self, name: &str) -> Result<usize> {
            let found = name.parse().ok().filter(|row| *row < 10 && !self.left_out(name));
            found.ok_or_else(|| TrainerError::data(name, "the cache lacks it", "run `thisbut features`"))
        }

        fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
            Ok(Tensor::ones([rows.len(), 1, 2], device))
        }

        fn left_out(&self, name: &str) -> bool {
            matches!(name, "2" | "9")
        }
    }

    fn images(count: usize) -> Vec<ImageEntry> {
        (0..count).map(|at| ImageEntry { name: at.to_string(), path: at.to_string().into() }).collect()
    }

    #[test]
    fn what_could_not_be_read_is_left_out_and_counted() {
        let (kept, left_out) = readable(images(10), &Cache).unwrap();
        assert_eq!((kept.len(), left_out), (8, 2));
        assert!(kept.iter().all(|image| image.name != "2"));
        assert!(readable(images(11), &Cache).unwrap_err().to_string().contains("10: the cache lacks it"));
        let broken = vec![images(10)[2].clone()];
        assert!(readable(broken, &Cache).unwrap_err().to_string().contains("none of them"));
    }

    #[test]
    fn rows_of_unread_images_go_and_others_keep_their_images() {
        let table = Table { images: images(10), gallery: (0..10).collect(), ..Table::default() };
        let (table, lost) = readable_rows(derive::images(&table).unwrap(), &Cache).unwrap();
        assert_eq!((lost, table.images.len(), table.triplets.len(), table.gallery.len()), (2, 8, 8, 8));
        for triplet in &table.triplets {
            assert_eq!(table.image_name(triplet.reference), triplet.id.to_string());
            assert_eq!(triplet.targets, [triplet.reference]);
        }
        // A row with a text says something of its image: it stays, so that the image is asked for.
        let mut labelled = derive::images(&Table { images: images(10), ..Table::default() }).unwrap();
        labelled.triplets[2].text = "in red".into();
        let (table, lost) = readable_rows(labelled, &Cache).unwrap();
        assert_eq!((lost, table.images.len()), (1, 9));
        assert_eq!(table.image_name(table.triplets[2].reference), "2");
    }
}
