//! The Q-Former against upstream's (SPRC / MTST_PTHA): four call patterns, layer by layer, with padding; read-outs and
//! similarities. Golden values and where they come from: `tests/golden/qformer.py`.

use burn::tensor::{Device, Tensor};
use thisbut_model::config::{ReadOut, SecondPassMask};
use thisbut_model::method::similarity;
use thisbut_model::nn::{Noise, TextBatch};
use thisbut_tests::small_qformer::{batch, config, model, tensor, values};
use thisbut_tests::upstream::{Golden, Outcome, Table};

/// Hidden states are of order 1 after each layer norm; upstream's own float32 is off by up to 3e-6.
const LIMIT: f32 = 1e-5;

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
            assert_eq!(config.two_pass()?.read_out == ReadOut::Cls, read_name == "cls");
            assert_eq!(config.two_pass()?.second_pass_mask == SecondPassMask::Padding, mask_name == "real");
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
        #[allow(clippy::single_range_in_vec_init)] // a slice of one dimension
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
