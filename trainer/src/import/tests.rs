//! Importing: every published form of one small model, and files that are damaged or hostile.
//! The small model and where it comes from: `tests/golden/checkpoints.py`.

use super::blip2::plan;
use super::plan::{Plan, grouped};
use super::source::Source;
use super::{encoder_path, load_image_encoder, pickle, read};
use crate::device::{DeviceKind, choose};
use crate::train::checkpoint;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;
use thisbut_model::weights::{Tensors, collect};

const CONFIG: &str = include_str!("../../../tests/golden/checkpoints/small.json");

pub(crate) fn config() -> RetrievalConfig {
    RetrievalConfig::parse(CONFIG, "small").unwrap()
}

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/checkpoints").join(name)
}

fn planned(files: &[PathBuf]) -> crate::error::Result<(Source, Plan)> {
    let source = Source::open(files)?;
    let plan = plan(&source, &config())?;
    Ok((source, plan))
}

/// Imports `files` and gives back encoder and model.
fn imported(files: &[PathBuf], precision: NumberFormat) -> (Tensors, Tensors) {
    let (mut source, plan) = planned(files).unwrap();
    plan.check_whole("here").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (encoder, out) = (encoder_path(&config(), folder.path()), folder.path().join("start.safetensors"));
    let mut told = (0, 0);
    plan.write_encoder(&mut source, &config(), precision, &encoder, &mut |done, all| told = (done, all)).unwrap();
    assert!(told.0 == told.1 && told.0 > 0, "{told:?}");
    plan.write_checkpoint(&mut source, &config(), &out).unwrap();
    let device = choose(DeviceKind::Cpu).unwrap();
    let loaded = load_image_encoder(&config(), folder.path(), &device).unwrap();
    let written = read(&encoder).unwrap();
    assert_eq!(collect(&loaded, "").unwrap(), written);
    (written, checkpoint::load(&out).unwrap().model)
}

/// Element `i` of the tensor that LAVIS calls `name`.
fn value(name: &str, i: usize) -> f32 {
    ((7 * i + 13 * name.len()) % 255) as f32 / 64.0 - 127.0 / 64.0
}

#[test]
fn every_published_form_gives_the_same_model() {
    let lavis = [golden("blip2_pretrained.pth"), golden("eva_vit_g.pth")];
    let (encoder, model) = imported(&lavis, NumberFormat::F32);
    for precision in [NumberFormat::F16, NumberFormat::Bf16] {
        assert_eq!(imported(&lavis, precision).0, encoder);
    }
    let (sprc_encoder, mut sprc) = imported(&[golden("sprc.pt")], NumberFormat::F32);
    assert_eq!(sprc_encoder, encoder);
    let name = "prompt_tokens";
    assert_eq!(sprc[name].1, (0..16).map(|i| value(name, i)).collect::<Vec<_>>());
    // BLIP-2 has no prompts: they start afresh, the same each time.
    sprc.insert(name.into(), model[name].clone());
    assert_eq!(sprc, model);
    let (found, mut published) = imported(&[golden("huggingface")], NumberFormat::F32);
    assert_eq!(found, encoder);
    assert_eq!(published["temperature"].1, [0.07]);
    published.insert("temperature".into(), model["temperature"].clone());
    assert_eq!(published, model);

    let name = "visual_encoder.blocks.1.attn.qkv.weight";
    let (dims, values) = &encoder["vit.blocks.1.key.weight"];
    assert_eq!(dims, &[8, 8]);
    // Row 5, column 3 of the second third, turned.
    assert_eq!(values[3 * 8 + 5], value(name, (8 + 5) * 8 + 3));
    let name = "Qformer.bert.embeddings.word_embeddings.weight";
    assert_eq!(model["qformer.word"].1[9], value(name, 9));
    assert_eq!(model["temperature"].1, [value("temp", 0)]);
}

