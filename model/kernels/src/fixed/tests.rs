#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::super::attention::Attention;
use super::super::extension::{Primitive, primitive};
use super::super::{cpu, math};
use super::*;
use burn::backend::{Flex, Slice, TensorMetadata, ops::FloatTensorOps};

/// Values of which some are much larger than the rest.
fn values(n: usize, seed: u32) -> Vec<f32> {
    let value = |i| (math::uniform(i, seed) * 2.0 - 1.0) * (1.0 + 30.0 * math::uniform(i / 7, seed + 1).powi(8));
    (0..n as u32).map(value).collect()
}

fn product(x: &[f32], w: &[f32], [count, inputs, outputs]: [usize; 3], bias: Option<&[f32]>) -> Vec<f32> {
    let mut out = vec![f32::NAN; count * outputs];
    let place = Out { values: &mut out, stride: outputs };
    Matrix::new(w, inputs, outputs).multiply(&Rows::new(x, [count, inputs]), 0, bias, place);
    out
}

/// The product in f64, and what its error is measured by: the product of the absolute values.
fn reference(x: &[f32], w: &[f32], [count, inputs, outputs]: [usize; 3], bias: &[f32]) -> Vec<[f64; 2]> {
    let term = |r: usize, i: usize, o: usize| f64::from(x[r * inputs + i]) * f64::from(w[i * outputs + o]);
    let both = |r: usize, o: usize| {
        let sum: f64 = (0..inputs).map(|i| term(r, i, o)).sum();
        [sum + f64::from(bias[o]), (0..inputs).map(|i| term(r, i, o).abs()).sum()]
    };
    (0..count).flat_map(|r| (0..outputs).map(move |o| (r, o))).map(|(r, o)| both(r, o)).collect()
}

const SHAPES: [[usize; 3]; 12] = [
    [1, 1, 1],
    [1, 2, 8],
    [3, 7, 5],
    [4, 128, 8],
    [5, 129, 9],
    [7, 300, 17],
    [13, 256, 33],
    [197, 64, 40],
    [9, 1025, 7],
    [0, 4, 3],
    [2, 0, 3],
    [9, 4, 0],
];

#[test]
fn products_of_every_size_match() {
    for shape in SHAPES {
        let [count, inputs, outputs] = shape;
        let (x, w, bias) = (values(count * inputs, 3), values(inputs * outputs, 5), values(outputs, 7));
        let expected = reference(&x, &w, shape, &bias);
        for (got, [expected, size]) in product(&x, &w, shape, Some(&bias)).iter().zip(&expected) {
            assert!((f64::from(*got) - expected).abs() <= 4e-3 * size + 1e-6, "{shape:?}: {got} {expected} {size}");
        }
        let plain = product(&x, &w, shape, None);
        let error: f64 = plain
            .iter()
            .zip(reference(&x, &w, shape, &vec![0.0; outputs]))
            .map(|(g, [e, _])| (f64::from(*g) - e).powi(2))
            .sum();
        let whole: f64 = plain.iter().map(|v| f64::from(*v).powi(2)).sum();
        assert!(error.sqrt() <= 1e-3 * whole.sqrt(), "{shape:?}: {} of {}", error.sqrt(), whole.sqrt());
    }
}

#[test]
fn the_largest_sums_fit_and_a_row_depends_on_nothing_else() {
    for inputs in [CHUNK - 1, CHUNK, 5 * CHUNK] {
        for sign in [1.0, -1.0] {
            let got = product(&vec![sign * 3.0; 5 * inputs], &vec![0.5; inputs * 3], [5, inputs, 3], None);
            let exact = sign * 1.5 * inputs as f32;
            assert!(got.iter().all(|v| (v / exact - 1.0).abs() < 1e-5), "{inputs} {got:?}");
        }
    }
    let (x, w) = (values(11 * 200, 3), values(200 * 21, 5));
    let all = product(&x, &w, [11, 200, 21], None);
    for (row, expected) in x.chunks(200).zip(all.chunks(21)) {
        assert_eq!(product(row, &w, [1, 200, 21], None), expected);
    }
}

