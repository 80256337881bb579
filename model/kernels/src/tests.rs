#![allow(
    clippy::unwrap_used,
    clippy::single_range_in_vec_init,
    reason = "a test fails by panicking; burn slices by one range"
)]

use super::*;
use burn::tensor::{Device, TensorData};

fn values<const R: usize>(shape: [usize; R], seed: u32) -> TensorData {
    let n: usize = shape.iter().product();
    TensorData::new((0..n as u32).map(|i| math::uniform(i, seed) * 4.0 - 2.0).collect::<Vec<f32>>(), shape)
}

fn largest_difference<const R: usize>(a: Tensor<R>, b: Tensor<R>) -> f32 {
    let (a, b) = (a.into_data().try_to_vec::<f32>().unwrap(), b.into_data().try_to_vec::<f32>().unwrap());
    assert_eq!(a.len(), b.len());
    assert!(a.iter().any(|v| *v != 0.0));
    a.iter().zip(&b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

#[test]
fn scalar_functions_match_their_definitions() {
    for i in -900..900 {
        let x = i as f32 * 0.01;
        assert!((math::exp(x) / x.exp() - 1.0).abs() < 4e-7, "exp({x})");
    }
    assert!([-80.1, -87.0, -1e4, -1e30, f32::NEG_INFINITY].iter().all(|x| math::exp(*x) == 0.0));
    assert!(math::exp(1e30).is_finite() && math::exp(-79.9) > 0.0);
    // erf at a few points, from tables.
    for (x, y) in [(0.0, 0.0), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3), (-1.0, -0.842_700_8)] {
        assert!((math::erf(x) - y).abs() < 5e-7, "erf({x})");
    }
}

#[cfg(feature = "autodiff")]
#[test]
fn fused_gelu_matches_the_portable_form_and_its_gradient() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_data(values([37, 53], 1), &device).require_grad();
    let w = Tensor::<2>::from_data(values([37, 53], 2), &device);
    let exact = (gelu(x.clone()), portable::gelu(x.clone()));
    let quick = (quick_gelu(x.clone()), portable::quick_gelu(x.clone()));
    assert!(largest_difference(exact.0.clone(), quick.0.clone()) > 1e-3, "they are two functions");
    for (f, p) in [exact, quick] {
        assert!(largest_difference(f.clone(), p.clone()) < 1e-6);
        let (gf, gp) = ((f * w.clone()).sum().backward(), (p * w.clone()).sum().backward());
        assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 2e-6);
    }
}

#[cfg(feature = "autodiff")]
#[test]
fn fused_linear_matches_the_portable_form_and_its_gradients() {
    let device = Device::flex().autodiff();
    // Below and above the size that is cut into tasks, and with a last task that is short.
    for [rows, inputs, outputs] in [[5, 7, 3], [1, 64, 33], [700, 129, 95], [2500, 33, 20], [0, 4, 3]] {
        let x = Tensor::<2>::from_data(values([rows, inputs], 1), &device).require_grad();
        let weight = Tensor::<2>::from_data(values([inputs, outputs], 2), &device).require_grad();
        let bias = Tensor::<1>::from_data(values([outputs], 3), &device).require_grad();
        let w = Tensor::<2>::from_data(values([rows, outputs], 4), &device);
        for bias in [Some(bias), None] {
            let f = linear(x.clone(), weight.clone(), bias.clone());
            let mut p = x.clone().matmul(weight.clone());
            if let Some(bias) = &bias {
                p = p + bias.clone().unsqueeze();
            }
            assert_eq!(f.dims(), [rows, outputs]);
            if rows == 0 {
                continue;
            }
            assert!(largest_difference(f.clone(), p.clone()) < 1e-4);
            let (gf, gp) = ((f * w.clone()).sum().backward(), (p * w.clone()).sum().backward());
            assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 1e-4);
            assert!(largest_difference(weight.grad(&gf).unwrap(), weight.grad(&gp).unwrap()) < 5e-4);
            if let Some(bias) = bias {
                assert!(largest_difference(bias.grad(&gf).unwrap(), bias.grad(&gp).unwrap()) < 5e-4);
            }
        }
    }
    // A transposed weight, and one that does not train.
    let x = Tensor::<2>::from_data(values([9, 6], 5), &device).require_grad();
    let weight = Tensor::<2>::from_data(values([4, 6], 6), &device).transpose();
    let (f, p) = (linear(x.clone(), weight.clone(), None), x.clone().matmul(weight));
    assert!(largest_difference(f.clone(), p.clone()) < 1e-5);
    let (gf, gp) = (f.sum().backward(), p.sum().backward());
    assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 1e-5);
}

