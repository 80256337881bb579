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
use thisbut_model::nn::efficientnet::EfficientNetLite;
use thisbut_model::weights::{self, Tensors};
use thisbut_trainer::train::checkpoint;

/// What an encoder's parameter in a checkpoint begins with.
const ENCODER: &str = "image_encoder.";

/// The shapes with an image encoder for `tiny-fashion`, as `thisbut import` would write one.
struct Place {
    root: tempfile::TempDir,
    data: PathBuf,
    weights: PathBuf,
    preset: String,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (data, weights) = shapes(root.path());
        let place = Self { root, data, weights, preset: "tiny-fashion".into() };
        place.write_encoder(3);
        place
    }

    /// The same with adapters behind the last three blocks of an EfficientNet-Lite0, which sees images of 32 pixels.
    fn convolutional() -> Self {
        let mut place = Self::new();
        let preset = RetrievalConfig::preset("tiny-fashion").unwrap();
        let mut config = serde_json::to_value(preset).unwrap();
        config["name"] = "convolutional".into();
        config["image_encoder"] = serde_json::json!({
            "kind": "efficientnet-lite", "variant": 0, "adapters": {"factor": 4, "after": "block", "from": 13}
        });
        place.preset = place.path("convolutional.json");
        std::fs::write(&place.preset, serde_json::to_vec(&config).unwrap()).unwrap();
        place.write_efficientnet(3);
        place
    }

    /// An EfficientNet-Lite0 under its published names, another for another seed: no batch norm changes anything.
    fn write_efficientnet(&self, seed: u64) {
        let device = Device::flex();
        device.seed(seed);
        let network = EfficientNetLite::new(0, None, &device);
        let mut tensors = Tensors::new();
        for (name, (dims, values)) in weights::collect(&network, "").unwrap() {
            let Some(conv) = name.strip_suffix(".weight") else { continue };
            let (block, part) = conv.rsplit_once('.').unwrap_or(("", conv));
            let (own, norm) = match part {
                "stem" => ("_conv_stem", "_bn0"),
                "head" => ("_conv_head", "_bn1"),
                "expand" => ("_expand_conv", "_bn0"),
                "depthwise" => ("_depthwise_conv", "_bn1"),
                _ => ("_project_conv", "_bn2"),
            };
            let block = block.strip_prefix("blocks.").map_or(String::new(), |at| format!("_blocks.{at}."));
            for (leaf, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 0.999)] {
                tensors.insert(format!("{block}{norm}.{leaf}"), (vec![dims[0]], vec![value; dims[0]]));
            }
            tensors.insert(format!("{block}{own}.weight"), (dims, values));
        }
        write(&tensors, &self.weights.join("efficientnet-lite0-57934424.pth"));
    }

    /// Another encoder for another seed, without adapters.
    fn write_encoder(&self, seed: u64) {
        let mut config = RetrievalConfig::preset("tiny-fashion").unwrap();
        config.image_encoder = config.image_encoder.without_adapters();
        let device = Device::flex();
        device.seed(seed);
        let tensors: Tensors = weights::collect(&ImageEncoder::new(&config, &device), "").unwrap();
        write(&tensors, &thisbut_trainer::import::encoder_path(&config, &self.weights));
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
            ["finetune", self.data(), "--preset", &self.preset, "--validate-queries", "8", "--learning-rate", "1e-2"];
        let all = [&base[..], &few, &["--warmup", "0", "--out", out], more].concat();
        self.with(&all).into_iter().map(str::to_owned).collect()
    }
}

