//! What is handed back comes in again the same, bit for bit, in every layout.

use super::{Form, Options, SHARD, publish};
use crate::import::blip2::plan;
use crate::import::source::Source;
use crate::import::tests::{config, golden};
use crate::import::{encoder_path, float_storage};
use crate::tensor_file::{self, Planned};
use crate::train::checkpoint::{self, Header};
use crate::train::settings::Settings;
use half::{bf16, f16};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_model::number::NumberFormat;
use thisbut_model::weights::Tensors;

/// Imports `files` into `folder`; the checkpoint's path.
fn import(files: &[PathBuf], folder: &Path, precision: NumberFormat) -> PathBuf {
    let mut source = Source::open(files).unwrap();
    let plan = plan(&source, &config()).unwrap();
    plan.check_whole("here").unwrap();
    let out = folder.join("start.safetensors");
    plan.write_encoder(&mut source, &config(), precision, &encoder_path(&config(), folder), &mut |_, _| ()).unwrap();
    plan.write_checkpoint(&mut source, &config(), &out).unwrap();
    out
}

fn tensors(folder: &Path) -> (Tensors, Tensors) {
    let encoder = crate::import::read(&encoder_path(&config(), folder)).unwrap();
    (encoder, checkpoint::load(&folder.join("start.safetensors")).unwrap().model)
}

fn bits(tensors: &Tensors) -> BTreeMap<&str, (&[usize], Vec<u32>)> {
    tensors
        .iter()
        .map(|(name, (dims, values))| (name.as_str(), (dims.as_slice(), values.iter().map(|v| v.to_bits()).collect())))
        .collect()
}

/// A model of numbers that use every bit: an encoder at `precision`, the rest f32.
fn scramble(folder: &Path, precision: NumberFormat) {
    let (encoder, mut model) = tensors(folder);
    let mut random = 5u64;
    let mut draw = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = f32::from_bits((random >> 32) as u32);
        // From the whole range, negative zero and subnormal numbers too; infinities are not parameters.
        if value.is_finite() { value } else { -0.0 }
    };
    let mut draw_at = |precision| match precision {
        NumberFormat::F32 => draw(),
        NumberFormat::F16 => f16::from_bits((draw().to_bits() >> 16) as u16 & 0xbfff).to_f32(),
        NumberFormat::Bf16 => bf16::from_bits((draw().to_bits() >> 16) as u16).to_f32(),
        other => panic!("{other}"),
    };
    for (_, values) in model.values_mut() {
        values.fill_with(|| draw_at(NumberFormat::F32));
    }
    let header = Header::new(Settings::sprc(), config(), String::new());
    checkpoint::save(&folder.join("start.safetensors"), &header, &model, &Tensors::new()).unwrap();
    let planned: Vec<Planned> =
        encoder.iter().map(|(name, (dims, _))| Planned { name: name.clone(), dims: dims.clone(), precision }).collect();
    let mut read = |at: usize| {
        let count = planned[at].dims.iter().product();
        Ok(std::iter::repeat_with(|| draw_at(precision)).take(count).collect())
    };
    let path = encoder_path(&config(), folder);
    tensor_file::write(&path, &planned, &BTreeMap::new(), &mut read, &mut |_, _| ()).unwrap();
}

fn options(form: Form) -> Options {
    Options { form, class: "Blip2QformerCirAlignPrompt".into(), precision: None, encoder: true, shard: SHARD }
}

#[test]
fn every_layout_comes_back_bit_for_bit() {
    for precision in [NumberFormat::F32, NumberFormat::F16, NumberFormat::Bf16] {
        let folder = tempfile::tempdir().unwrap();
        let start = import(&[golden("sprc.pt")], folder.path(), precision);
        scramble(folder.path(), precision);
        let (encoder, model) = tensors(folder.path());
        for (form, name, shard) in [
            (Form::Lavis, "model.pth", SHARD),
            (Form::Sprc, "model.pt", SHARD),
            (Form::Hf, "whole", SHARD),
            (Form::Hf, "shards", 3000),
        ] {
            let out = folder.path().join(name);
            let mut told = (0, 0);
            let options = Options { shard, ..options(form) };
            let files = publish(&start, folder.path(), &out, &options, &mut |done, all| told = (done, all)).unwrap();
            assert!(told.0 == told.1 && told.0 > 0 && files.iter().all(|f| f.is_file()), "{files:?}");
            let again = tempfile::tempdir().unwrap();
            import(std::slice::from_ref(&out), again.path(), precision);
            let found = tensors(again.path());
            assert_eq!(bits(&found.0), bits(&encoder), "{name}");
            assert_eq!(bits(&found.1), bits(&model), "{name}");
            let kinds = Source::open(&[out]).unwrap();
            let matrices = kinds.entries().iter().filter(|(key, _)| key.contains("mlp.fc1.weight"));
            assert!(matrices.map(|(_, entry)| entry.kind.kept_as()).all(|found| found == precision));
        }
        let shards = std::fs::read_dir(folder.path().join("shards")).unwrap().flatten();
        let sizes: Vec<u64> = shards
            .filter(|e| e.file_name().to_string_lossy().starts_with("model-0"))
            .map(|e| e.metadata().unwrap().len())
            .collect();
        assert!(sizes.len() > 3, "{sizes:?}");
        assert!(std::fs::read_dir(folder.path()).unwrap().flatten().count() == 6, "nothing unfinished is left");
    }
}

