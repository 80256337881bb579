//! The Q-Former against upstream's (SPRC / MTST_PTHA): four call patterns, layer by layer, with padding; read-outs,
//! similarities, losses and gradients. Golden values and where they come from: `tests/golden/qformer.py`.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use thisbut::train::losses;
use thisbut_model::CirConfig;
use thisbut_model::cir::{Cir, similarity};
use thisbut_model::config::{ReadOut, SecondPassMask};
use thisbut_model::nn::{ImageKeys, Noise, TextBatch};
use thisbut_model::weights::{self, Tensors};
use thisbut_tests::upstream::{Golden, Outcome, Table, Values, golden_json};

/// Hidden states are of order 1 after each layer norm; upstream's own float32 is off by up to 3e-6.
const LIMIT: f32 = 1e-5;

fn config(read_out: &str, mask: &str) -> Outcome<CirConfig> {
    // The image encoder is not part of this: only its width counts.
    let text = format!(
        r#"{{
            "name": "golden",
            "preprocess": {{ "size": 32, "resize": "bicubic", "pad_ratio": 1.25, "pad_fill": [255, 255, 255],
                "background": [255, 255, 255], "mean": [127, 127, 127], "std": [128, 128, 128], "scale_to_unit": false }},
            "image_encoder": {{ "kind": "patch", "patch": 8, "width": 24 }},
            "qformer": {{ "layers": 4, "width": 32, "heads": 4, "intermediate": 48, "query_tokens": 5,
                "cross_attention_every": 2, "vocabulary": 60, "positions": 64, "dropout": 0.0 }},
            "projection": 16, "text_length": 8, "read_out": "{read_out}", "second_pass_mask": "{mask}"
        }}"#
    );
    Ok(CirConfig::parse(&text, "the golden configuration")?)
}

struct Batch {
    reference: ImageKeys,
    target: ImageKeys,
    text: TextBatch,
    reverse: TextBatch,
}

fn tensor<const D: usize>(values: &Values, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.data.clone(), values.shape.clone()), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Outcome<Vec<f32>> {
    Ok(tensor.into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?)
}

fn text(golden: &Golden, suffix: &str, device: &Device) -> Outcome<TextBatch> {
    let (ids, mask) = (golden.get(&format!("input.ids{suffix}"))?, golden.get(&format!("input.mask{suffix}"))?);
    let length = ids.shape[1];
    let rows = ids.data.chunks(length).zip(mask.data.chunks(length));
    let rows: Vec<_> =
        rows.map(|(i, m)| (i.iter().map(|x| *x as u32).collect(), m.iter().map(|x| *x > 0.5).collect())).collect();
    Ok(TextBatch::padded(&rows, length, device))
}

/// The model with every golden weight in it, none left over. Image tokens skip `ln_vision`, which upstream applies to the
/// vision encoder's output before the Q-Former.
fn model(golden: &Golden, config: &CirConfig, device: &Device) -> Outcome<Cir> {
    let source = golden.weights().map(|(name, v)| (name.to_owned(), (v.shape.clone(), v.data.clone()))).collect();
    let (mut tensors, unused) = weights::from_upstream(source);
    assert!(unused.is_empty(), "keys without a place: {unused:?}");
    let width = config.image_width();
    tensors.insert("image_norm.gamma".into(), (vec![width], vec![1.0; width]));
    tensors.insert("image_norm.beta".into(), (vec![width], vec![0.0; width]));
    let model = weights::load(Cir::new(config, device), "", &mut tensors)?;
    assert!(tensors.is_empty(), "tensors that found no parameter: {:?}", tensors.keys());
    Ok(model)
}

fn batch(golden: &Golden, model: &Cir, device: &Device) -> Outcome<Batch> {
    Ok(Batch {
        reference: model.qformer.image_keys(tensor(golden.get("input.image_ref")?, device)),
        target: model.qformer.image_keys(tensor(golden.get("input.image_tgt")?, device)),
        text: text(golden, "", device)?,
        reverse: text(golden, "_rev", device)?,
    })
}

