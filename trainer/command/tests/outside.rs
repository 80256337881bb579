//! What comes from outside a data set: images that are in none of its splits, and a published generator's weights.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};
use thisbut_trainer::train::checkpoint;
use thisbut_trainer::train::settings::Schedule;

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn images_outside_the_data_set_are_trained_on() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let outside = root.path().join("nlvr2");
    std::fs::create_dir_all(outside.join("train/7")).unwrap();
    let shown = |name: &str| data.join("images").join(format!("{name}.png"));
    let mut rows = String::new();
    for (at, (from, to)) in [("red-square", "blue-square"), ("green-cross", "black-cross")].iter().enumerate() {
        for (side, shape) in [from, to].iter().enumerate() {
            let name = format!("train/7/train-{at}-0-img{side}.png");
            std::fs::copy(shown(shape), outside.join(name)).unwrap();
        }
        rows.push_str(&format!(
            "{{\"identifier\": \"train-{at}-0-0\", \"synset\": \"x\", \"query\": \"x{at}\", \"directory\": 7}}\n"
        ));
    }
    let place = |name: &str| text(root.path().join(name));
    let (published, pairs, split) = (place("nlvr2/train.json"), place("pairs.jsonl"), place("nlvr2/used.json"));
    std::fs::write(&published, rows).unwrap();
    let made = run(&["generator", "pairs", "--nlvr2", &published, "--split-file", &split, "--out", &pairs]);
    // Two sets of two images: two ordered pairs each.
    assert!(String::from_utf8_lossy(&made.stdout).contains("nlvr2-own            2         4         4"));
    let triplets = place("triplets.jsonl");
    let mut lines: Vec<String> = Vec::new();
    for line in std::fs::read_to_string(&pairs).unwrap().lines() {
        let pair: serde_json::Value = serde_json::from_str(line).unwrap();
        let (reference, target) = (&pair["reference"], &pair["target"]);
        lines.push(format!(
            "{{\"reference\": {reference}, \"target\": {target}, \"modifier_generated\": \"but in blue\"}}"
        ));
    }
    assert_eq!(lines.len(), 4);
    std::fs::write(&triplets, lines.join("\n")).unwrap();

    let (data, weights) = (text(data), text(weights));
    let base = ["--preset", "tiny", "--weights", &weights];
    for (images, run_folder) in [(&split, "by-file"), (&text(outside), "by-folder")] {
        let out = place(run_folder);
        run(&[&["features", &data, "--images", images][..], &base].concat());
        let train = ["pretrain", &data, "--triplets", &triplets, "--out", &out, "--steps", "2", "--batch", "4"];
        let few = ["--warmup", "1", "--validate-every", "2", "--checkpoint-every", "2"];
        let refused = thisbut().args([&train[..], &few, &base].concat()).output().unwrap();
        let problem = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && problem.contains("there is no image 'train-0-0-img0'"), "{problem}");
        assert!(problem.contains("--images"), "{problem}");
        run(&[&train[..], &few, &base, &["--images", images]].concat());
        assert!(Path::new(&out).join("final.safetensors").is_file());
    }
}

#[test]
fn published_weights_ask_as_lavis_does() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (text(data), text(weights));
    let place = |name: &str| text(root.path().join(name));
    // A published generator's FC_llm, of the tiny decoder's width.
    let (published, bytes) = (place("instructblip.safetensors"), vec![0u8; 32 * 32 * 4]);
    let view = TensorView::new(Dtype::F32, vec![32, 32], &bytes).unwrap();
    std::fs::write(&published, safetensors::serialize([("llm_proj.weight", view)], None).unwrap()).unwrap();
    let llm = text(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny-llama.gguf"));
    run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
    let base = ["generator", "train", &data, "--preset", "tiny", "--weights", &weights, "--llm", &llm];
    let few = ["--steps", "1", "--batch", "4", "--validate-queries", "2", "--samples", "1"];
    let trained = |out: &str, more: &[&str]| {
        let out = place(out);
        run(&[&base[..], &few, &["--out", &out], more].concat());
        let header = checkpoint::open(&Path::new(&out).join("final.safetensors")).unwrap().header;
        let mtst = header.generator.unwrap()["mtst"].clone();
        let form = mtst["instruction_form"].as_str().unwrap().to_owned();
        (form, mtst["answer_length"].as_u64().unwrap(), !header.settings.freeze_words)
    };
    let lavis = ("lavis".to_owned(), 256, true);
    assert_eq!(trained("published", &["--start", &published]), lavis);
    assert_eq!(trained("plain", &[]), ("line".to_owned(), 64, false));
    let chosen = ["--start", &published, "--instruction-form", "line", "--train-words"];
    assert_eq!(trained("chosen", &chosen), ("line".to_owned(), 64, true));
    let again = place("published/final.safetensors");
    assert_eq!(trained("again", &["--start", &again]), lavis, "a generator keeps its own");
    let file = place("recipe.toml");
    std::fs::write(&file, "instruction-form = \"lavis\"\ntrain-words = false\nanswer-length = 9\nbatch = 2\n").unwrap();
    assert_eq!(trained("by-recipe", &["--recipe", &file]), ("lavis".to_owned(), 9, false));
    std::fs::write(&file, "steps = 1\nstep = 1\n").unwrap();
    let refused = thisbut().args([&base[..], &["--out", "x", "--recipe", &file]].concat()).output().unwrap();
    let problem = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && problem.contains("line 2: there is no key `step`"), "{problem}");
}

#[test]
fn a_generators_attention_drops_weights_and_its_optimiser_is_chosen() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (text(data), text(weights));
    let llm = text(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny-llama.gguf"));
    run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
    let base = ["generator", "train", &data, "--preset", "tiny", "--weights", &weights, "--llm", &llm];
    let few = ["--steps", "2", "--batch", "4", "--validate-queries", "2", "--samples", "1"];
    let trained = |out: &str, more: &[&str]| {
        let out = text(root.path().join(out));
        run(&[&base[..], &few, &["--out", &out], more].concat());
        checkpoint::load(&Path::new(&out).join("final.safetensors")).unwrap()
    };
    let plain = trained("plain", &[]);
    assert_eq!(plain.model, trained("none", &["--attention-dropout", "0", "--beta2", "0.98"]).model);
    let dropped = trained("dropped", &["--attention-dropout", "0.4"]);
    assert_eq!(dropped.header.config.two_pass().unwrap().qformer.attention_dropout, 0.4);
    assert_ne!(plain.model, dropped.model, "the masks are drawn");
    let lavis = ["--schedule", "cosine-to-zero", "--beta2", "0.999", "--epsilon", "1e-8"];
    let settings = trained("lavis", &lavis).header.settings;
    assert_eq!((settings.schedule, settings.betas, settings.epsilon), (Schedule::CosineToZero, (0.9, 0.999), 1e-8));
}
