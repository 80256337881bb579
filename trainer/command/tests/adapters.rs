//! FashionBLIP-2's two stages from the command line: adapters in checkpoints of their own, captions, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use burn::tensor::Device;
use common::{run, shapes, thisbut};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::{Path, PathBuf};
use thisbut_model::config::{AdapterConfig, RetrievalConfig};
use thisbut_model::nn::ImageEncoder;
use thisbut_model::weights::{self, Tensors};
use thisbut_trainer::train::checkpoint;

/// What an encoder's parameter in a checkpoint begins with.
const ENCODER: &str = "image_encoder.";

/// The shapes with an image encoder for `tiny-fashion`, as `thisbut import` would write one.
struct Place {
    root: tempfile::TempDir,
    data: PathBuf,
    weights: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (data, weights) = shapes(root.path());
        let place = Self { root, data, weights };
        place.write_encoder(3);
        place
    }

    /// Another encoder for another seed, without adapters.
    fn write_encoder(&self, seed: u64) {
        let mut config = RetrievalConfig::preset("tiny-fashion").unwrap();
        config.image_encoder = config.image_encoder.without_adapters();
        let device = Device::flex();
        device.seed(seed);
        let tensors: Tensors = weights::collect(&ImageEncoder::new(&config, &device), "").unwrap();
        let views = tensors.iter().map(|(name, (dims, values))| {
            (name, TensorView::new(Dtype::F32, dims.clone(), bytemuck::cast_slice(values)).unwrap())
        });
        let path = thisbut_trainer::import::encoder_path(&config, &self.weights);
        std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    /// Captions of every image but those that `without` names.
    fn write_captions(&self, without: &[&str]) {
        let images = std::fs::read_dir(self.data.join("images")).unwrap();
        let mut names: Vec<String> =
            images.map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        let caption = |name: &String| match name.as_str() {
            "red-cross" => format!("a {}", "red ".repeat(20)),
            name => format!("a {}", name.replace('-', " ")),
        };
        let named = names.iter().filter(|name| !without.contains(&name.as_str()));
        let lines = named.map(|name| format!("{}\n", serde_json::json!({"image": name, "caption": caption(name)})));
        std::fs::write(self.data.join("captions.jsonl"), lines.collect::<String>()).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.root.path().join(name).to_string_lossy().into_owned()
    }

    fn data(&self) -> &str {
        self.data.to_str().unwrap()
    }

    /// A command with the folder of weights behind its arguments.
    fn with<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["--weights", self.weights.to_str().unwrap()]].concat()
    }

    fn train(&self, out: &str, more: &[&str]) -> Vec<String> {
        let few = ["--batch", "16", "--steps", "4", "--checkpoint-every", "2", "--validate-every", "4"];
        let base =
            ["finetune", self.data(), "--preset", "tiny-fashion", "--validate-queries", "8", "--learning-rate", "1e-2"];
        let all = [&base[..], &few, &["--warmup", "0", "--out", out], more].concat();
        self.with(&all).into_iter().map(str::to_owned).collect()
    }
}

fn done(arguments: &[String]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    String::from_utf8_lossy(&run(&arguments).stderr).into_owned()
}

fn refused<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> String {
    let out = thisbut().args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && !said.contains("panicked"), "{said}");
    said
}

fn of_encoder(path: &str) -> Tensors {
    let model = checkpoint::load(Path::new(path)).unwrap().model;
    model.into_iter().filter(|(name, _)| name.starts_with(ENCODER)).collect()
}

#[test]
fn a_target_without_a_caption_ends_a_run_before_it_begins() {
    let place = Place::new();
    let (out, on) = (place.path("run"), ["--features", "on-the-fly"]);
    let said = refused(&place.train(&out, &on));
    assert!(said.contains("192 of 192 training triplets have a target without a caption"), "{said}");
    assert!(said.contains("--captions FILE") && said.contains("--ctr 0"), "{said}");
    place.write_captions(&["blue-circle"]);
    let said = refused(&place.train(&out, &on));
    assert!(said.contains("8 of 192") && said.contains("the first of them blue-circle"), "{said}");
    assert!(!Path::new(&out).exists(), "nothing is written");
    // Captions of other images; and losses that read none.
    let other = place.path("other.jsonl");
    std::fs::write(&other, "{\"image\": \"x\", \"caption\": \"a red x\"}\n").unwrap();
    let said = refused(&place.train(&out, &[&on[..], &["--captions", &other]].concat()));
    assert!(said.contains("names none of the training targets"), "{said}");
    let said = refused(&place.train(&out, &[&on[..], &["--captions", &other, "--ctr", "0"]].concat()));
    assert!(said.contains("these losses read no captions"), "{said}");
}

