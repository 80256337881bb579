#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::super::math;
use super::*;

fn values(n: usize, seed: u32) -> Vec<f32> {
    (0..n as u32)
        .map(|i| (math::uniform(i, seed) * 2.0 - 1.0) * (1.0 + 30.0 * math::uniform(i / 7, seed + 1).powi(8)))
        .collect()
}

/// Codes as the kernels see them, in f64, and results from them.
fn reference(x: &[f32], w: &[f32], inputs: usize, outputs: usize, [code_x, code_w]: [bool; 2]) -> Vec<f64> {
    let coded = |values: Vec<f64>, by_block: bool| -> Vec<f64> {
        values
            .chunks(BLOCK)
            .flat_map(|block| {
                let scale = block.iter().fold(0.0f64, |m, v| m.max(v.abs())) / 127.0;
                let scale = if scale > 0.0 { scale } else { 1.0 };
                block
                    .iter()
                    .map(move |v| if by_block { (v / scale).round_ties_even() * scale } else { *v })
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let column = |o: usize| coded((0..inputs).map(|i| f64::from(w[i * outputs + o])).collect(), code_w);
    let columns: Vec<Vec<f64>> = (0..outputs).map(column).collect();
    x.chunks_exact(inputs)
        .flat_map(|row| {
            let row = coded(row.iter().map(|v| f64::from(*v)).collect(), code_x);
            columns.iter().map(|c| c.iter().zip(&row).map(|(a, b)| a * b).sum()).collect::<Vec<f64>>()
        })
        .collect()
}

fn results(path: Path, x: &[f32], w: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    let matrix = Int8Matrix::new(w, inputs, outputs, Order::InputsFirst);
    let [values] = apply(path, x, inputs, [[Some(&matrix), None]]);
    values
}

#[test]
fn products_of_every_size_match_and_paths_agree_to_the_bit() {
    assert!(Path::all().contains(&Path::Portable));
    for (rows, inputs, outputs) in [
        (1, 1, 1),
        (1, 32, 32),
        (2, 33, 31),
        (3, 64, 96),
        (5, 7, 65),
        (6, 100, 33),
        (7, 576, 40),
        (13, 129, 70),
        (31, 65, 1),
    ] {
        let (x, w) = (values(rows * inputs, 3), values(inputs * outputs, 5));
        let expected = reference(&x, &w, inputs, outputs, [true, true]);
        let best = results(Path::best(), &x, &w, inputs, outputs);
        let size = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        for (got, expected) in best.iter().zip(&expected) {
            // A value halfway between two codes may go either way in f32.
            assert!((f64::from(*got) - expected).abs() < 2e-3 * size, "{rows} {inputs} {outputs}: {got} {expected}");
        }
        for path in Path::all() {
            assert_eq!(results(path, &x, &w, inputs, outputs), best, "{path:?} {rows} {inputs} {outputs}");
        }
        // Sixteen bits of activations leave the weights' error alone.
        let fine = Int8Matrix::new(&w, inputs, outputs, Order::InputsFirst).fine();
        let [fine] = apply(Path::best(), &x, inputs, [[Some(&fine), None]]);
        for (got, expected) in fine.iter().zip(reference(&x, &w, inputs, outputs, [false, true])) {
            assert!((f64::from(*got) - expected).abs() < 2e-4 * size, "{rows} {inputs} {outputs}: {got} {expected}");
        }
        // Eight bits against none: a hundredth of the largest.
        for (got, exact) in best.iter().zip(reference(&x, &w, inputs, outputs, [false, false])) {
            assert!((f64::from(*got) - exact).abs() < 0.02 * size.max(1.0), "{rows} {inputs} {outputs}: {got} {exact}");
        }
    }
}

#[test]
fn extremes_do_not_overflow_and_zeros_stay_zeros() {
    let (rows, inputs, outputs) = (7, 1536, 33);
    for (a, b) in
        [(1.0f32, 1.0f32), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (1e15, -1e15), (0.0, 1.0), (1.0, 0.0), (1e-38, 1.0)]
    {
        for path in Path::all() {
            let got = results(path, &vec![a; rows * inputs], &vec![b; inputs * outputs], inputs, outputs);
            let exact = if a.abs() < 1e-30 { 0.0 } else { f64::from(a) * f64::from(b) * inputs as f64 };
            for v in got {
                assert!((f64::from(v) - exact).abs() <= exact.abs() * 1e-5, "{path:?} {a} {b}: {v} {exact}");
            }
        }
    }
    // What is not a number spoils its own row only, and nothing panics.
    let mut x = values(rows * inputs, 3);
    let w = values(inputs * outputs, 5);
    let clean = results(Path::best(), &x, &w, inputs, outputs);
    x[2 * inputs + 5] = f32::NAN;
    x[4 * inputs + 9] = f32::INFINITY;
    let got = results(Path::best(), &x, &w, inputs, outputs);
    for row in [0, 1, 3, 5, 6] {
        assert_eq!(got[row * outputs..(row + 1) * outputs], clean[row * outputs..(row + 1) * outputs]);
    }
}

#[test]
fn a_row_alone_gives_what_it_gives_among_others() {
    let (rows, inputs, outputs) = (17, 96, 130);
    let (x, w) = (values(rows * inputs, 3), values(inputs * outputs, 5));
    let all = results(Path::best(), &x, &w, inputs, outputs);
    for row in 0..rows {
        let one = results(Path::best(), &x[row * inputs..(row + 1) * inputs], &w, inputs, outputs);
        assert_eq!(one, all[row * outputs..(row + 1) * outputs], "{row}");
    }
}

#[test]
fn several_maps_at_once_and_the_gated_one_are_what_they_are_one_by_one() {
    let device = burn::tensor::Device::flex();
    let (rows, inputs, outputs) = (9, 70, 50);
    let x = Tensor::<1>::from_floats(values(rows * inputs, 3).as_slice(), &device).reshape([rows, inputs]);
    let w: Vec<Vec<f32>> = [5, 6].map(|seed| values(inputs * outputs, seed)).into();
    let [gate, up] = [0, 1].map(|i| Int8Matrix::new(&w[i], inputs, outputs, Order::InputsFirst));
    let read = |x: Tensor<2>| x.into_data().try_to_vec::<f32>().unwrap();
    let [g, u] = [&gate, &up].map(|map| read(linear(x.clone(), map)));
    assert_eq!(three(x.clone(), [&gate, &up, &gate]).map(read), [g.clone(), u.clone(), g.clone()]);
    for ((got, g), u) in read(swiglu(x, &gate, &up)).into_iter().zip(g).zip(u) {
        let exact = g / (1.0 + (-g).exp()) * u;
        assert!((got - exact).abs() <= 1e-5 * exact.abs().max(1.0), "{got} {exact}");
    }
}

#[test]
fn weights_come_back_and_whole_codes_are_kept() {
    // Codes of Q8_0 with scales of their own: nothing is lost.
    let (inputs, outputs) = (64, 40);
    let scale = |o: usize, block: usize| half::f16::from_f32(0.01 + 0.003 * (o * 2 + block) as f32).to_f32();
    let code = |o: usize, i: usize| if i % BLOCK == 3 { 127.0 } else { ((o * 31 + i * 57) % 255) as f32 - 127.0 };
    let table: Vec<f32> = (0..outputs * inputs)
        .map(|at| (at / inputs, at % inputs))
        .map(|(o, i)| code(o, i) * scale(o, i / BLOCK))
        .collect();
    let matrix = Int8Matrix::new(&table, inputs, outputs, Order::OutputsFirst);
    assert_eq!((matrix.inputs(), matrix.outputs()), (inputs, outputs));
    for o in 0..outputs {
        for (i, got) in matrix.weights_of(o).into_iter().enumerate() {
            let exact = code(o, i) * scale(o, i / BLOCK);
            assert!((got - exact).abs() <= exact.abs() * 3e-7, "{o} {i}: {got} {exact}");
        }
    }
    assert_eq!(matrix.weights_of(outputs), vec![0.0; inputs]);
    let turned: Vec<f32> = (0..inputs * outputs).map(|at| table[at % outputs * inputs + at / outputs]).collect();
    let turned = Int8Matrix::new(&turned, inputs, outputs, Order::InputsFirst);
    assert_eq!(turned.weights_of(7), matrix.weights_of(7));
}