#[test]
fn what_is_used_left_and_missing_is_listed() {
    let (_, plan) = planned(&[golden("blip2_pretrained.pth"), golden("eva_vit_g.pth")]).unwrap();
    assert!(plan.missing.is_empty() && plan.fresh == ["prompt_tokens"]);
    let left = grouped(&plan.left);
    for name in ["Qformer.cls.predictions.decoder.weight", "blocks.*.attn.qkv.weight", "head.weight", "norm.weight"] {
        assert!(left.contains(&name.to_owned()), "{left:?}");
    }
    assert!(grouped(&plan.used).contains(&"blocks.*.norm1.bias (2)".to_owned()));

    let (mut source, plan) = planned(&[golden("blip2_pretrained.pth")]).unwrap();
    let problem = plan.check_whole("here").unwrap_err().to_string();
    assert!(problem.contains("eva_vit_g.pth") && problem.contains("vit."), "{problem}");
    assert!(!plan.has_encoder());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("start.safetensors");
    plan.write_checkpoint(&mut source, &config(), &out).unwrap();
    assert!(checkpoint::load(&out).unwrap().model["qformer.blocks.0.query.norm.gamma"].1[1] != 1.0);

    let (mut source, plan) = planned(&[golden("eva_vit_g.pth")]).unwrap();
    assert!(plan.check_whole("here").unwrap_err().to_string().contains("--partial"));
    plan.write_checkpoint(&mut source, &config(), &out).unwrap();
    let model = checkpoint::load(&out).unwrap().model;
    assert_eq!(model["qformer.norm.gamma"].1, [1.0; 8]);
    let words = &model["qformer.word"].1;
    let spread = (words.iter().map(|v| v * v).sum::<f32>() / words.len() as f32).sqrt();
    assert!((0.015..0.025).contains(&spread), "{spread}");
}

fn refused(files: &[PathBuf], words: &str) {
    let problem = planned(files).map(|_| ()).unwrap_err().to_string();
    assert!(problem.contains(words) && !problem.contains('\n'), "{problem}");
}

#[test]
fn another_architecture_and_a_second_copy_are_refused() {
    refused(&[golden("sprc.pt"), golden("eva_vit_g.pth")], "both make vit.");
    refused(&[golden("sprc.pt"), golden("sprc.pt")], "is also in");
    let source = Source::open(&[golden("sprc.pt")]).unwrap();
    let refused =
        |preset: &str| plan(&source, &RetrievalConfig::preset(preset).unwrap()).map(|_| ()).unwrap_err().to_string();
    assert!(refused("blip2-vit-g").contains("its shape is"));
    assert!(refused("web-s").contains("use blip2-vit-g or blip2-vit-l"));
    let source = Source::open(&[golden("eva_vit_g.pth")]).unwrap();
    let problem = plan(&source, &RetrievalConfig::preset("blip2-vit-l").unwrap()).map(|_| ()).unwrap_err().to_string();
    assert!(problem.contains("choose --preset blip2-vit-g"), "{problem}");
}

/// A PyTorch archive with `pickle` and one storage of `storage` bytes.
fn archive(path: &Path, pickle: &[u8], storage: &[u8]) {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [("a/data.pkl", pickle), ("a/data/0", storage)] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
}

/// The pickle of `{name: tensor}` with one view of a float storage of `count` numbers.
fn state(tensors: &[(&str, i32, &[i32], &[i32])], count: i32) -> Vec<u8> {
    let mut out = b"\x80\x02}(".to_vec();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    };
    let int = |out: &mut Vec<u8>, n: i32| {
        out.push(b'J');
        out.extend(n.to_le_bytes());
    };
    for (name, offset, dims, strides) in tensors {
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, "0");
        text(&mut out, "cpu");
        int(&mut out, count);
        out.extend(b"tQ");
        int(&mut out, *offset);
        for list in [dims, strides] {
            out.push(b'(');
            list.iter().for_each(|n| int(&mut out, *n));
            out.push(b't');
        }
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    out
}

