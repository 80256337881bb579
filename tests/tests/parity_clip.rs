//! Dual encoders at full depth and small width against transformers' CLIP and BLIP and open_clip, layer by layer; their
//! preprocessing; CLIP's tokenizer. Golden values and where they come from: `tests/golden/clip.py`, `clip_tokenizer.py`.

use burn::tensor::{Device, Int, Tensor, TensorData};
use std::io::Read;
use thisbut_model::RetrievalConfig;
use thisbut_model::image::{PreprocessConfig, Rgba, preprocess};
use thisbut_model::method::{AnyMethod, PseudoWord};
use thisbut_model::nn::basic::normalise;
use thisbut_model::nn::{ImageEncoder, Noise, TextBatch};
use thisbut_model::text::BytePairs;
use thisbut_model::upstream::{DualLayout, dual_outgoing, dual_pieces};
use thisbut_model::weights::{Tensors, load, shapes};
use thisbut_tests::small_qformer::{tensor, values};
use thisbut_tests::upstream::{Golden, Outcome, Table, golden_bytes, golden_json, ids, numbers};

/// Hidden states are of order 1 to 10; upstream's own float32 is off by 2e-6.
const LIMIT: f32 = 1e-5;
const LENGTH: usize = 9;

fn config(image_encoder: &str, text: &str, tower: &str) -> Outcome<RetrievalConfig> {
    let json = format!(
        r#"{{
            "name": "golden",
            "preprocess": {{ "size": 12, "resize": "bicubic", "pad_ratio": null, "pad_fill": [0, 0, 0],
                "background": [255, 255, 255], "mean": [0, 0, 0], "std": [1, 1, 1], "scale_to_unit": true }},
            "image_encoder": {{ "kind": "vit", "patch": 4, "width": 16, "heads": 4, "intermediate": 20, "pooled": 12,
                {image_encoder} }},
            "text": {{ {text} }},
            "projection": 12, "target_tokens": 1,
            "method": {{ "kind": "pseudo-word",
                "text_tower": {{ "width": 16, "heads": 4, "intermediate": 20, {tower} }} }}
        }}"#
    );
    Ok(RetrievalConfig::parse(&json, "the golden configuration")?)
}

/// Encoder and method with the golden weights.
fn parts(
    golden: &Golden,
    config: &RetrievalConfig,
    layout: DualLayout,
    device: &Device,
) -> Outcome<(ImageEncoder, PseudoWord)> {
    let encoder = ImageEncoder::new(config, device);
    let method = PseudoWord::new(config, device)?;
    let mut wanted = shapes(&encoder, "");
    wanted.extend(shapes(&method, ""));
    let (made, beside) = dual_outgoing(&wanted, 4, layout)?;
    let mut found = Tensors::new();
    let mut used = 0;
    for made in &made {
        let theirs = golden.get(&made.key)?;
        used += 1;
        for piece in dual_pieces(made) {
            let dims = &wanted[&piece.name];
            found.insert(piece.name, (dims.clone(), piece.rule.apply(&made.key, &theirs.shape, &theirs.data, dims)?));
        }
    }
    assert_eq!(used, golden.weights().count(), "every golden tensor has a place");
    for made in beside {
        // Hugging Face's BLIP has no temperature.
        assert_eq!(made.key, "logit_scale");
        found.insert(made.key, (vec![1], vec![0.0]));
    }
    let encoder = load(encoder, "", &mut found)?;
    let method = load(method, "", &mut found)?;
    assert!(found.is_empty(), "{:?} not used", found.keys());
    Ok((encoder, method))
}

/// The golden texts, with the places of their end tokens among all positions.
fn texts(golden: &Golden, device: &Device) -> Outcome<(TextBatch, Tensor<1, Int>)> {
    let rows = golden.get("input.ids")?.data.chunks(LENGTH);
    let rows: Vec<_> = rows
        .map(|row| {
            (row.iter().map(|id| *id as u32).collect::<Vec<_>>(), row.iter().map(|id| *id != 0.0).collect::<Vec<_>>())
        })
        .collect();
    let last = |mask: &[bool]| mask.iter().filter(|real| **real).count() - 1;
    let ends: Vec<i32> = rows.iter().enumerate().map(|(at, (_, mask))| (at * LENGTH + last(mask)) as i32).collect();
    let ends = Tensor::from_data(TensorData::new(ends, [rows.len()]), device);
    Ok((TextBatch::padded(&rows, LENGTH, device), ends))
}

