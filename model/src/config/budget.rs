//! What a configuration may ask for. A configuration comes with a bundle or a checkpoint of anybody, so everything that is
//! allocated by its word alone is counted, and refused, before the first allocation.

use super::{RetrievalConfig, wrong};
use crate::error::Result;
use std::ops::Add;

/// Most parameters of a model (BLIP-2 with ViT-g: 1.2 · 10⁹).
pub const MAX_PARAMETERS: u64 = 1 << 33;
/// Most values that a model holds before it is given weights: biases and norms are filled when it is built (BLIP-2 with
/// ViT-g: 8 · 10⁵). 128 MiB in f32.
const MAX_STANDING: u64 = 1 << 25;
/// Most values of the largest array of one image or one text on its way through the model. 128 MiB in f32.
const MAX_ACTIVATION: u64 = 1 << 25;
/// Most multiplications for one image with one text (BLIP-2 with ViT-g: 3 · 10¹¹): more is an answer after minutes.
const MAX_WORK: u64 = 1 << 42;
/// Most blocks in a row (ViT-g: 39).
pub(super) const MAX_LAYERS: usize = 1024;
/// Most tokens of a text (BERT: 512).
pub(super) const MAX_TEXT_TOKENS: usize = 4096;

/// What a module takes, counted from its configuration. Sums and products stop at the largest number instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Its parameters.
    pub parameters: u64,
    /// Those of them that have values from the start.
    pub standing: u64,
}

impl Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            parameters: self.parameters.saturating_add(other.parameters),
            standing: self.standing.saturating_add(other.standing),
        }
    }
}

impl Size {
    /// A linear map with a bias.
    pub fn linear(inputs: usize, outputs: usize) -> Self {
        Self::table(inputs, outputs) + Self::values(outputs)
    }

    /// A table, or a linear map without a bias.
    pub fn table(rows: usize, columns: usize) -> Self {
        Self { parameters: product(&[rows, columns]), standing: 0 }
    }

    /// A vector that has its values from the start.
    pub fn values(count: usize) -> Self {
        Self { parameters: count as u64, standing: count as u64 }
    }

    /// A layer norm.
    pub fn norm(width: usize) -> Self {
        Self::values(width) + Self::values(width)
    }

    /// `count` of these.
    pub fn times(self, count: usize) -> Self {
        let times = |values: u64| values.saturating_mul(count as u64);
        Self { parameters: times(self.parameters), standing: times(self.standing) }
    }
}

/// What a part of a model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Its parameters.
    pub size: Size,
    /// Values of its largest array for one image or one text.
    pub activation: u64,
    /// Multiplications for one image with one text.
    pub work: u64,
}

/// The product of sizes, or the largest number where it is larger.
pub fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |product: u64, size| product.saturating_mul(*size as u64))
}

impl RetrievalConfig {
    /// What the image encoder and the method take together.
    pub fn demand(&self) -> Demand {
        let (encoder, method) = (self.image_encoder.demand(self.preprocess.size), self.method.family().demand(self));
        Demand {
            size: encoder.size + method.size,
            activation: encoder.activation.max(method.activation),
            work: encoder.work.saturating_add(method.work),
        }
    }