#[test]
fn a_folder_holds_the_newest_form_alone() {
    let folder = tempfile::tempdir().unwrap();
    let start = import(&[golden("sprc.pt")], folder.path(), NumberFormat::F16);
    let out = folder.path().join("hf");
    let names = || -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&out)
            .unwrap()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("model-0"))
            .collect();
        names.sort();
        names
    };
    let write = |shard| publish(&start, folder.path(), &out, &Options { shard, ..options(Form::Hf) }, &mut |_, _| ());
    write(3000).unwrap();
    assert_eq!(names(), ["config.json", "model.safetensors.index.json", "thisbut.safetensors"]);
    write(SHARD).unwrap();
    assert_eq!(names(), ["config.json", "model.safetensors", "thisbut.safetensors"]);
}

#[test]
fn a_file_holds_floats_alone() {
    let planned = |precision| Planned { name: "w".into(), dims: vec![1], precision };
    for (precision, bytes) in [(NumberFormat::F32, 4), (NumberFormat::F16, 2), (NumberFormat::Bf16, 2)] {
        assert_eq!(tensor_file::encoded(&planned(precision), vec![1.0]).unwrap().len(), bytes);
        assert!(tensor_file::FORMATS.check("w", precision).is_ok() && float_storage(precision).is_some());
    }
    for other in [NumberFormat::F64, NumberFormat::Int8, NumberFormat::Q8, NumberFormat::Q4] {
        let message = tensor_file::encoded(&planned(other), vec![1.0]).unwrap_err().to_string();
        assert!(message.starts_with(&format!("w: the number format {other} isn't taken here; ")), "{message}");
    }
}

#[test]
fn what_has_no_place_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let start = import(&[golden("sprc.pt")], folder.path(), NumberFormat::F16);
    let out = folder.path().join("out.pth");
    let refused = |checkpoint: &Path, weights: &Path, options: &Options, words: &str| {
        let problem = publish(checkpoint, weights, &out, options, &mut |_, _| ()).unwrap_err().to_string();
        assert!(problem.contains(words) && !problem.contains('\n'), "{problem}");
        assert!(!out.exists());
        let left = std::fs::read_dir(folder.path()).unwrap().flatten();
        assert!(!left.into_iter().any(|e| e.file_name().to_string_lossy().starts_with('.')));
    };
    let empty = tempfile::tempdir().unwrap();
    refused(&start, empty.path(), &options(Form::Lavis), "thisbut import");
    refused(&empty.path().join("gone"), folder.path(), &options(Form::Lavis), "gone");
    refused(
        &encoder_path(&config(), folder.path()),
        folder.path(),
        &options(Form::Lavis),
        "not a checkpoint of thisbut",
    );
    // Values beyond f16 are found while the file is half written.
    scramble(folder.path(), NumberFormat::Bf16);
    let narrow = Options { precision: Some(NumberFormat::F16), ..options(Form::Sprc) };
    refused(&start, folder.path(), &narrow, "more than f16 can");
    let codes = Options { precision: Some(NumberFormat::Q8), ..options(Form::Sprc) };
    refused(&start, folder.path(), &codes, "q8 isn't taken here; choose f32, f16 or bf16");
    let codes = Options { form: Form::Hf, ..codes };
    refused(&start, folder.path(), &codes, "q8 isn't taken here; choose f32, f16 or bf16");
    let alone = Options { encoder: false, ..options(Form::Lavis) };
    publish(&start, empty.path(), &out, &alone, &mut |_, _| ()).unwrap();
    let source = Source::open(std::slice::from_ref(&out)).unwrap();
    assert!(source.entries().keys().all(|key| !key.starts_with("visual_encoder")) && source.entries().len() > 50);
}