fn write(tensors: &Tensors, path: &Path) {
    let views = tensors.iter().map(|(name, (dims, values))| {
        (name, TensorView::new(Dtype::F32, dims.clone(), bytemuck::cast_slice(values)).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
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

/// Behind the blocks of a convolutional encoder: the same checkpoints, the same checks; what stands before the first adapter is
/// computed once, and a run that was stopped ends with the same values.
#[test]
fn a_convolutional_encoder_takes_adapters_too() {
    let place = Place::convolutional();
    place.write_captions(&[]);
    let (whole, broken, on) = (place.path("whole"), place.path("broken"), ["--features", "on-the-fly"]);
    done(&place.train(&whole, &on));
    done(&place.train(&broken, &[&on[..], &["--until", "2"]].concat()));
    done(&place.train(&broken, &on));
    let first = format!("{whole}/final.safetensors");
    let model = |path: &str| checkpoint::load(Path::new(path)).unwrap().model;
    assert!(model(&first) == model(&format!("{broken}/final.safetensors")));
    let base =
        checkpoint::open(Path::new(&first)).unwrap().header.base_encoder.expect("it says which encoder it belongs to");
    let adapters = of_encoder(&first);
    assert!(adapters.len() == 12 && adapters.keys().all(|name| AdapterConfig::owns(name)), "{:?}", adapters.keys());
    let ups = adapters.iter().filter(|(name, _)| name.ends_with(".up.weight"));
    assert!(ups.clone().count() == 3 && ups.clone().all(|(_, (_, values))| values.iter().any(|value| *value != 0.0)));

    run(&place.with(&["features", place.data(), "--checkpoint", &first]));
    let second = place.path("second");
    done(&place.train(&second, &["--start", &first, "--ctr", "0", "--train-adapters=false"]));
    let second = format!("{second}/final.safetensors");
    assert_eq!(of_encoder(&second), adapters);
    run(&place.with(&["evaluate", place.data(), "--split", "val", "--checkpoint", &second]));
    let bundle = place.path("bundle");
    run(&place.with(&["export", &second, "--dataset", place.data(), "--out", &bundle]));
    run(&["query", "--bundle", &bundle, "--text", "a red square"]);
    let images = place.data.join("images");
    run(&place.with(&["index", images.to_str().unwrap(), "--model", &second, "--out", &place.path("index")]));

    let refused_by = |option: &[&str]| refused(&place.train(&place.path("no"), &[&on[..], option].concat()));
    let said = refused_by(&["--adapters", "attention"]);
    assert!(said.contains("has no such place") && said.contains("give block or none"), "{said}");
    let said = refused_by(&["--adapter-from", "16"]);
    assert!(said.contains("there is no block 16; the encoder has 16, counted from 0"), "{said}");
    // Another encoder under the adapters.
    place.write_efficientnet(4);
    let said = refused(&place.train(&place.path("wrong"), &[&on[..], &["--start", &first]].concat()));
    assert!(said.contains(&format!("its adapters were trained in the image encoder {base}")), "{said}");
}

/// The ablation of the matching may start from a checkpoint of the other form: what it does not read is left out, what it lacks starts
/// afresh, and both are said.
#[test]
fn a_run_starts_from_a_checkpoint_of_the_other_matching() {
    let place = Place::new();
    place.write_captions(&[]);
    let on = ["--features", "on-the-fly"];
    let (heads, global, again) = (place.path("heads"), place.path("global"), place.path("again"));
    done(&place.train(&heads, &on));
    let last = |run: &str| format!("{run}/final.safetensors");
    let from = |start: &str, form: &'static str| {
        vec!["--start".to_owned(), start.to_owned(), "--matching".into(), form.into()]
    };
    let train = |out: &str, from: &[String]| {
        let all = [&on[..], &from.iter().map(String::as_str).collect::<Vec<_>>()].concat();
        done(&place.train(out, &all))
    };
    let said = train(&global, &from(&last(&heads), "global"));
    assert!(said.contains("its token and channel mixing are left out"), "{said}");
    let mixers = |run: &str| {
        let model = checkpoint::load(Path::new(&last(run))).unwrap().model;
        model.keys().filter(|name| name.contains("_mixing.")).count()
    };
    assert_eq!([mixers(&heads), mixers(&global)], [2, 0]);
    let said = train(&again, &from(&last(&global), "heads"));
    assert!(said.contains("it has no token and channel mixing; they start from the seed"), "{said}");
    assert_eq!(mixers(&again), 2);
}

/// Rows of several heads along the principal axes of a gallery: `evaluate` measures it, `export` writes it.
#[test]
fn a_bundle_of_several_heads_is_narrowed() {
    let place = Place::new();
    place.write_captions(&[]);
    let run_folder = place.path("run");
    done(&place.train(&run_folder, &["--features", "on-the-fly"]));
    let checkpoint = format!("{run_folder}/final.safetensors");
    run(&place.with(&["features", place.data(), "--checkpoint", &checkpoint]));
    let evaluate = ["evaluate", place.data(), "--split", "val", "--checkpoint", &checkpoint];
    run(&place.with(&[&evaluate[..], &["--projection", "6"]].concat()));
    let said = refused(&place.with(&[&evaluate[..], &["--projection", "24"]].concat()));
    assert!(said.contains("--projection 24: the model has 24 dimensions"), "{said}");
    let bundle = place.path("narrow");
    let export = ["export", &checkpoint, "--dataset", place.data(), "--out", &bundle];
    run(&place.with(&[&export[..], &["--projection", "6"]].concat()));
    let manifest = std::fs::read_to_string(Path::new(&bundle).join("bundle.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!((&manifest["config"]["projection"], &manifest["config"]["method"]["axes"]), (&6.into(), &6.into()));
    run(&["query", "--bundle", &bundle, "--text", "a red square"]);
    let image = place.data.join("images/red-square.png");
    let answer = run(&["query", "--bundle", &bundle, "--image", image.to_str().unwrap(), "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert!(answer.to_string().contains("red-square"), "{answer}");
    run(&place.with(&["evaluate", place.data(), "--split", "val", "--bundle", &bundle]));
}