#[test]
fn four_call_patterns_match_layer_by_layer() -> Outcome {
    let (device, golden, off) = (Device::flex(), Golden::read("qformer.safetensors")?, Noise::off());
    let model = model(&golden, &config("cls", "padding")?, &device)?;
    let batch = batch(&golden, &model, &device)?;
    let [n, d] = model.query_tokens.val().dims();
    let b = batch.text.ids.dims()[0];
    let queries = model.query_tokens.val().unsqueeze::<3>().expand([b, n, d]);
    let prompt: Tensor<3> = tensor::<3>(golden.get("out.fusion.4")?, &device).slice([0..b, 0..n]);

    let mut patterns: Vec<(&str, Vec<Tensor<3>>)> = Vec::new();
    let mut add = |name, run: &dyn Fn(&mut Vec<Tensor<3>>) -> Tensor<3>| {
        let mut trace = Vec::new();
        run(&mut trace);
        patterns.push((name, trace));
    };
    let q = &model.qformer;
    add("fusion", &|t| q.fuse(queries.clone(), &batch.text, &batch.reference, &off, Some(t)));
    add("image", &|t| q.look(queries.clone(), &batch.target, &off, Some(t)));
    add("text_real", &|t| q.prompt(prompt.clone(), &batch.text, batch.text.bias.clone(), &off, Some(t)));
    add("text_ones", &|t| q.prompt(prompt.clone(), &batch.text, batch.text.bias.zeros_like(), &off, Some(t)));
    add("text_only", &|t| q.read(Some(model.prompt_tokens.val()), &batch.text, &off, Some(t)));

    let mut table = Table::default();
    for (name, trace) in patterns {
        assert_eq!(trace.len(), 5, "{name}: embeddings and four layers");
        for (k, hidden) in trace.into_iter().enumerate() {
            let expected = golden.get(&format!("out.{name}.{k}"))?;
            assert_eq!(hidden.dims().to_vec(), expected.shape, "{name}.{k}");
            let what = if k == 0 { "embeddings".to_owned() } else { format!("layer {}", k - 1) };
            table.absolute(format!("{name}, {what}"), &values(hidden)?, &expected.data, LIMIT);
        }
    }
    let reverse = q.fuse(queries, &batch.reverse, &batch.target, &off, None);
    table.absolute(
        "fusion of target and reverse text",
        &values(reverse)?,
        &golden.get("out.fusion_rev.4")?.data,
        LIMIT,
    );
    table.finish("Q-Former")
}

#[test]
fn read_outs_and_similarities_match() -> Outcome {
    let (device, golden, off) = (Device::flex(), Golden::read("qformer.safetensors")?, Noise::off());
    let mut table = Table::default();
    for (read, read_name) in [("cls", "cls"), ("mean-prompt-cls", "mean")] {
        for (mask, mask_name) in [("padding", "real"), ("all-ones", "ones")] {
            let config = config(read, mask)?;
            assert_eq!(config.read_out == ReadOut::Cls, read_name == "cls");
            assert_eq!(config.second_pass_mask == SecondPassMask::Padding, mask_name == "real");
            let model = model(&golden, &config, &device)?;
            let batch = batch(&golden, &model, &device)?;
            let prompt = model.fuse(&batch.reference, &batch.text, &off);
            let query = model.compose(prompt, &batch.text, &off);
            let target = model.target(&batch.target, query.dims()[0], &off);
            let name = format!("f_q.{read_name}.{mask_name}");
            table.absolute(&name, &values(query.clone())?, &golden.get(&format!("out.{name}"))?.data, LIMIT);
            table.absolute("target", &values(target.clone())?, &golden.get("out.target")?.data, LIMIT);
            let expected = &golden.get(&format!("out.sim.{name}"))?.data;
            table.absolute(format!("sim.{name}"), &values(similarity(query, target.clone()))?, expected, LIMIT);
            if name == "f_q.cls.real" {
                let text = model.text_only(&batch.text, &off);
                table.absolute("f_m", &values(text.clone())?, &golden.get("out.f_m")?.data, LIMIT);
                let expected = &golden.get("out.sim.f_m")?.data;
                table.absolute("sim.f_m", &values(similarity(text, target))?, expected, LIMIT);
            }
        }
    }
    table.finish("Read-outs")
}