#[test]
fn what_is_not_finite_stays_so_and_nothing_is_zero() {
    for strange in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (mut x, mut w) = (values(6 * 150, 3), values(150 * 10, 5));
        x[2 * 150 + 140] = strange;
        let got = product(&x, &w, [6, 150, 10], None);
        assert!(got.iter().enumerate().all(|(i, v)| v.is_finite() == (i / 10 != 2)), "{got:?}");
        x[2 * 150 + 140] = 0.0;
        w[3 * 10 + 9] = strange;
        let got = product(&x, &w, [6, 150, 10], None);
        assert!(got.iter().enumerate().all(|(i, v)| v.is_finite() == (i % 10 != 9)), "{got:?}");
    }
    let tiny = product(&[0.0, 1e-38, 0.0, 0.0], &values(8, 1), [2, 2, 4], None);
    assert!(tiny.iter().all(|v| *v == 0.0), "{tiny:?}");
}

#[test]
fn attention_matches_that_in_f32() {
    // Plain; causal; groups of heads that share keys, with room that no query sees; more keys than a chunk.
    let forms =
        [(2, 5, 21, 4, 4, None), (1, 77, 77, 4, 4, Some(0)), (2, 18, 40, 6, 2, Some(9)), (1, 3, 300, 2, 2, None)];
    for (batch, n, m, heads, key_heads, past) in forms {
        let d = heads * 12;
        let sizes = Attention { batch, n, m, d, heads, key_heads, past, dropout: None };
        let (q, kd) = (values(batch * n * d, 1), batch * m * sizes.key_width());
        let (k, v) = (values(kd, 2), values(kd, 3));
        let mut bias = vec![0.0; batch * m];
        bias[m - 2..m].fill(-10000.0);
        let (exact, fixed) = (sizes.forward(&q, &k, &v, &bias), sizes.forward_fixed([&q, &k, &v, &bias]));
        let size = exact.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in exact.iter().zip(&fixed).enumerate() {
            assert!((a - b).abs() < 3e-3 * size, "{n} {m} {i}: {a} {b}");
        }
    }
}

/// Held by the tests that use what is held of weights, of which there is one.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn weights_are_made_once_and_anew_when_they_change() {
    let _alone = ALONE.lock();
    let x = values(3 * 40, 1);
    let weight = |seed, shape: [usize; 2]| primitive(values(shape[0] * shape[1], seed), shape);
    let expected = |w: &[f32]| product(&x, w, [3, 40, 6], None);
    let get = |weight: &Primitive| linear(&x, 3, weight.clone(), None);

    let mut first = weight(2, [40, 6]);
    assert_eq!(get(&first), expected(&values(240, 2)));
    assert_eq!((get(&first), cache::count()), (expected(&values(240, 2)), 1));
    // Written to in place, as far as burn knows.
    first.storage_mut::<f32>()[7] = 9.0;
    let mut changed = values(240, 2);
    changed[7] = 9.0;
    assert_eq!((get(&first), cache::count()), (expected(&changed), 1));
    // The same values in another shape; turned; the last rows of more.
    let other = linear(&x, 20, first.reshape([6, 40].into()), None);
    assert_eq!(other, product(&x, &changed, [20, 6, 40], None));
    assert_eq!(cache::count(), 2);
    let turned = weight(3, [6, 40]).transpose(0, 1);
    let by_hand: Vec<f32> = (0..240).map(|i| values(240, 3)[i % 6 * 40 + i / 6]).collect();
    assert_eq!((get(&turned), cache::count()), (expected(&by_hand), 2));
    let wide = Flex::float_slice(weight(4, [43, 6]), &[Slice::from(3..43), Slice::from(0..6)]);
    assert_eq!(get(&wide), expected(&values(43 * 6, 4)[18..]));
    // What is gone is no longer held once another comes.
    drop((first, wide));
    assert_eq!(get(&weight(9, [40, 6])), expected(&values(240, 9)));
    assert_eq!(cache::count(), 1);
}

#[test]
fn a_resident_weight_is_read_by_products_alone() {
    let _alone = ALONE.lock();
    let (x, w) = (values(3 * 40, 1), values(240, 2));
    let expected = product(&x, &w, [3, 40, 6], None);
    let place = resident(primitive(w, [40, 6]));
    let other = resident(primitive(values(240, 3), [40, 6]));
    assert_eq!(place.shape(), other.shape());
    assert_eq!(linear(&x, 3, place.clone(), None), expected);
    assert_eq!(linear(&x, 3, other, None), product(&x, &values(240, 3), [3, 40, 6], None));
    assert_eq!(linear(&x, 3, place.clone(), None), expected);
    assert_eq!((place.data_arc().len(), place.shape().num_elements()), (4, 240), "its own value is one");
    let read = place.to_contiguous();
    assert!(read.as_slice::<f32>().unwrap().iter().all(|v| v.is_nan()));
}

