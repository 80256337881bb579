//! Losses, gradients and optimiser steps against upstream's formulas and torch's autograd and AdamW.
//! Golden values and where they come from: `tests/golden/qformer.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use thisbut_model::method::{TwoPass, similarity};
use thisbut_model::nn::Noise;
use thisbut_model::weights::named::{self, Visitor};
use thisbut_model::weights::{self, Tensors};
use thisbut_tests::small_qformer::{batch, config, model, values};
use thisbut_tests::upstream::{Golden, Outcome, Table, golden_json, numbers};
use thisbut_trainer::train::losses;
use thisbut_trainer::train::objective::loss::{Loss, minimised};
use thisbut_trainer::train::optimizer::AdamW;
use thisbut_trainer::train::settings::Settings;

/// Every parameter's gradient under our names.
fn gradients(model: &TwoPass, grads: &Gradients) -> Outcome<Tensors> {
    struct Collect<'a>(&'a Gradients, Vec<(String, TensorData)>);
    impl Visitor for Collect<'_> {
        fn see<const D: usize>(&mut self, name: String, param: &Param<Tensor<D>>) {
            if let Some(grad) = param.val().grad(self.0) {
                self.1.push((name, grad.into_data()));
            }
        }
    }
    let collected = named::visit(model, "", Collect(grads, Vec::new())).1;
    let mut found = Tensors::new();
    for (name, data) in collected {
        let values = data.try_to_vec::<f32>().map_err(|e| format!("{name}: {e:?}"))?;
        found.insert(name, (data.shape().to_vec(), values));
    }
    Ok(found)
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
                table.absolute(format!("loss {name}"), &values(loss)?, &[expected as f32], 1e-5);
                Ok(())
            };
            expect(&mut table, &format!("q2t.{read_name}.{mask_name}.0.0"), q2t(0.0))?;
            expect(&mut table, &format!("q2t.{read_name}.{mask_name}.0.1"), q2t(0.1))?;
            let (name, total) = match (read_name, mask_name) {
                ("mean", "real") => ("total.ptha", summed(q2t(0.1), &t2t, (&p2p, 0.5))?),
                ("cls", "real") => ("total.sprc", summed(q2t(0.0), &t2t, (&align, 0.4))?),
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

/// The production sum of q2t, 0.4 t2t and a third loss with its weight.
fn summed(q2t: Tensor<1>, t2t: &Tensor<1>, (third, weight): (&Tensor<1>, f64)) -> Outcome<Tensor<1>> {
    let loss = |name, weight, value: &Tensor<1>| Loss { name, weight, value: value.clone() };
    let losses = [loss("q2t", 1.0, &q2t), loss("t2t", 0.4, t2t), loss("p2p", weight, third)];
    Ok(minimised(&losses).ok_or("no losses")?)
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
        let (full, unused) = weights::published::qformer(full);
        assert!(unused.is_empty(), "{unused:?}");
        for (name, (dims, expected)) in full {
            let (shape, got) = found.get(&name).ok_or_else(|| format!("no gradient of {name}"))?;
            assert_eq!(*shape, dims, "{name}");
            table.relative(format!("gradient of {name}"), got, &expected, 1e-4);
        }
    }
    type Named = Vec<(f32, String)>;
    let (mut norm_off, mut sum_off): (Named, Named) = Default::default();
    for (key, value) in norms.as_object().into_iter().flatten() {
        let name = weights::published::name(key).ok_or_else(|| format!("{key} has no place"))?;
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

/// A few steps of SPRC's loss with training's optimiser against torch.optim.AdamW.
#[test]
fn adamw_steps_match() -> Outcome {
    let (golden, notes, off) = (Golden::read("qformer.safetensors")?, golden_json("qformer.json")?, Noise::off());
    let expected = &notes["adamw"];
    let number = |key: &str| expected[key].as_f64().ok_or_else(|| format!("no {key}"));
    let steps = number("steps")? as usize;
    let settings = Settings {
        batch: 3,
        steps,
        learning_rate: number("rate")?,
        epsilon: number("epsilon")?,
        weight_decay: number("weight_decay")?,
        clip: number("clip")?,
        // There, matrices and tables decay; `parity_published_training` decays vectors too.
        decay_vectors: false,
        ..Settings::sprc()
    };
    let device = Device::flex().autodiff();
    let mut model = model(&golden, &config("cls", "padding")?, &device)?;
    let mut optimizer = AdamW::new(&settings);
    let mut table = Table::default();
    for step in 0..=steps {
        let batch = batch(&golden, &model, &device)?;
        let b = batch.text.ids.dims()[0];
        let (tau, none) = (model.temperature.val(), Tensor::zeros([b, b], &device));
        let prompt = model.fuse(&batch.reference, &batch.text, &off);
        let target = model.target(&batch.target, b, &off);
        let score = similarity(model.compose(prompt.clone(), &batch.text, &off), target.clone());
        let text_score = similarity(model.text_only(&batch.text, &off), target);
        let q2t = losses::contrastive(score, tau.clone(), none.clone(), 0.0);
        let t2t = losses::contrastive(text_score, tau, none, 0.0);
        let total = summed(q2t, &t2t, (&losses::align(prompt, model.prompt_tokens.val()), 0.4))?;
        let loss = values(total.clone())?;
        table.relative(format!("loss after {step} steps"), &loss, &numbers(&expected["losses"][step]), 1e-5);
        if step < steps {
            let (updated, norm) = optimizer.step(model, &total.backward(), settings.learning_rate)?;
            model = updated;
            let name = format!("gradient norm of step {}", step + 1);
            table.relative(name, &[norm as f32], &numbers(&expected["gradient_norms"][step]), 1e-4);
        }
    }
    let mut found = weights::collect(&model, "")?;
    let mut off: Vec<(f32, String)> = Vec::new();
    for (key, value) in expected["parameter_norm_and_sum"].as_object().into_iter().flatten() {
        let name = weights::published::name(key).ok_or_else(|| format!("{key} has no place"))?;
        let (_, got) = found.remove(&name).ok_or_else(|| format!("no parameter {name}"))?;
        let (norm, sum) = (value[0].as_f64().ok_or("no norm")?, value[1].as_f64().ok_or("no sum")?);
        let own_norm = got.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let own_sum = got.iter().map(|x| f64::from(*x)).sum::<f64>();
        off.push((((own_norm - norm).abs().max((own_sum - sum).abs()) / norm) as f32, name));
    }
    assert_eq!(off.len(), 113, "parameters");
    off.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (difference, name) in off.into_iter().take(3) {
        table.add(format!("norm and sum of {name}"), difference, 1e-4);
    }
    table.finish("AdamW")
}