/// A batch of its own gives the same answers as a row of a padded batch: padding must not leak.
#[test]
fn padding_changes_nothing() -> Outcome {
    let (device, golden, off) = (Device::flex(), Golden::read("qformer.safetensors")?, Noise::off());
    let model = model(&golden, &config("cls", "padding")?, &device)?;
    let (ids, mask) = (golden.get("input.ids")?, golden.get("input.mask")?);
    let images: Tensor<3> = tensor(golden.get("input.image_ref")?, &device);
    let mut table = Table::default();
    for row in 0..ids.shape[0] {
        let at = row * ids.shape[1]..(row + 1) * ids.shape[1];
        let one = (
            ids.data[at.clone()].iter().map(|x| *x as u32).collect::<Vec<_>>(),
            mask.data[at].iter().map(|x| *x > 0.5).collect::<Vec<_>>(),
        );
        let text = TextBatch::new(&[one], &device);
        let keys = model.qformer.image_keys(images.clone().slice([row..row + 1]));
        let query = model.compose(model.fuse(&keys, &text, &off), &text, &off);
        let expected = &golden.get("out.f_q.cls.real")?.data[row * 16..(row + 1) * 16];
        table.absolute(
            format!("f_q of row {row} alone, {} tokens", text.ids.dims()[1]),
            &values(query)?,
            expected,
            LIMIT,
        );
        let read = model.text_only(&text, &off);
        let expected = &golden.get("out.f_m")?.data[row * 16..(row + 1) * 16];
        table.absolute(format!("f_m of row {row} alone"), &values(read)?, expected, LIMIT);
    }
    table.finish("Without padding")
}

/// Every parameter's gradient under our names.
fn gradients(model: &Cir, grads: &Gradients) -> Outcome<Tensors> {
    struct Collect<'a> {
        path: Vec<String>,
        grads: &'a Gradients,
        found: Tensors,
    }
    impl ModuleVisitor for Collect<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = param.val().grad(self.grads) {
                let dims = grad.dims().to_vec();
                let values = grad.into_data().try_to_vec::<f32>().unwrap_or_default();
                self.found.insert(self.path.join("."), (dims, values));
            }
        }
    }
    let mut collect = Collect { path: Vec::new(), grads, found: Tensors::new() };
    model.visit(&mut collect);
    Ok(collect.found)
}