#[cfg(feature = "autodiff")]
#[test]
fn fused_layer_norm_matches_the_portable_form_and_its_gradients() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_data(values([41, 67], 1), &device).require_grad();
    let gamma = Tensor::<1>::from_data(values([67], 2), &device).require_grad();
    let beta = Tensor::<1>::from_data(values([67], 3), &device).require_grad();
    let w = Tensor::<2>::from_data(values([41, 67], 4), &device);
    let f = layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-12);
    let p = portable::layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-12);
    assert!(largest_difference(f.clone(), p.clone()) < 2e-6);
    let (gf, gp) = ((f * w.clone()).sum().backward(), (p * w).sum().backward());
    assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 5e-6);
    assert!(largest_difference(gamma.grad(&gf).unwrap(), gamma.grad(&gp).unwrap()) < 2e-5);
    assert!(largest_difference(beta.grad(&gf).unwrap(), beta.grad(&gp).unwrap()) < 2e-5);
}

#[cfg(feature = "autodiff")]
#[test]
fn fused_attention_matches_the_portable_form_and_its_gradients() {
    let device = Device::flex().autodiff();
    let (b, n, m, d, heads) = (3, 7, 11, 24, 4);
    let q = Tensor::<3>::from_data(values([b, n, d], 1), &device).require_grad();
    let k = Tensor::<3>::from_data(values([b, m, d], 2), &device).require_grad();
    let v = Tensor::<3>::from_data(values([b, m, d], 3), &device).require_grad();
    let mut bias = vec![0.0f32; b * m];
    bias[m - 2..m].fill(-10000.0);
    bias[2 * m - 5..2 * m].fill(-10000.0);
    let bias = Tensor::<2>::from_data(TensorData::new(bias, [b, m]), &device);
    let w = Tensor::<3>::from_data(values([b, n, d], 4), &device);
    let f = attention(q.clone(), k.clone(), v.clone(), bias.clone(), heads);
    let all = Heads { query: heads, key: heads, past: None };
    let p = portable::attention([q.clone(), k.clone(), v.clone()], bias, all, None);
    assert!(largest_difference(f.clone(), p.clone()) < 2e-6);
    let (gf, gp) = ((f * w.clone()).sum().backward(), (p * w).sum().backward());
    for x in [&q, &k, &v] {
        assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 5e-6);
    }
    // What is masked gets nothing, not nearly nothing.
    for x in [k, v] {
        let gradient = x.grad(&gf).unwrap();
        for masked in [gradient.clone().slice([0..1, m - 2..m]), gradient.slice([1..2, m - 5..m])] {
            assert!(masked.into_data().try_to_vec::<f32>().unwrap().iter().all(|v| *v == 0.0));
        }
    }
}

#[cfg(feature = "autodiff")]
#[test]
fn a_key_far_below_the_best_gets_nothing_and_the_others_what_they_would() {
    let device = Device::flex().autodiff();
    let tensor = |seed| Tensor::<3>::from_data(values([1, 5, 8], seed), &device);
    // The second key's scores are 0 where the others' are about 40.
    let toward = Tensor::<3>::from_data([[[40.0f32; 8], [0.0; 8], [40.0; 8], [41.0; 8], [39.0; 8]]], &device);
    let (k, v) = ((tensor(2) * 0.01 + toward).require_grad(), tensor(3).require_grad());
    let q = (tensor(1).abs() * 0.01 + 0.36).require_grad();
    let bias = Tensor::<2>::zeros([1, 5], &device);
    let gradients = |out: Tensor<3>| {
        let all = (out * tensor(4)).sum().backward();
        [&q, &k, &v].map(|x| x.grad(&all).unwrap())
    };
    let fused = attention(q.clone(), k.clone(), v.clone(), bias.clone(), 1);
    let one = Heads { query: 1, key: 1, past: None };
    let plain = portable::attention([q.clone(), k.clone(), v.clone()], bias, one, None);
    assert!(largest_difference(fused.clone(), plain.clone()) < 1e-5);
    let ([fq, fk, fv], [pq, pk, pv]) = (gradients(fused), gradients(plain));
    for (f, p) in [(fq, pq), (fk.clone(), pk), (fv.clone(), pv)] {
        assert!(largest_difference(f, p) < 1e-4);
    }
    for gradient in [fk, fv] {
        let far = gradient.slice([0..1, 1..2]).into_data().try_to_vec::<f32>().unwrap();
        assert!(far.iter().all(|v| *v == 0.0), "{far:?}");
    }
}

fn mask(seed: u64, first_row: u32) -> Mask {
    Mask { seed, first_row, by_row: true }
}

