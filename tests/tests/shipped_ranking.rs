//! What `evaluate --bundle` measures is what visitors get: for queries of the built-in collection's test split, its
//! rankings are those of the query engine over the shipped gallery chunks, with reference and text, and with either alone.
//!
//! The collection is where `THISBUT_FLUENT` says, or in `data/fluent`, made by `thisbut prepare fluent`. Without it the test
//! fails, unless `THISBUT_SKIP_FLUENT=1` leaves it out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, Tensor};
use pollster::block_on;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use thisbut_model::engine::Reference;
use thisbut_model::image::Rgba;
use thisbut_tests::skipped::skipped;
use thisbut_trainer::bundle_io::Bundle;
use thisbut_trainer::data::{DataSet, LoadOptions, Split, Table};
use thisbut_trainer::error::TrainerError;
use thisbut_trainer::evaluate::{Encoded, Scorer, Subject, evaluate};
use thisbut_trainer::images::decode_file;

/// Every so many of 4,200 queries: 525.
const EVERY: usize = 8;
const FIRST: usize = 10;

fn collection() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os("THISBUT_FLUENT").map_or_else(|| root.join("../data/fluent"), PathBuf::from);
    let found = folder.join("captions").is_dir();
    let left_out = std::env::var_os("THISBUT_SKIP_FLUENT").is_some_and(|value| value == "1");
    let mend = "run `thisbut prepare fluent`, or set THISBUT_SKIP_FLUENT=1 to leave this test out";
    assert!(found || left_out, "{} is missing: {mend}", folder.display());
    if !found {
        skipped(&format!("{} is missing: run `thisbut prepare fluent`", folder.display()));
    }
    found.then_some(folder)
}

/// The table with some of its queries, and no other references.
fn table(folder: &Path) -> Table {
    let (mut table, complaints) =
        DataSet::open(folder, None).unwrap().load(Split::Test, &LoadOptions::default()).unwrap();
    assert!(complaints.is_empty());
    let mut at = 0;
    table.triplets.retain(|_| {
        at += 1;
        at % EVERY == 1
    });
    table
}

#[test]
fn evaluation_ranks_as_the_engine_does() {
    let Some(folder) = collection() else { return };
    let table = table(&folder);
    assert!(table.triplets.len() >= 500);
    let device = Device::flex();
    let bundle = Bundle::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../exported")).unwrap();
    let engine = bundle.engine(&device).unwrap();
    let numbers = bundle.numbers(&table).expect("the shipped gallery has every image of the collection");

    let encoded = Encoded::new(engine.retrieval(), &table, false, &mut |_, _| {}).unwrap();
    let tokens = |images: &[u32]| -> Result<Tensor<3>, TrainerError> { Ok(encoded.tokens(images, &device)) };
    let subject = Subject { name: "exported".into(), retrieval: engine.retrieval(), tokens: &tokens };
    let scorer = Scorer::Shipped(bundle.gallery().unwrap(), numbers.clone());
    let (_, answers) = evaluate(&subject, &table, &scorer, ("test", 0.5), &mut |_, _| {}).unwrap();

    let image_of: HashMap<u32, u32> = numbers.iter().copied().zip(table.gallery.iter().copied()).collect();
    let mut pictures = HashMap::new();
    for (triplet, answer) in table.triplets.iter().zip(&answers) {
        let picture = pictures.entry(triplet.reference).or_insert_with(|| {
            let picture = decode_file(&table.images[triplet.reference as usize].path).unwrap();
            let rgba = Rgba::new(picture.width, picture.height, &picture.data).unwrap();
            block_on(engine.reference(engine.retrieval().encode_image(&rgba).unwrap())).unwrap()
        });
        let own = table.gallery.iter().position(|image| *image == triplet.reference).map(|at| numbers[at]);
        // Evaluation leaves the reference out of every query, a visitor of those that start from it.
        let ask = |image: Option<&Reference>, text: &str| -> Vec<u32> {
            let rows = block_on(engine.compose_from(image, text)).unwrap();
            let exclude = engine.excluded(image, own, text);
            engine.search(&rows, FIRST, &exclude).unwrap().iter().map(|hit| image_of[&hit.index]).collect()
        };
        let composed = ask(Some(picture), &triplet.text);
        assert_eq!(composed, answer.ranking[..FIRST], "{} {:?}", answer.reference, triplet.text);
        assert_eq!(ask(Some(picture), ""), answer.by_image, "{}", answer.reference);
        assert_eq!(ask(None, &triplet.text), answer.by_text, "{:?}", triplet.text);
    }
}