#[test]
fn adapters_have_checkpoints_of_their_own_and_know_their_encoder() {
    let place = Place::new();
    place.write_captions(&[]);
    let (whole, broken, on) = (place.path("whole"), place.path("broken"), ["--features", "on-the-fly"]);
    let dry = place.train(&whole, &[&on[..], &["--dry-run"]].concat());
    let dry: Vec<&str> = dry.iter().map(String::as_str).collect();
    let said = String::from_utf8_lossy(&run(&dry).stdout).into_owned();
    assert!(said.contains("a step of 8 triplets took"), "{said}");
    let said = done(&place.train(&whole, &on));
    assert!(said.contains("captions of 192 targets: 0 beside the triplets, 192 in"), "{said}");
    assert!(said.contains("8 of 192 captions are longer than 16 tokens"), "{said}");
    done(&place.train(&broken, &[&on[..], &["--until", "2"]].concat()));
    done(&place.train(&broken, &on));
    let last = |run: &str| format!("{run}/final.safetensors");
    assert!(std::fs::read(last(&whole)).unwrap() == std::fs::read(last(&broken)).unwrap(), "the weights differ");

    let first = last(&whole);
    let header = checkpoint::open(Path::new(&first)).unwrap().header;
    let base = header.base_encoder.expect("it says which encoder it belongs to");
    let adapters = of_encoder(&first);
    assert!(adapters.len() == 16 && adapters.keys().all(|name| AdapterConfig::owns(name)), "{:?}", adapters.keys());
    let ups = adapters.iter().filter(|(name, _)| name.ends_with(".up.weight"));
    assert!(ups.clone().count() == 4 && ups.clone().all(|(_, (_, values))| values.iter().any(|value| *value != 0.0)));

    // A cache of the base encoder is not this model's; one with the adapters is.
    run(&place.with(&["features", place.data(), "--preset", "tiny-fashion"]));
    let evaluate = |checkpoint: &str| -> Vec<String> {
        let arguments = place.with(&["evaluate", place.data(), "--split", "val", "--checkpoint", checkpoint]);
        arguments.into_iter().map(str::to_owned).collect()
    };
    assert!(refused(&evaluate(&first)).contains("another image encoder"));
    std::fs::remove_file(place.data.join("tiny-fashion.features")).unwrap();
    run(&place.with(&["features", place.data(), "--checkpoint", &first]));
    done(&evaluate(&first));

    // The second stage reads that cache, or encodes with the adapters itself, and carries them along.
    let (cached, live) = (place.path("cached"), place.path("live"));
    let second = ["--start", &first, "--ctr", "0", "--train-adapters=false"];
    done(&place.train(&cached, &second));
    done(&place.train(&live, &[&second[..], &on].concat()));
    for run in [&cached, &live] {
        assert_eq!(of_encoder(&last(run)), adapters);
        assert_eq!(
            checkpoint::open(Path::new(&last(run))).unwrap().header.base_encoder.as_deref(),
            Some(base.as_str())
        );
    }
    let second = last(&cached);
    done(&evaluate(&second));
    let bundle = place.path("bundle");
    run(&place.with(&["export", &second, "--dataset", place.data(), "--out", &bundle]));
    run(&["query", "--bundle", &bundle, "--text", "a red square"]);

    // A model without adapters does not start from one with them.
    let none = ["--start", &first, "--adapters", "none", "--train-adapters=false"];
    let said = refused(&place.train(&place.path("none"), &[&on[..], &none].concat()));
    assert!(said.contains("another architecture") && said.contains("image_encoder.adapters"), "{said}");
    // Another encoder under the adapters.
    place.write_encoder(4);
    let start: Vec<String> = place.train(&place.path("wrong"), &[&on[..], &["--start", &first]].concat());
    let export = place.with(&["export", &second, "--dataset", place.data(), "--out", &bundle]);
    let features = place.with(&["features", place.data(), "--checkpoint", &first]);
    let said = [refused(&start), refused(&evaluate(&second)), refused(&export), refused(&features)];
    for said in said {
        let named = format!("its adapters were trained in the image encoder {base}; the one for tiny-fashion in");
        assert!(said.contains(&named) && said.contains("--weights"), "{said}");
    }
}