#[test]
fn dropout_draws_the_same_mask_for_every_cut_of_a_batch_and_in_its_portable_form() {
    let device = Device::flex();
    let x = Tensor::<3>::from_data(values([6, 5, 40], 1), &device);
    let whole = dropout(x.clone(), 0.3, mask(7, 10));
    let cut = |rows: std::ops::Range<usize>, first| dropout(x.clone().slice([rows]), 0.3, mask(7, first));
    assert_eq!(largest_difference(whole.clone(), Tensor::cat(vec![cut(0..4, 10), cut(4..6, 14)], 0)), 0.0);
    // Shorter rows: the same mask as far as they go.
    let short = dropout(x.clone().slice([0..6, 0..3]), 0.3, mask(7, 10));
    assert_eq!(largest_difference(whole.clone().slice([0..6, 0..3]), short), 0.0);
    // A seed below 2^32 folds to itself.
    assert!(largest_difference(whole.clone(), portable::dropout_by_row(x.clone(), 0.3, 7, 10)) < 1e-6);
    assert!(largest_difference(whole, dropout(x, 0.3, mask(8, 10))) > 0.1);
}

#[cfg(feature = "autodiff")]
#[test]
fn dropout_keeps_the_asked_share_and_its_gradient_uses_the_same_mask() {
    let device = Device::flex().autodiff();
    let x = Tensor::<1>::ones([100_000], &device).require_grad();
    let y = dropout(x.clone(), 0.1, mask(42, 0));
    let kept: f32 = y.clone().into_data().try_to_vec::<f32>().unwrap().iter().filter(|v| **v > 0.0).count() as f32;
    assert!((kept / 100_000.0 - 0.9).abs() < 0.005, "kept {kept}");
    let g = x.grad(&y.clone().sum().backward()).unwrap();
    assert_eq!(largest_difference(g, y.inner()), 0.0);
}

#[cfg(feature = "autodiff")]
#[test]
fn fused_causal_attention_in_groups_matches_the_portable_form_and_its_gradients() {
    let device = Device::flex().autodiff();
    // Room for more keys than are seen, as in a cache; the group's heads share keys; one row has hidden positions.
    for (n, m, past) in [(7, 7, 0), (3, 37, 9), (1, 64, 20)] {
        let (b, d, heads) = (3, 24, Heads { query: 6, key: 2, past: Some(past) });
        let q = Tensor::<3>::from_data(values([b, n, d], 1), &device).require_grad();
        let k = Tensor::<3>::from_data(values([b, m, 8], 2), &device).require_grad();
        let v = Tensor::<3>::from_data(values([b, m, 8], 3), &device).require_grad();
        let mut bias = vec![0.0f32; b * m];
        bias[m..m + 2].fill(-10000.0);
        let bias = Tensor::<2>::from_data(TensorData::new(bias, [b, m]), &device);
        // A query that sees nothing but hidden positions has no meaning: those rows get no weight.
        let mut weigh = vec![1.0f32; b * n * d];
        weigh[n * d..n * d + (2usize.saturating_sub(past) * d).min(n * d)].fill(0.0);
        let w = Tensor::<3>::from_data(values([b, n, d], 4), &device)
            * Tensor::<3>::from_data(TensorData::new(weigh, [b, n, d]), &device);
        let f = causal_attention(q.clone(), k.clone(), v.clone(), bias.clone(), heads);
        let p = portable::attention([q.clone(), k.clone(), v.clone()], bias, heads, None);
        assert!(largest_difference(f.clone() * w.clone(), p.clone() * w.clone()) < 5e-6);
        let (gf, gp) = ((f * w.clone()).sum().backward(), (p * w).sum().backward());
        for x in [q, k, v] {
            assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 1e-5);
        }
    }
}

#[cfg(feature = "autodiff")]
#[test]
fn fused_decoder_kernels_match_the_portable_forms_and_their_gradients() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_data(values([41, 67], 1), &device).require_grad();
    let gamma = Tensor::<1>::from_data(values([67], 2), &device).require_grad();
    let w = Tensor::<2>::from_data(values([41, 67], 4), &device);
    let (f, p) = (rms_norm(x.clone(), gamma.clone(), 1e-5), portable::rms_norm(x.clone(), gamma.clone(), 1e-5));
    assert!(largest_difference(f.clone(), p.clone()) < 2e-6);
    let (gf, gp) = ((f * w.clone()).sum().backward(), (p * w.clone()).sum().backward());
    assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 5e-6);
    assert!(largest_difference(gamma.grad(&gf).unwrap(), gamma.grad(&gp).unwrap()) < 2e-5);

    let y = Tensor::<2>::from_data(values([41, 67], 5), &device).require_grad();
    let (f, p) = (swiglu(x.clone(), y.clone()), portable::swiglu(x.clone(), y.clone()));
    assert!(largest_difference(f.clone(), p.clone()) < 2e-6);
    let (gf, gp) = ((f * w.clone()).sum().backward(), (p * w).sum().backward());
    for x in [x, y] {
        assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 5e-6);
    }

    let x = Tensor::<3>::from_data(values([3, 5, 24], 6), &device).require_grad();
    let w = Tensor::<3>::from_data(values([3, 5, 24], 7), &device);
    for rows in [1, 3] {
        let cos = Tensor::<3>::from_data(values([rows, 5, 3], 8), &device);
        let sin = Tensor::<3>::from_data(values([rows, 5, 3], 9), &device);
        let f = rotate(x.clone(), cos.clone(), sin.clone(), 4);
        let p = portable::rotate(x.clone(), cos, sin, 4);
        assert!(largest_difference(f.clone(), p.clone()) < 2e-6);
        let (gf, gp) = ((f * w.clone()).sum().backward(), (p * w.clone()).sum().backward());
        assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 5e-6);
    }
}

