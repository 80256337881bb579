//! EfficientNet-Lite0 against the upstream PyTorch package, with the real ImageNet weights: stem, every block, grid.
//! Golden values and where they come from: `tests/golden/efficientnet.py`.

use burn::tensor::{Device, Tensor, TensorData};
use thisbut_model::RetrievalConfig;
use thisbut_tests::upstream::{Outcome, SMALL, Table, golden_json, numbers, real_weights};
use thisbut_trainer::import;

/// The golden input: a pixel value made of integers, under the model's normalisation.
fn pixels(size: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(3 * size * size);
    for c in 0..3 {
        for y in 0..size {
            for x in 0..size {
                let p = (x * 7 + y * 13 + c * 29 + (x * y) / 16) % 256;
                out.push((p as f32 - 127.0) / 128.0);
            }
        }
    }
    out
}

#[test]
fn stem_blocks_and_grid_match() -> Outcome {
    let Some(path) = real_weights(&["efficientnet-lite0-57934424.pth"], SMALL)? else { return Ok(()) };
    let golden = golden_json("efficientnet.json")?;
    let device = Device::flex();
    let config = RetrievalConfig::preset("web-s")?;
    let folder = path.parent().ok_or("the weights lie in no folder")?;
    let encoder = import::load_image_encoder(&config, folder, &device)?;
    let network = encoder.efficientnet.as_ref().ok_or("web-s has another encoder")?;

    let size = config.preprocess.size;
    let input: Tensor<4> = Tensor::from_data(TensorData::new(pixels(size), [1, 3, size, size]), &device);
    let mut trace = Vec::new();
    let grid = network.forward(input.clone(), Some(&mut trace));
    let names = std::iter::once("stem".to_owned()).chain((0..16).map(|i| format!("block{i}")));
    let mut stages: Vec<(String, Tensor<4>)> = names.zip(trace).collect();
    stages.push(("head".into(), grid));
    assert_eq!(stages.len(), 18);

    let mut table = Table::default();
    let mut last = Vec::new();
    for (name, tensor) in stages {
        let stage = &golden["layers"][&name];
        let dims: Vec<f32> = tensor.dims()[1..].iter().map(|d| *d as f32).collect();
        assert_eq!(dims, numbers(&stage["shape"]), "{name}");
        last = tensor.into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?;
        let got: Vec<f32> = numbers(&stage["indices"]).iter().map(|i| last[*i as usize]).collect();
        table.relative(format!("{name}, 64 elements"), &got, &numbers(&stage["values"]), 1e-4);
        let mean = last.iter().map(|x| f64::from(*x)).sum::<f64>() / last.len() as f64;
        let variance = last.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / last.len() as f64;
        let scale = stage["std"].as_f64().ok_or("no std")?;
        let off = (mean - stage["mean"].as_f64().ok_or("no mean")?).abs().max((variance.sqrt() - scale).abs());
        table.add(format!("{name}, mean and spread of all"), (off / scale) as f32, 1e-4);
    }

    // `last` is the grid, [1280, 7, 7]. Every channel at the stored positions, each element by itself.
    let (channels, side) = (1280, 7);
    for (at, expected) in golden["grid"]["positions"].as_array().into_iter().flatten().zip(0..) {
        let position: Vec<usize> = numbers(at).iter().map(|x| *x as usize).collect();
        let cell = position[0] * side + position[1];
        let got: Vec<f32> = (0..channels).map(|c| last[c * side * side + cell]).collect();
        let expected = numbers(&golden["grid"]["values"][expected as usize]);
        table.relative(format!("grid at {position:?}, 1280 channels"), &got, &expected, 1e-4);
        // Below a thousandth of the largest value, rounding of the sums dominates any relative measure.
        let floor = expected.iter().fold(0.0f32, |m, x| m.max(x.abs())) * 1e-3;
        let worst = got.iter().zip(&expected).filter(|(_, e)| e.abs() > floor).map(|(g, e)| ((g - e) / e).abs());
        table.add(format!("grid at {position:?}, each element"), worst.fold(0.0, f32::max), 1e-3);
    }

    // The encoder's tokens are the grid, cell by cell.
    let tokens = encoder.forward(input).into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?;
    let cells = side * side;
    let by_cell: Vec<f32> =
        (0..cells).flat_map(|p| (0..channels).map(move |c| (c, p))).map(|(c, p)| last[c * cells + p]).collect();
    table.relative("tokens are the grid's cells", &tokens, &by_cell, 0.0);
    table.finish("EfficientNet-Lite0")
}