/// Losses as training computes them, and what reaches every parameter through both passes and the fused kernels.
#[test]
fn losses_and_gradients_match() -> Outcome {
    let (golden, notes, off) = (Golden::read("qformer.safetensors")?, golden_json("qformer.json")?, Noise::off());
    let device = Device::flex().autodiff();
    let mut table = Table::default();
    for (read, read_name) in [("cls", "cls"), ("mean-prompt-cls", "mean")] {
        for (mask, mask_name) in [("padding", "real"), ("all-ones", "ones")] {
            let model = model(&golden, &config(read, mask)?, &device)?;
            let batch = batch(&golden, &model, &device)?;
            let b = batch.text.ids.dims()[0];
            let tau = model.temperature.val();
            let none: Tensor<2> = Tensor::zeros([b, b], &device);
            let prompt = model.fuse(&batch.reference, &batch.text, &off);
            let target = model.target(&batch.target, b, &off);
            let score = similarity(model.compose(prompt.clone(), &batch.text, &off), target.clone());
            let text_score = similarity(model.text_only(&batch.text, &off), target);
            let q2t = |smoothing| losses::contrastive(score.clone(), tau.clone(), none.clone(), smoothing);
            let t2t = losses::contrastive(text_score, tau.clone(), none.clone(), 0.0);
            let p2p = losses::prototype(prompt.clone(), model.fuse(&batch.target, &batch.reverse, &off));
            let align = losses::align(prompt, model.prompt_tokens.val());
            let expect = |table: &mut Table, name: &str, loss: Tensor<1>| -> Outcome {
                let expected = notes["losses"][name].as_f64().ok_or_else(|| format!("no loss {name}"))?;
                table.absolute(format!("loss {name}"), &values(loss)?, &[expected as f32], LIMIT);
                Ok(())
            };
            expect(&mut table, &format!("q2t.{read_name}.{mask_name}.0.0"), q2t(0.0))?;
            expect(&mut table, &format!("q2t.{read_name}.{mask_name}.0.1"), q2t(0.1))?;
            let (name, total) = match (read_name, mask_name) {
                ("mean", "real") => ("total.ptha", q2t(0.1) + t2t.clone() * 0.4 + p2p.clone() * 0.5),
                ("cls", "real") => ("total.sprc", q2t(0.0) + t2t.clone() * 0.4 + align.clone() * 0.4),
                _ => continue,
            };
            expect(&mut table, "t2t", t2t)?;
            expect(&mut table, "p2p", p2p)?;
            expect(&mut table, "align", align)?;
            let found = gradients(&model, &total.backward())?;
            expect(&mut table, name, total)?;
            compare_gradients(&mut table, name, found, &golden, &notes["gradient_norm_and_sum"][name])?;
        }
    }
    table.finish("Losses and gradients")
}

/// Every parameter's norm and sum; for `total.ptha`, some gradients element by element too.
fn compare_gradients(
    table: &mut Table,
    total: &str,
    mut found: Tensors,
    golden: &Golden,
    norms: &serde_json::Value,
) -> Outcome {
    if total == "total.ptha" {
        let full = golden.gradients().map(|(name, v)| (name.to_owned(), (v.shape.clone(), v.data.clone()))).collect();
        let (full, unused) = weights::from_upstream(full);
        assert!(unused.is_empty(), "{unused:?}");
        for (name, (dims, expected)) in full {
            let (shape, got) = found.get(&name).ok_or_else(|| format!("no gradient of {name}"))?;
            assert_eq!(*shape, dims, "{name}");
            table.relative(format!("gradient of {name}"), got, &expected, 1e-4);
        }
    }
    let (mut norm_off, mut sum_off): (Vec<(f32, String)>, Vec<(f32, String)>) = Default::default();
    for (key, value) in norms.as_object().into_iter().flatten() {
        let name = weights::upstream_name(key).ok_or_else(|| format!("{key} has no place"))?;
        let (_, got) = found.remove(&name).ok_or_else(|| format!("no gradient of {name}"))?;
        let (norm, sum) = (value[0].as_f64().ok_or("no norm")?, value[1].as_f64().ok_or("no sum")?);
        let own_norm = got.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let own_sum = got.iter().map(|x| f64::from(*x)).sum::<f64>();
        // A key's bias shifts every score of a row alike, so its gradient is zero but for rounding.
        let scale = norm.max(1e-2);
        norm_off.push((((own_norm - norm) / scale).abs() as f32, name.clone()));
        sum_off.push((((own_sum - sum) / scale).abs() as f32, name));
    }
    assert_eq!(norm_off.len(), 119, "parameters");
    let extra: Vec<_> = found.keys().filter(|k| !k.starts_with("image_norm.")).collect();
    assert!(extra.is_empty(), "gradients that upstream lacks: {extra:?}");
    for (what, mut all) in [("norm", norm_off), ("sum", sum_off)] {
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (off, name) in all.into_iter().take(3) {
            table.add(format!("{total}: gradient {what} of {name}"), off, 1e-4);
        }
    }
    Ok(())
}