#[cfg(feature = "autodiff")]
#[test]
fn fused_likelihood_matches_the_portable_form_and_its_gradient() {
    let device = Device::flex().autodiff();
    let logits = (Tensor::<2>::from_data(values([19, 1003], 1), &device) * 9.0).require_grad();
    let weights = Tensor::<1>::from_data(values([19], 2), &device);
    let right: Vec<u32> = (0..19).map(|i| i * 53 % 1003).collect();
    let f = negative_log_likelihood(logits.clone(), &right);
    let p = portable::negative_log_likelihood(logits.clone(), &right);
    assert!(largest_difference(f.clone(), p.clone()) < 1e-5);
    let (gf, gp) = ((f * weights.clone()).sum().backward(), (p * weights).sum().backward());
    assert!(largest_difference(logits.grad(&gf).unwrap(), logits.grad(&gp).unwrap()) < 2e-6);
}

#[cfg(feature = "autodiff")]
#[test]
fn dropped_weights_are_the_same_for_every_cut_and_padding_and_in_the_portable_form() {
    let device = Device::flex().autodiff();
    // The second is longer than one task's queries.
    for (b, n, m, d, heads) in [(5, 7, 21, 24, 4), (2, 90, 33, 16, 2)] {
        let given = |shape: [usize; 3], seed| Tensor::<3>::from_data(values(shape, seed), &device).require_grad();
        let inputs = [given([b, n, d], 1), given([b, m, d], 2), given([b, m, d], 3)];
        let mut hidden = vec![0.0f32; b * m];
        hidden[m - 3..m].fill(-10000.0);
        let bias = Tensor::<2>::from_data(TensorData::new(hidden, [b, m]), &device);
        let weigh = Tensor::<3>::from_data(values([b, n, d], 4), &device);
        let form = Heads { query: heads, key: heads, past: None };
        let dropout = Some((0.3, mask(7, 10)));
        let f = attention_with_dropout(inputs.clone(), bias.clone(), heads, dropout);
        let p = portable::attention(inputs.clone(), bias.clone(), form, dropout);
        assert!(largest_difference(f.clone(), p.clone()) < 1e-5);
        let none = attention_with_dropout(inputs.clone(), bias.clone(), heads, None);
        assert!(largest_difference(f.clone(), none) > 0.1);
        let (gf, gp) = ((f.clone() * weigh.clone()).sum().backward(), (p * weigh).sum().backward());
        for x in &inputs {
            assert!(largest_difference(x.grad(&gf).unwrap(), x.grad(&gp).unwrap()) < 5e-5);
        }
        // Rows 1 and on as a batch of their own, with fewer queries and one sample without its hidden keys.
        let cut = inputs.clone().map(|x| x.slice([1..b]));
        let cut = attention_with_dropout(cut, bias.clone().slice([1..b]), heads, Some((0.3, mask(7, 11))));
        assert_eq!(largest_difference(cut, f.clone().slice([1..b])), 0.0);
        let [q, k, v] = inputs.map(|x| x.slice([0..1]));
        let shorter = [q.slice([0..1, 0..3]), k.slice([0..1, 0..m - 3]), v.slice([0..1, 0..m - 3])];
        let short = attention_with_dropout(shorter, bias.slice([0..1, 0..m - 3]), heads, dropout);
        assert!(largest_difference(short, f.slice([0..1, 0..3])) < 1e-6);
    }
}

#[test]
fn dropout_on_weights_keeps_their_expected_sum() {
    let device = Device::flex();
    // Equal scores and values of one: what comes out is the share of weights kept, scaled.
    let (q, v) = (Tensor::<3>::zeros([64, 40, 8], &device), Tensor::<3>::ones([64, 50, 8], &device));
    let k = Tensor::<3>::zeros([64, 50, 8], &device);
    let out = attention_with_dropout([q, k, v], Tensor::zeros([64, 50], &device), 2, Some((0.1, mask(3, 0))));
    let mean: f32 = out.mean().into_scalar();
    assert!((mean - 1.0).abs() < 0.003, "{mean}");
}