fn compare(table: &mut Table, golden: &Golden, name: &str, got: &[f32]) -> Outcome {
    table.relative(name, got, &golden.get(&format!("out.{name}"))?.data, LIMIT);
    Ok(())
}

/// Compares both towers, layer by layer, their projections and the logits; `scaled`: whether upstream's logits are scaled.
fn dual(file: &str, config: &RetrievalConfig, layout: DualLayout, scaled: bool) -> Outcome {
    let (device, golden) = (Device::flex(), Golden::read(file)?);
    let (encoder, method) = parts(&golden, config, layout, &device)?;
    let mut table = Table::default();
    let pixels = tensor::<4>(golden.get("input.pixels")?, &device);
    let mut trace = Vec::new();
    encoder.vit.as_ref().ok_or("no transformer")?.forward(pixels.clone(), Some(&mut trace));
    for (k, state) in trace.into_iter().enumerate() {
        compare(&mut table, &golden, &format!("vision.{k}"), &values(state)?)?;
    }
    let image = encoder.forward(pixels);
    assert_eq!(image.dims(), [2, 1, 12]);
    compare(&mut table, &golden, "image", &values(image.clone())?)?;

    let (batch, ends) = texts(&golden, &device)?;
    let words = method.text.words(batch.ids.clone());
    let mut trace = Vec::new();
    let normed = method.text.forward_tokens(words.clone(), batch.bias.clone(), &Noise::off(), Some(&mut trace));
    // Padding's own states are nobody's: upstream's mask and this one's hide it from the rest alone.
    let real = |x: &[f32]| -> Vec<f32> {
        let kept = |row: usize| [7, 4].get(row / LENGTH).is_some_and(|count| row % LENGTH < *count);
        x.chunks(16).enumerate().filter(|(row, _)| kept(*row)).flat_map(|(_, x)| x.to_vec()).collect()
    };
    let states = |table: &mut Table, name: String, state: Tensor<3>| -> Outcome {
        let expected = &golden.get(&format!("out.{name}"))?.data;
        table.relative(name, &real(&values(state)?), &real(expected), LIMIT);
        Ok(())
    };
    for (k, state) in trace.into_iter().enumerate() {
        states(&mut table, format!("text.{k}"), state)?;
    }
    states(&mut table, "text.normed".into(), normed)?;
    let text = method.text.forward(words, batch.bias, ends, &Noise::off());
    compare(&mut table, &golden, "words", &values(text.clone())?)?;

    let scale = if scaled { method.logit_scale.val().exp().into_scalar::<f32>() } else { 1.0 };
    let logits = normalise(text).matmul(normalise(image.reshape([2, 12])).transpose()) * scale;
    compare(&mut table, &golden, "logits", &values(logits)?)?;
    table.finish(file)
}

#[test]
fn clip_matches_transformers_layer_by_layer() -> Outcome {
    let config = config(
        r#""family": "clip", "layers": 24"#,
        r#""kind": "clip-bpe", "vocabulary": 515, "length": 9"#,
        r#""kind": "clip", "layers": 12, "positions": 9"#,
    )?;
    dual("clip.safetensors", &small_vocabulary(config), DualLayout::HuggingFace, true)
}

#[test]
fn openclip_matches_open_clip_layer_by_layer() -> Outcome {
    let config = config(
        r#""family": "clip", "layers": 32, "activation": "gelu""#,
        r#""kind": "clip-bpe", "vocabulary": 515, "length": 9"#,
        r#""kind": "clip", "layers": 24, "positions": 9, "activation": "gelu""#,
    )?;
    dual("openclip.safetensors", &small_vocabulary(config), DualLayout::OpenAi, true)
}

#[test]
fn blip_matches_transformers_layer_by_layer() -> Outcome {
    let config = config(
        r#""family": "blip", "layers": 12"#,
        r#""kind": "word-piece", "vocabulary": 48, "length": 9"#,
        r#""kind": "bert", "layers": 12, "positions": 16"#,
    )?;
    dual("blip.safetensors", &config, DualLayout::BlipHuggingFace, false)
}

/// The golden towers have 48 words, fewer than bytes.
fn small_vocabulary(mut config: RetrievalConfig) -> RetrievalConfig {
    config.text = thisbut_model::config::TextConfig::WordPiece { vocabulary: 48, length: LENGTH };
    config
}

