//! A teacher on the command line: its vectors are read, its loss is named, and what does not fit is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;
use thisbut_trainer::error::Result;
use thisbut_trainer::features::{Job, Store, build};
use thisbut_trainer::teacher::{WIDTH, fingerprint, vectors};

/// The files that tell one teacher from another; only their bytes count here.
const FILES: [&str; 3] = ["efficientnet-lite0-57934424.pth", "minilm.safetensors", "imagenet-names.json"];

/// Writes vectors of the pictures `names` of the data set: those of a colour are alike.
fn write_vectors(data: &Path, weights: &Path, names: &[String]) -> PathBuf {
    let images: Vec<(String, PathBuf)> =
        names.iter().map(|name| (name.clone(), data.join(format!("images/{name}.png")))).collect();
    let config = RetrievalConfig::preset("tiny").unwrap();
    let job = Job {
        images: &images,
        preprocess: &config.preprocess,
        shape: (1, WIDTH),
        store: Store::try_from(NumberFormat::F16).unwrap(),
        fingerprint: fingerprint(weights).unwrap(),
        computing: String::new(),
        sizes: true,
    };
    // Of the picture's middle, the colour.
    let encode = |pixels: Vec<f32>, count: usize| -> Result<Vec<f32>> {
        let (side, each) = (config.preprocess.size, pixels.len() / count);
        let middle = side * side / 2 + side / 2;
        let vector = |image: &[f32]| {
            let colour = [0, 1, 2].map(|c| image[c * side * side + middle]);
            let length = colour.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-3);
            colour.into_iter().map(move |x| x / length).chain(vec![0.0; WIDTH - 3]).collect::<Vec<_>>()
        };
        Ok(pixels.chunks(each).flat_map(vector).collect())
    };
    let out = data.join(vectors::FILE);
    build(&out, &job, &encode, &mut |_, _| (), &mut |_| ()).unwrap();
    out
}

fn metrics(run: &Path) -> String {
    std::fs::read_to_string(run.join("metrics.jsonl")).unwrap()
}

#[test]
fn a_run_learns_from_a_teacher_and_refuses_what_does_not_fit() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let out = root.path().join("run");
    let [data_place, weights_place, out_place] = [&data, &weights, &out].map(|path| path.to_str().unwrap().to_owned());
    run(&["features", &data_place, "--preset", "tiny", "--weights", &weights_place]);
    let few = ["--preset", "tiny", "--batch", "16", "--steps", "4", "--warmup", "0", "--validate-queries", "4"];
    let finetune = |more: &[&str]| {
        let own = ["finetune", &data_place, "--weights", &weights_place, "--out", &out_place];
        thisbut().args([&own[..], &few, more].concat()).output().unwrap()
    };
    let refused = |more: &[&str]| {
        let output = finetune(more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!out.exists(), "nothing is written");
        said
    };
    let taught = ["--teacher-weight", "0.5", "--teacher-temperature", "0.2"];
    // A dry run says what is missing; the run needs it.
    let dry = finetune(&[&taught[..], &["--dry-run"]].concat());
    let (said, noted) = (String::from_utf8_lossy(&dry.stdout), String::from_utf8_lossy(&dry.stderr));
    assert!(dry.status.success() && said.contains("teacher: a loss of weight 0.5 at temperature 0.2"), "{said}{noted}");
    assert!(noted.contains("not there yet, and the run needs it") && noted.contains("teacher.features"), "{noted}");
    let said = refused(&taught);
    assert!(said.contains("the teacher's file is not there; run `thisbut fetch small`"), "{said}");
    FILES.iter().for_each(|file| std::fs::write(weights.join(file), file).unwrap());
    let said = refused(&taught);
    assert!(said.contains("teacher.features: the teacher's vectors are not there; run `thisbut features"), "{said}");

    let names: Vec<String> = std::fs::read_dir(data.join("images"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    write_vectors(&data, &weights, &names[1..]);
    let said = refused(&taught);
    assert!(said.contains("has no vector of 1 of the 24 images") && said.contains(&names[0]), "{said}");
    assert!(refused(&[&taught[..], &["--dry-run"]].concat()).contains("has no vector of 1"));
    let file = write_vectors(&data, &weights, &names);
    let said = refused(&["--teacher-features", file.to_str().unwrap()]);
    assert!(said.contains("no loss reads a teacher's vectors; give --teacher-weight"), "{said}");
    let cache = data.join("tiny.features");
    let said = refused(&[&taught[..], &["--teacher-features", cache.to_str().unwrap()]].concat());
    assert!(said.contains("tiny.features: an image of it has 16 x 48 numbers"), "{said}");
    let bank = ["--bank", "--t2t", "0", "--p2p", "0"];
    assert!(refused(&[&taught[..], &bank].concat()).contains("--teacher-weight: a bank's images stay as they are"));
    std::fs::write(weights.join(FILES[2]), "other names").unwrap();
    assert!(refused(&taught).contains("it was made with another classifier"));
    std::fs::write(weights.join(FILES[2]), FILES[2]).unwrap();

    // The loss by its name, and its part of what is minimised.
    assert!(finetune(&[&taught[..], &["--until", "2"]].concat()).status.success());
    let first = metrics(&out);
    for line in first.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
        let Some(loss) = line["loss"].as_f64() else { continue };
        let of = |name: &str| line[name].as_f64().unwrap();
        assert!(of("teacher") > 0.0);
        assert!((loss - of("q2t") - 0.4 * of("t2t") - 0.5 * of("p2p") - 0.5 * of("teacher")).abs() < 1e-5, "{line}");
    }
    // The run goes on with its own vectors, and not with others.
    let one = image::open(data.join(format!("images/{}.png", names[0]))).unwrap().to_rgb8();
    let kept = std::fs::read(&file).unwrap();
    std::fs::write(data.join(format!("images/{}.png", names[0])), vec![0; 40]).unwrap();
    let said = String::from_utf8_lossy(&finetune(&taught).stderr).into_owned();
    assert!(said.contains("other pictures in the place of 1 of the 24 images"), "{said}");
    image::RgbImage::from_pixel(48, 48, image::Rgb([9, 200, 200]))
        .save(data.join(format!("images/{}.png", names[0])))
        .unwrap();
    write_vectors(&data, &weights, &names);
    let said = String::from_utf8_lossy(&finetune(&taught).stderr).into_owned();
    assert!(said.contains("the teacher's vectors are others"), "{said}");
    one.save(data.join(format!("images/{}.png", names[0]))).unwrap();
    std::fs::write(&file, kept).unwrap();
    assert!(finetune(&taught).status.success() && metrics(&out).starts_with(&first));
}