#[test]
fn hostile_pickles_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pt");
    let refused = |pickle: &[u8], words: &str| {
        archive(&path, pickle, &[0; 64]);
        let problem = read(&path).map(|_| ()).unwrap_err().to_string();
        assert!(problem.contains(words) && problem.contains("x.pt") && !problem.contains('\n'), "{problem}");
    };
    archive(&path, &state(&[("temp", 2, &[3], &[1])], 16), &[0; 64]);
    assert_eq!(read(&path).unwrap()["temp"], (vec![3], vec![0.0; 3]));

    refused(b"\x80\x02cos\nsystem\n(X\x02\0\0\0lstR.", "os.system");
    refused(b"\x80\x02c__builtin__\neval\n.", "__builtin__.eval");
    refused(b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.", "posix.system");
    refused(b"\x80\x02(i__main__\nX\n.", "opcode 0x69");
    refused(b"\x80\x02\x81.", "cut short");
    refused(b"\x80\x02ccollections\nOrderedDict\n)\x81.", "builds an object");
    refused(b"\x80\x02cargparse\nNamespace\n)R.", "builds an object");
    refused(b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.", "builds an object");
    refused(b"\x80\x02}", "cut short");
    refused(b"\x80\x02X\xff\xff\xff\xffa.", "cut short");
    refused(b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "cut short");
    refused(b"\x80\x02h\x07.", "recalls value 7");
    refused(b"\x80\x02K\x01.", "does not hold a dict");
    refused(b"\x80\x02}.", "no named tensors");
    refused(b"u", "cut short");
    let endless = [b"\x80\x02".to_vec(), vec![b'N'; 1_100_000], b".".to_vec()].concat();
    refused(&endless, "opcodes");
    refused(&state(&[("temp", 0, &[i32::MAX, i32::MAX, i32::MAX], &[1, 1, 1])], 16), "beyond its storage");
    refused(&state(&[("temp", 0, &[1 << 20, 1 << 20], &[0, 0])], 16), "beyond its storage");
    refused(&state(&[("temp", 15, &[2], &[1])], 16), "beyond its storage");
    refused(&state(&[("temp", -1, &[2], &[1])], 16), "negative");
    refused(&state(&[("temp", 0, &[-2], &[1])], 16), "size");
    refused(&state(&[("temp", 0, &[2], &[1])], i32::MAX), "two different sizes");
    refused(&state(&[("temp", 0, &[2, 2], &[1, 3])], 16), "part of a larger tensor");
    // A transposed matrix, as TensorFlow's conversions leave them, is read in row-major order.
    let numbers: Vec<u8> = (0..16).flat_map(|i| (i as f32).to_le_bytes()).collect();
    archive(&path, &state(&[("temp", 1, &[2, 3], &[1, 2])], 16), &numbers);
    assert_eq!(read(&path).unwrap()["temp"], (vec![2, 3], vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    refused(&state(&[("temp", 0, &[2, 2], &[2])], 16), "different number");
    // Parameters that are partly one another.
    archive(&path, &state(&[("vision_proj.bias", 0, &[4], &[1]), ("text_proj.bias", 2, &[4], &[1])], 16), &[0; 64]);
    let problem = planned(std::slice::from_ref(&path)).map(|_| ()).unwrap_err().to_string();
    assert!(problem.contains("vision_proj.bias and text_proj.bias overlap"), "{problem}");
    let infinite: Vec<u8> = [1.0, f32::INFINITY].iter().flat_map(|v: &f32| v.to_le_bytes()).collect();
    archive(&path, &state(&[("temp", 0, &[2], &[1])], 2), &infinite);
    assert!(read(&path).unwrap_err().to_string().contains("finite"));
    assert!(pickle::read(b"").is_err());
}

#[test]
fn hostile_safetensors_and_indices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let refused = |header: &str, data: usize, words: &str| {
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(&path, [&length[..], header.as_bytes(), &vec![0; data]].concat()).unwrap();
        let problem = read(&path).map(|_| ()).unwrap_err().to_string();
        assert!(problem.contains(words) && !problem.contains('\n'), "{problem}");
    };
    refused(r#"{"temp":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7, "cut short");
    refused(r#"{"temp":{"dtype":"F32","shape":[9223372036854775807,8],"data_offsets":[0,8]}}"#, 8, "damaged");
    let two = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    refused(two, 12, "damaged");
    refused("{", 0, "damaged");
    for bytes in
        [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\xff\xff\xff\x7f\0\0\0\0{}", b"<html>not found</html>"]
    {
        std::fs::write(&path, bytes).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("x.safetensors: not a usable checkpoint"));
    }
    // Whole numbers where parameters belong.
    let header = r#"{"temp":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat()).unwrap();
    let (mut source, plan) = planned(std::slice::from_ref(&path)).unwrap();
    let out = folder.path().join("out.safetensors");
    let problem = plan.write_checkpoint(&mut source, &config(), &out).unwrap_err().to_string();
    assert!(problem.contains("whole numbers") && !out.exists(), "{problem}");

    let index = folder.path().join("model.safetensors.index.json");
    for (text, words) in [
        (r#"{"weight_map":{"a":"../x.safetensors"}}"#, "beside it"),
        (r#"{"weight_map":{"a":"/etc/passwd"}}"#, "beside it"),
        (r#"{"weight_map":{"a":"gone.safetensors"}}"#, "gone.safetensors"),
        (r#"{"weights":{}}"#, "no index"),
    ] {
        std::fs::write(&index, text).unwrap();
        refused_open(&index, words);
    }
    refused_open(folder.path().join("nowhere").as_path(), "nowhere");
}

fn refused_open(path: &Path, words: &str) {
    let problem = Source::open(&[path.to_path_buf()]).map(|_| ()).unwrap_err().to_string();
    assert!(problem.contains(words), "{problem}");
}

/// Cut at every length and flipped at every byte, a file is refused or read, never more.
#[test]
fn damaged_files_do_not_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bin");
    let attempt = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        if let Ok((mut source, plan)) = planned(std::slice::from_ref(&path)) {
            plan.used.iter().for_each(|name| drop(source.read(name)));
        }
    };
    let mut random = 1u64;
    for name in ["sprc.pt", "eva_vit_g.pth", "huggingface/model-00001-of-00002.safetensors"] {
        let whole = std::fs::read(golden(name)).unwrap();
        for length in (0..whole.len()).step_by(whole.len() / 150) {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Source::open(std::slice::from_ref(&path)).is_err(), "{name} cut at {length}");
        }
        for _ in 0..600 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut bytes = whole.clone();
            let at = (random >> 33) as usize % bytes.len();
            bytes[at] ^= 1 << (random & 7);
            attempt(&bytes);
        }
    }
}

/// Pickles made of random opcodes end, soon, in a value or an error.
#[test]
fn random_pickles_end() {
    let opcodes = b".\x80(012NGJKM\x8aXU\x8cCB}])dlt\x85\x86\x87aesuqr\x94hjc\x93QRb\x88\x89\x81";
    let (mut random, mut read) = (7u64, 0);
    for _ in 0..200_000 {
        let mut bytes = Vec::with_capacity(48);
        for _ in 0..48 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let draw = (random >> 33) as usize;
            bytes.push(if draw % 5 < 4 { opcodes[draw / 5 % opcodes.len()] } else { (draw >> 8) as u8 % 4 });
        }
        if let Ok(found) = pickle::read(&bytes) {
            drop(found.state_dict());
            read += 1;
        }
    }
    assert!(read > 100, "only {read} of the random pickles can be read: the test reaches nothing");
}
