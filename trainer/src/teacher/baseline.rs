//! The teacher's own answers to a data set's queries: what can be found without any training on it.

use super::{Teacher, cosine};
use crate::baselines::{Comparison, Method};
use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use crate::report::Report;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Images that are looked at between two words of progress, and queries that are read together.
const BATCH: usize = 64;

/// The rows of a report over the queries of `table`. Image only: the cosine of the reference's place among texts and the
/// image's. Text only: of the modifier's place and the image's. Averaged: the mean of both scores.
///
/// # Errors
/// When an image cannot be read, or the device fails.
pub fn rows(
    teacher: &mut Teacher,
    table: &Table,
    title: &str,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report> {
    let places = places(teacher, table, progress)?;
    let gallery: Vec<&[f32]> = table.gallery.iter().map(|image| of(&places, *image)).collect::<Result<_>>()?;
    let scores = |query: &[f32]| -> Vec<f32> { gallery.iter().map(|image| cosine(query, image)).collect() };
    let positions = table.gallery_positions();
    let mut comparison = Comparison::with(table.protocol);
    for batch in table.triplets.chunks(BATCH) {
        let texts: Vec<&str> = batch.iter().map(|triplet| triplet.text.as_str()).collect();
        for (triplet, text) in batch.iter().zip(teacher.texts(&texts)?) {
            let query = table.query(&positions, triplet);
            let (by_image, by_text) = (scores(of(&places, triplet.reference)?), scores(&text));
            let both: Vec<f32> = by_image.iter().zip(&by_text).map(|(a, b)| 0.5 * (a + b)).collect();
            comparison.add(Method::TeacherImageOnly, &by_image, &query)?;
            comparison.add(Method::TeacherTextOnly, &by_text, &query)?;
            comparison.add(Method::TeacherAveraged, &both, &query)?;
        }
    }
    let mut report = comparison.report(title);
    report.mark_incomplete(table);
    Ok(report)
}

/// Where each image lies that a query starts from or ranks.
fn places(teacher: &Teacher, table: &Table, progress: &mut dyn FnMut(usize, usize)) -> Result<BTreeMap<u32, Vec<f32>>> {
    let references = table.triplets.iter().map(|triplet| triplet.reference);
    let images: BTreeSet<u32> = references.chain(table.gallery.iter().copied()).collect();
    let images: Vec<u32> = images.into_iter().collect();
    let mut places = BTreeMap::new();
    for batch in images.chunks(BATCH) {
        progress(places.len(), images.len());
        let files: Vec<&Path> = batch.iter().map(|image| table.images[*image as usize].path.as_path()).collect();
        for (image, seen) in batch.iter().zip(teacher.look(&files)?) {
            places.insert(*image, teacher.place(&seen?));
        }
    }
    progress(images.len(), images.len());
    Ok(places)
}

fn of(places: &BTreeMap<u32, Vec<f32>>, image: u32) -> Result<&[f32]> {
    let lacking = || TrainerError::data("the data set", format!("has no image {image}"), "report this");
    places.get(&image).map(Vec::as_slice).ok_or_else(lacking)
}