    /// Refuses a configuration whose fields are in their ranges one by one, and ask for too much together.
    pub(super) fn check_budget(&self, place: &str) -> Result<()> {
        let Demand { size, activation, work } = self.demand();
        let counts = [
            ("parameters", size.parameters, MAX_PARAMETERS),
            ("biases and norms", size.standing, MAX_STANDING),
            ("values in one array for one image or text", activation, MAX_ACTIVATION),
            ("multiplications for one image with one text", work, MAX_WORK),
        ];
        match counts.iter().find(|(_, count, most)| count > most) {
            Some((what, count, most)) => {
                let problem = format!("its sizes make {count} {what}, more than {most}");
                wrong(place, "the whole model", problem)
            }
            None => Ok(()),
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::ImageEncoderConfig;
    use super::*;
    use crate::method::AnyMethod;
    use crate::nn::ImageEncoder;
    use crate::weights;
    use burn::tensor::Device;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    /// Parameters of a module, and those that are vectors.
    fn counted(shapes: &BTreeMap<String, Vec<usize>>) -> [u64; 2] {
        let sum = |all: bool| {
            let of = shapes.values().filter(|dims| all || dims.len() == 1);
            of.map(|dims| dims.iter().product::<usize>() as u64).sum()
        };
        [sum(true), sum(false)]
    }

    #[test]
    fn the_count_is_that_of_the_modules() {
        let device = Device::flex();
        let own = RetrievalConfig::preset("web-xs").unwrap();
        let mut second = RetrievalConfig::preset("tiny").unwrap();
        second.two_pass_mut().unwrap().own_second_pass = true;
        let presets = RetrievalConfig::PRESETS.iter().map(|(name, _)| RetrievalConfig::preset(name).unwrap());
        for config in presets.chain([own, second]) {
            config.check(&config.name).unwrap();
            let method = counted(&AnyMethod::new(&config, &device).unwrap().shapes(""));
            let size = config.method.family().demand(&config).size;
            assert_eq!([size.parameters, size.standing], method, "{}", config.name);
            let encoder = counted(&weights::shapes(&ImageEncoder::new(&config, &device), ""));
            let size = config.image_encoder.demand(config.preprocess.size).size;
            match config.image_encoder {
                // Its widths are fixed: a bound will do.
                ImageEncoderConfig::EfficientnetLite { .. } => {
                    assert!(size.parameters >= encoder[0] && size.parameters < 2 * encoder[0]);
                    assert!(size.standing >= encoder[1]);
                }
                // The class token is a vector without values at first.
                ImageEncoderConfig::Vit(ref vit) => {
                    assert_eq!([size.parameters, size.standing + vit.width as u64], encoder, "{}", config.name);
                }
                ImageEncoderConfig::Patch { .. } => assert_eq!([size.parameters, size.standing], encoder),
            }
        }
    }

    /// A preset with values at these places.
    fn with(preset: &str, changes: &[(&str, Value)]) -> String {
        let json = RetrievalConfig::PRESETS.iter().find(|(name, _)| *name == preset).unwrap().1;
        let mut config: Value = serde_json::from_str(json).unwrap();
        for (place, value) in changes {
            let (folder, field) = place.rsplit_once('/').unwrap();
            config.pointer_mut(folder).unwrap()[field] = value.clone();
        }
        config.to_string()
    }

    #[test]
    fn absurd_sizes_are_refused_whoever_reads_them() {
        let q = "/method/qformer";
        let hostile = [
            ("tiny", vec![("/method/qformer/layers", json!(1 << 20))], "layers"),
            ("tiny", vec![("/method/qformer/image_width", json!(1_000_000_000))], "image_width"),
            ("tiny", vec![("/method/qformer/word_width", json!(u64::MAX))], "word_width"),
            ("tiny", vec![("/method/qformer/positions", json!(u64::MAX))], "positions"),
            ("tiny", vec![("/image_encoder/width", json!(1_u64 << 33))], "width"),
            ("tiny", vec![("/image_encoder/width", json!(u64::MAX))], "width"),
            ("tiny", vec![("/image_encoder/width", json!(1 << 20)), ("/preprocess/size", json!(128))], "one array"),
            ("tiny", vec![("/image_encoder/width", json!(0))], "width"),
            ("tiny", vec![("/image_encoder/patch", json!(0))], "patch"),
            ("blip2-vit-g", vec![("/image_encoder/intermediate", json!(1 << 17))], "image_encoder.intermediate"),
            ("tiny", vec![("/preprocess/pad_ratio", json!(0.5))], "preprocess.pad_ratio"),
            ("tiny", vec![("/preprocess/std", json!([0, 0, 0]))], "preprocess.std"),
            ("tiny", vec![("/text/length", json!(1 << 20))], "length"),
            ("tiny", vec![("/text/vocabulary", json!(u64::MAX))], "vocabulary"),
            ("tiny", vec![("/projection", json!(1 << 20))], "projection"),
            ("tiny", vec![("/method/qformer/layer_norm_eps", json!(-1.0))], "layer_norm_eps"),
            // Each in its range, together terabytes.
            (
                "tiny",
                vec![("/method/qformer/width", json!(1 << 16)), ("/method/qformer/layers", json!(1024))],
                "parameters",
            ),
            (
                "tiny",
                vec![("/method/qformer/intermediate", json!(1 << 20)), ("/method/qformer/layers", json!(1024))],
                "whole model",
            ),
            (
                "tiny",
                vec![("/method/qformer/layers", json!(1024)), ("/method/qformer/intermediate", json!(20_000))],
                "biases",
            ),
            ("web-s", vec![("/preprocess/size", json!(2048))], "one array"),
            ("blip2-vit-g", vec![("/image_encoder/layers", json!(1025))], "1024"),
            ("blip2-vit-g", vec![("/image_encoder/width", json!(1 << 16))], "parameters"),
            ("blip2-vit-g", vec![("/image_encoder/patch", json!(1)), ("/preprocess/size", json!(2048))], "one array"),
            (
                "blip2-vit-g",
                vec![("/preprocess/size", json!(784)), ("/image_encoder/layers", json!(78))],
                "multiplications",
            ),
        ];
        assert!(with("tiny", &[(&format!("{q}/layers"), json!(3))]).contains("\"layers\":3"));
        for (preset, changes, named) in hostile {
            let json = with(preset, &changes);
            let message = RetrievalConfig::parse(&json, "x.json").unwrap_err().to_string();
            assert!(message.starts_with("x.json: ") && message.contains(named), "{changes:?}: {message}");
            // A checkpoint's header holds a configuration among other fields.
            let message = serde_json::from_str::<RetrievalConfig>(&json).unwrap_err().to_string();
            assert!(message.contains(named), "{changes:?}: {message}");
        }
        let long = format!("{}{}", RetrievalConfig::PRESETS[0].1, " ".repeat(1 << 20));
        assert!(RetrievalConfig::parse(&long, "x.json").unwrap_err().to_string().contains("too long"));
    }

    #[test]
    fn products_stop_at_the_largest_number() {
        assert_eq!(product(&[3, 4, 5]), 60);
        assert_eq!(product(&[usize::MAX, usize::MAX]), u64::MAX);
        let most = Size::linear(usize::MAX, usize::MAX).times(usize::MAX);
        assert_eq!(most, Size { parameters: u64::MAX, standing: u64::MAX });
    }
}