#[test]
fn pixels_are_mapped_as_rows_are() {
    let _alone = ALONE.lock();
    let (batch, inputs, outputs, bias) = (2, 130, 5, values(5, 9));
    for pixels in [1, 7, 8, 49] {
        let (x, w) = (values(batch * inputs * pixels, 1), values(outputs * inputs, 2));
        let weight = primitive(w.clone(), [outputs, inputs, 1, 1]);
        let turned = |values: &[f32], [rows, columns]: [usize; 2]| -> Vec<f32> {
            (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect()
        };
        let matrix = turned(&w, [outputs, inputs]);
        for relu6 in [false, true] {
            let got = pointwise(&x, [inputs, pixels], weight.clone(), &bias, relu6);
            for (x, got) in x.chunks(inputs * pixels).zip(got.chunks(outputs * pixels)) {
                let rows = turned(x, [inputs, pixels]);
                let exact = reference(&rows, &matrix, [pixels, inputs, outputs], &bias);
                for (at, [expected, size]) in exact.iter().enumerate() {
                    let expected = if relu6 { expected.clamp(0.0, 6.0) } else { *expected };
                    let got = f64::from(got[at % outputs * pixels + at / outputs]);
                    assert!((got - expected).abs() <= 4e-3 * size + 1e-6, "{pixels} {at}: {got} {expected} {size}");
                }
            }
        }
    }
}

/// Pre-norm blocks over x `[tokens, d]`, by two products and one attention; weights from seeds.
fn blocks(
    mut x: Vec<f32>,
    d: usize,
    layers: u32,
    product: impl Fn(&[f32], &[f32], [usize; 3]) -> Vec<f32>,
    attend: impl Fn(Attention, [&[f32]; 4]) -> Vec<f32>,
) -> Vec<f32> {
    let n = x.len() / d;
    let (ones, zeros) = (vec![1.0; d], vec![0.0; d.max(n)]);
    let add = |x: &mut [f32], y: Vec<f32>| x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    let sizes = Attention { batch: 1, n, m: n, d, heads: 4, key_heads: 4, past: None, dropout: None };
    for layer in 0..layers {
        let weight = |at: u32, inputs: usize, outputs: usize| -> Vec<f32> {
            let spread = 0.2 / (inputs as f32).sqrt();
            values(inputs * outputs, 100 * layer + at).iter().map(|v| v * spread).collect()
        };
        let normed = cpu::layer_norm(&x, &ones, &zeros[..d], 1e-5);
        let [q, k, v] = [1, 2, 3].map(|at| product(&normed, &weight(at, d, d), [n, d, d]));
        let attended = attend(sizes, [&q, &k, &v, &zeros[..n]]);
        add(&mut x, product(&attended, &weight(4, d, d), [n, d, d]));
        let normed = cpu::layer_norm(&x, &ones, &zeros[..d], 1e-5);
        let inner = cpu::map(&product(&normed, &weight(5, d, 4 * d), [n, d, 4 * d]), math::gelu);
        add(&mut x, product(&inner, &weight(6, 4 * d, d), [n, 4 * d, d]));
    }
    cpu::layer_norm(&x, &ones, &zeros[..d], 1e-5)
}

#[test]
fn many_blocks_stay_close_to_f32() {
    let (d, n) = (64, 50);
    let exact = |x: &[f32], w: &[f32], shape: [usize; 3]| {
        reference(x, w, shape, &vec![0.0; shape[2]]).iter().map(|[sum, _]| *sum as f32).collect::<Vec<f32>>()
    };
    for seed in 0..3 {
        let x = values(n * d, 1000 + 2 * seed);
        let right = blocks(x.clone(), d, 12, exact, |sizes, [q, k, v, bias]| sizes.forward(q, k, v, bias));
        let fixed = |x: &[f32], w: &[f32], shape: [usize; 3]| product(x, w, shape, None);
        let got = blocks(x, d, 12, fixed, |sizes, inputs| sizes.forward_fixed(inputs));
        for (a, b) in right.chunks(d).zip(got.chunks(d)) {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            assert!(cosine > 0.999_99, "{cosine}");
        }
    }
}
