//! A visitor's own images beside the shipped gallery: they rank as a gallery of all images would, alone or with it, and what is
//! written of them is a bundle that answers the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::Device;
use pollster::block_on;
use std::fs;
use std::path::{Path, PathBuf};
use thisbut_model::ask::{Ask, EVEN};
use thisbut_model::bundle::Manifest;
use thisbut_model::engine::{Engine, Reference};
use thisbut_model::gallery::{Chunk, Hit, ImageMeta, parse_metadata};
use thisbut_model::image::Rgba;
use thisbut_model::own::Scope;
use thisbut_trainer::bundle_io::Bundle;

const OWN: u32 = 5;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/fixtures/words-full")
}

/// A picture of one colour with a bar of another.
fn pixels(of: u32) -> Vec<u8> {
    let colour = [[200, 30, 30], [30, 160, 60], [40, 60, 200], [230, 200, 40], [120, 40, 160]][of as usize];
    (0..32 * 32)
        .flat_map(|at| if at / 32 / 6 == of { [10, 10, 10, 255] } else { [colour[0], colour[1], colour[2], 255] })
        .collect()
}

async fn reference(engine: &Engine, of: u32) -> Reference {
    let encoded = engine.retrieval().encode_image(&Rgba::new(32, 32, &pixels(of)).unwrap()).unwrap();
    engine.reference(encoded).await.unwrap()
}

/// The fixture's engine, and the same one with five own images.
async fn engines() -> (Manifest, Engine, Engine) {
    let bundle = Bundle::read(&folder()).unwrap();
    let plain = bundle.engine(&Device::flex()).unwrap();
    let mut own = plain.clone();
    for of in 0..OWN {
        let encoded = plain.retrieval().encode_image(&Rgba::new(32, 32, &pixels(of)).unwrap()).unwrap();
        own.add_own(Chunk::parse(&plain.index(&encoded).await.unwrap()).unwrap()).unwrap();
    }
    (bundle.manifest, plain, own)
}

async fn asked(engine: &Engine, from: &Reference, text: &str, scope: Scope) -> Vec<Hit> {
    let among = engine.within(scope);
    let ask = Ask { references: &[from], text, without: &[], balance: EVEN, among: among.as_ref() };
    engine.ask(&ask, 100, &[]).await.unwrap()
}

#[test]
fn a_search_that_is_one_query_has_its_vectors() {
    block_on(async {
        let (_, plain, _) = engines().await;
        let from = reference(&plain, 0).await;
        let (p, n) = (plain.config().projection, plain.config().target_tokens);
        let unwanted = ["green".to_owned()];
        let some = [0, 1].into_iter().collect();
        let references = [&from];
        let ask = |text| Ask { references: &references, text, without: &[], balance: EVEN, among: None };
        let vectors = plain.vectors(&ask("red")).await.unwrap().unwrap();
        let length = vectors.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!(vectors.len() == p && (length - 1.0).abs() < 1e-4, "{} of length {length}", vectors.len());
        assert_eq!(plain.search(&vectors, 5, &[]).unwrap(), plain.ask(&ask("red"), 5, &[]).await.unwrap());
        let among = Ask { among: Some(&some), ..ask("red") };
        assert_eq!(plain.vectors(&among).await.unwrap().unwrap(), vectors, "a part of the gallery, the same query");
        assert_eq!(
            plain.vectors(&ask("")).await.unwrap().unwrap().len(),
            n * p,
            "a picture asks with all of its tokens"
        );
        for several in [
            Ask { without: &unwanted, ..ask("red") },
            Ask { balance: 0.3, ..ask("red") },
            Ask { references: &[&from, &from], ..ask("red") },
        ] {
            assert!(plain.vectors(&several).await.unwrap().is_none());
        }
        let lift = plain.lift(&vectors).unwrap().unwrap();
        let all = plain.gallery().hits(&vectors).unwrap();
        let mean = all.iter().map(|hit| hit.score).sum::<f32>() / all.len() as f32;
        let best = plain.search(&vectors, 1, &[]).unwrap()[0].score;
        assert!((lift - (best - mean)).abs() < 1e-5, "{lift}");
    });
}

