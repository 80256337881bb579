//! Image tokens that a gallery-reference bundle keeps with its gallery, as those of a data set's images.

use crate::bundle_io::Bundle;
use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use crate::export::{distinct_ids, gallery_id};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::{BTreeSet, HashMap};
use thisbut_model::bundle::FileEntry;
use thisbut_model::gallery::parse_reference;

/// Where each of a table's images has its file of tokens.
pub struct Stored<'a> {
    bundle: &'a Bundle,
    files: Vec<Option<&'a FileEntry>>,
}

impl<'a> Stored<'a> {
    /// Finds the table's references and gallery in `bundle`, which was read with its gallery.
    ///
    /// # Errors
    /// [`TrainerError::Data`] that names an image which the bundle has no tokens of.
    pub fn new(bundle: &'a Bundle, table: &Table) -> Result<Self> {
        let known: HashMap<&str, &FileEntry> =
            bundle.metadata.iter().filter_map(|image| Some((image.id.as_str(), image.reference.as_ref()?))).collect();
        let files: Vec<_> = table.images.iter().map(|image| known.get(gallery_id(image).as_str()).copied()).collect();
        let needed: BTreeSet<u32> =
            table.triplets.iter().map(|t| t.reference).chain(table.gallery.iter().copied()).collect();
        distinct_ids(table, needed.iter().copied())?;
        let mut missing = needed.iter().filter(|i| files.get(**i as usize).copied().flatten().is_none()).peekable();
        if let Some(first) = missing.peek() {
            let name = table.images.get(**first as usize).map_or("", |i| i.name.as_str());
            let problem = format!(
                "has no image encoder, and no tokens of {} of the {} images, the first '{name}'",
                missing.clone().count(),
                needed.len()
            );
            return Err(TrainerError::data(
                bundle.root.display().to_string(),
                problem,
                "evaluate the split and the data set that it was exported from, without --limit",
            ));
        }
        Ok(Self { bundle, files })
    }

    /// Tokens `[images, T, C]` of some of the table's images.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what the bundle says.
    pub fn tokens(&self, images: &[u32], device: &Device) -> Result<Tensor<3>> {
        let (t, c) = (self.bundle.config.image_tokens(), self.bundle.config.image_width());
        let mut values = Vec::with_capacity(images.len() * t * c);
        for image in images {
            let entry = self.files[*image as usize].ok_or_else(|| {
                let problem = format!("image {image} of the table has no tokens in it");
                TrainerError::data(self.bundle.root.display().to_string(), problem, "index the data set's images again")
            })?;
            values.extend(parse_reference(&self.bundle.reference(entry)?, t, c)?);
        }
        Ok(Tensor::from_data(TensorData::new(values, [images.len(), t, c]), device))
    }
}