/// The same picture as `tests/golden/clip.py` makes.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| [x * 255 / width, y * 255 / height, (x * y * 7 / 16) % 256, 255].map(|c| c as u8);
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect()
}

#[test]
fn preprocessing_is_that_of_the_checkpoints_own_files() -> Outcome {
    let golden = Golden::read("clip_images.safetensors")?;
    let base = |fit: &str| {
        format!(
            r#"{{ "size": 24, "resize": "bicubic", {fit} "pad_ratio": null, "pad_fill": [0, 0, 0],
            "background": [255, 255, 255], "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711], "scale_to_unit": true }}"#
        )
    };
    let mut table = Table::default();
    for (width, height) in [(61, 45), (40, 57)] {
        let data = picture(width, height);
        let image = Rgba::new(width, height, &data)?;
        for (name, fit) in [
            ("clip", r#""fit": "crop-down","#),
            ("larger", r#""fit": "crop-down", "short_side": 30,"#),
            ("blip", r#""fit": "stretch","#),
            ("own", ""),
        ] {
            let config: PreprocessConfig = serde_json::from_str(&base(fit))?;
            let got = preprocess(&image, &config)?;
            table.absolute(
                format!("{name}, {width}×{height}"),
                &got,
                &golden.get(&format!("out.{name}.{width}"))?.data,
                1e-6,
            );
        }
    }
    table.finish("preprocessing")
}

#[test]
fn the_tokenizer_gives_open_clips_ids() -> Outcome {
    let mut merges = String::new();
    flate2::read::GzDecoder::new(&golden_bytes("clip-merges.txt.gz")?[..]).read_to_string(&mut merges)?;
    let words = BytePairs::from_merges(&merges, 49_408)?;
    assert_eq!((words.begin_id(), words.end_id()), (49_406, 49_407));
    let golden = golden_json("clip_tokenizer.json")?;
    let cases = golden.as_array().ok_or("no list")?;
    assert!(cases.len() >= 2_000, "{}", cases.len());
    let (mut wrong, mut cut, mut differ) = (Vec::new(), 0, 0);
    for case in cases {
        let text = case["text"].as_str().ok_or("no text")?;
        let expected = ids(&case["ids"]);
        let tokens = words.encode(&words.clean(text), 77);
        if tokens.ids[..tokens.count()] != expected {
            wrong.push(format!("{text:?}: {:?}, not {expected:?}", &tokens.ids[..tokens.count()]));
        }
        cut += usize::from(expected.len() == 77);
        differ += usize::from(case["transformers"].is_array());
        assert!(numbers(&case["ids"]).len() <= 77);
    }
    println!(
        "{} texts, {cut} cut at 77 tokens; transformers' tokenizer differs from OpenAI's on {differ}",
        cases.len()
    );
    assert!(cut >= 10 && differ > 0);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong[..wrong.len().min(10)].join("\n"));
    Ok(())
}

/// The methods' enumeration holds the family: what a bundle names is what was compared.
#[test]
fn the_presets_have_the_published_shapes() -> Outcome {
    let golden = golden_json("clip_shapes.json")?;
    let device = Device::flex();
    for (name, table) in golden.as_object().ok_or("no presets")? {
        let config = RetrievalConfig::preset(name)?;
        let thisbut_model::config::ImageEncoderConfig::Vit(vit) = &config.image_encoder else {
            return Err(format!("{name} has no transformer").into());
        };
        let mut ours = AnyMethod::new(&config, &device)?.shapes("");
        ours.extend(shapes(&ImageEncoder::new(&config, &device), ""));
        let theirs = table["shapes"].as_object().ok_or("no shapes")?;
        let layout = DualLayout::of(theirs.keys().map(String::as_str)).ok_or("no layout")?;
        let (made, beside) = dual_outgoing(&ours, vit.patch, layout)?;
        assert!(beside.iter().all(|made| made.key == "logit_scale" && layout.is_blip()), "{name}");
        for made in &made {
            let dims: Vec<usize> = ids(&theirs[&made.key]).into_iter().map(|x| x as usize).collect();
            assert_eq!(made.dims, dims, "{name}: {}", made.key);
        }
        assert_eq!(made.len(), theirs.len(), "{name}: every published tensor has a place");
        println!("{name}: {} tensors of {}", made.len(), layout.name());
    }
    Ok(())
}
