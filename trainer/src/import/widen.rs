//! A trained model for image tokens that have the colours of their cells too.

use crate::error::{Result, TrainerError};
use burn::tensor::Device;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::ImageEncoderConfig;
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::colours::COUNT;
use thisbut_model::weights::Tensors;

/// The architecture of `config` with colours in its image tokens, and `model`'s tensors for it: maps of image tokens get rows of
/// zeros for the new channels, so that it answers as before until it is trained further.
///
/// # Errors
/// When the encoder is another than EfficientNet-Lite or has colours already, and when the family normalises image tokens, which
/// more channels would change.
pub fn with_colours(config: &RetrievalConfig, model: Tensors) -> Result<(RetrievalConfig, Tensors)> {
    let refused = |problem: &str| TrainerError::settings("--colours", problem, "leave it out");
    let mut wide = config.clone();
    match &mut wide.image_encoder {
        ImageEncoderConfig::EfficientnetLite { colours: true, .. } => {
            return Err(refused("the model's image tokens have colours already"));
        }
        ImageEncoderConfig::EfficientnetLite { colours, .. } => *colours = true,
        _ => return Err(refused("only the tokens of EfficientNet-Lite can have colours")),
    }
    wide.name = format!("{}-colours", config.name);
    wide.check(&wide.name)?;
    let shapes = AnyMethod::new(&wide, &Device::flex())?.shapes("");
    let widened = |(name, (dims, mut values)): (String, (Vec<usize>, Vec<f32>))| {
        let wanted = shapes.get(&name).unwrap_or(&dims).clone();
        match (&wanted[..], &dims[..]) {
            (wanted, dims) if wanted == dims => {}
            ([rows, outputs], [c, same]) if *rows == c + COUNT && outputs == same => {
                values.resize(rows * outputs, 0.0);
            }
            _ => {
                return Err(refused(&format!(
                    "the tensor {name} is no map of image tokens: the model would answer otherwise"
                )));
            }
        }
        Ok((name, (wanted, values)))
    };
    let model = model.into_iter().map(widened).collect::<Result<Tensors>>()?;
    Ok((wide, model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tensor};
    use thisbut_model::error::ModelError;
    use thisbut_model::method::EncodedImage;
    use thisbut_model::nn::{Noise, TextBatch};

    fn query(config: &RetrievalConfig, model: &Tensors, tokens: Tensor<3>) -> Vec<f32> {
        let device = Device::flex();
        let mut fetch = |name: &str| Ok::<_, ModelError>(model.get(name).cloned());
        let method = AnyMethod::new(config, &device).unwrap().load_from("", &mut fetch).unwrap();
        let text = TextBatch::new(&[(vec![101, 2417, 102], vec![true; 3])], &device);
        let image = method.image(EncodedImage { tokens });
        let query = method.query(Some(&image), &text, &Noise::off()).unwrap();
        query.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_model_answers_as_before_whatever_the_colours() {
        let (config, device) = (RetrievalConfig::preset("web-xs").unwrap(), Device::flex());
        let model = AnyMethod::new(&config, &device).unwrap().collect("").unwrap();
        let (wide, widened) = with_colours(&config, model.clone()).unwrap();
        assert_eq!(wide, RetrievalConfig::preset("web-xs-colours").unwrap());
        let tokens = Tensor::random([1, 49, 1280], Distribution::Uniform(0.0, 1.0), &device);
        let colours = Tensor::random([1, 49, COUNT], Distribution::Uniform(0.0, 4.0), &device);
        let before = query(&config, &model, tokens.clone());
        let after = query(&wide, &widened, Tensor::cat(vec![tokens, colours], 2));
        let apart = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "{apart}");

        let refused =
            |config: &RetrievalConfig, model: &Tensors| with_colours(config, model.clone()).unwrap_err().to_string();
        assert!(refused(&wide, &widened).contains("have colours already"));
        let other = RetrievalConfig::preset("tiny").unwrap();
        assert!(refused(&other, &model).contains("only the tokens of EfficientNet-Lite"));
        let dual = RetrievalConfig::preset("dual-xs").unwrap();
        let normed = AnyMethod::new(&dual, &device).unwrap().collect("").unwrap();
        assert!(refused(&dual, &normed).contains("is no map of image tokens"));
    }
}