#[test]
fn own_images_are_ranked_with_the_gallery_or_alone() {
    block_on(async {
        let (_, plain, own) = engines().await;
        let shipped = plain.gallery().len() as u32;
        assert_eq!((own.shipped(), own.gallery().len() as u32), (shipped, shipped + OWN));
        assert_eq!(plain.gallery().len() as u32, shipped, "a clone's images are its own");
        for of in 0..OWN {
            let from = reference(&own, of).await;
            let both = asked(&own, &from, "", Scope::Both).await;
            assert_eq!(both.len() as u32, shipped + OWN);
            assert_eq!(both[0].index, shipped + of, "an uploaded picture finds itself");
            assert!(both.is_sorted_by(|a, b| a.rank(b).is_le()));
            for (scope, is) in [(Scope::Own, true), (Scope::Shipped, false)] {
                let part: Vec<Hit> = both.iter().filter(|hit| (hit.index >= shipped) == is).copied().collect();
                assert_eq!(asked(&own, &from, "", scope).await, part, "{scope:?}");
            }
            assert_eq!(asked(&own, &from, "", Scope::Shipped).await, asked(&plain, &from, "", Scope::Both).await);
            // With words, the picture itself is no answer.
            assert_eq!(own.excluded(Some(&from), None, "in red"), [shipped + of]);
        }
        assert_eq!(plain.within(Scope::Shipped), None, "without own images there is nothing to leave out");
        assert_eq!(plain.within(Scope::Own).map(|some| some.len()), Some(0));
    });
}

#[test]
fn images_that_come_and_go_are_known_to_references() {
    block_on(async {
        let (_, plain, mut own) = engines().await;
        let before = reference(&plain, 2).await;
        assert_eq!(plain.excluded(Some(&before), None, "in red"), [0_u32; 0]);
        let after = own.again(&before).unwrap();
        assert_eq!(own.excluded(Some(&after), None, "in red"), [own.shipped() + 2]);
        assert!(after.nearest() > before.nearest());
        own.forget_own();
        assert_eq!(own.gallery().len(), plain.gallery().len());
        let forgotten = own.again(&after).unwrap();
        assert_eq!(own.excluded(Some(&forgotten), None, "in red"), [0_u32; 0]);
        assert_eq!(forgotten.nearest(), before.nearest());
    });
}

fn described(count: u32) -> Vec<ImageMeta> {
    let one = |at: u32| ImageMeta {
        id: format!("trip/{at}.jpg"),
        title: format!("Picture {at}"),
        tags: vec![],
        changes: vec![],
        extra: Default::default(),
        thumb: format!("t.{at}.jpg"),
        width: 32,
        height: 32,
        reference: None,
    };
    (0..count).map(one).collect()
}

#[test]
fn what_is_written_is_a_bundle_that_answers_the_same() {
    block_on(async {
        let (shipped, plain, own) = engines().await;
        assert!(plain.own_bundle(&shipped, &[], "Mine").await.is_err(), "no own images");
        assert!(own.own_bundle(&shipped, &described(OWN - 1), "Mine").await.is_err(), "one is not described");
        let written = own.own_bundle(&shipped, &described(OWN), "Mine").await.unwrap();
        let out = tempfile::tempdir().unwrap();
        for entry in shipped.weights.iter().map(|entry| &entry.file).chain([&shipped.vocab.file]) {
            fs::copy(folder().join(&entry.path), out.path().join(&entry.path)).unwrap();
        }
        fs::create_dir(out.path().join("gallery")).unwrap();
        for (path, bytes) in &written.files {
            fs::write(out.path().join(path), bytes).unwrap();
        }
        fs::write(out.path().join("bundle.json"), &written.manifest).unwrap();

        let bundle = Bundle::read(out.path()).unwrap();
        let engine = bundle.engine(&Device::flex()).unwrap();
        engine.self_test(&bundle.manifest).await.unwrap();
        assert_eq!((bundle.manifest.gallery.count, &*bundle.manifest.gallery.title), (OWN, "Mine"));
        assert_eq!(bundle.manifest.row_form(), shipped.row_form());
        let meta = fs::read(out.path().join(&bundle.manifest.gallery.metadata[0].file.path)).unwrap();
        assert_eq!(parse_metadata(&meta, OWN as usize).unwrap(), described(OWN));
        let from = reference(&engine, 1).await;
        let again = asked(&engine, &from, "in blue", Scope::Both).await;
        let there = asked(&own, &from, "in blue", Scope::Own).await;
        for (one, other) in again.iter().zip(&there) {
            assert_eq!(one.index + own.shipped(), other.index);
            assert!((one.score - other.score).abs() < 1e-5, "{one:?} {other:?}");
        }
        assert_eq!(again.len(), there.len());
    });
}

#[test]
fn rows_of_another_model_have_another_name() {
    let manifest = |name: &str| {
        let path = folder().parent().unwrap().join(name).join("bundle.json");
        Manifest::parse(&fs::read(path).unwrap()).unwrap().row_form()
    };
    assert_eq!(manifest("words-full").len(), 16);
    assert_ne!(manifest("words-full"), manifest("sum-full"));
}
