//! What a run trains: a method's model, and the image encoder where a part of it trains.
//!
//! The model's parameters have their own names; those of the encoder stand behind [`IMAGE_ENCODER`], in groups, gradients,
//! the optimiser's state and checkpoints.

use super::gradients::ParameterGradients;
use super::groups::{self, Group};
use super::optimizer::AdamW;
use super::schedule::Point;
use crate::error::Result;
use crate::features::ImageTokens;
use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Gradients, Int, Tensor, TensorData};
use std::collections::BTreeMap;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::AdapterConfig;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::nn::basic::in_precision;
use thisbut_model::retrieval::ENCODER_PREFIX;
use thisbut_model::weights::named::{self, Mapper};
use thisbut_model::weights::{self, Tensors};

/// The image encoder's parameters begin with this: [`ENCODER_PREFIX`] and a dot.
pub const IMAGE_ENCODER: &str = "image_encoder.";

/// Modules with one namespace of parameters.
#[derive(Clone, Debug)]
pub struct Learner<M> {
    /// The method's own.
    pub model: M,
    /// The image encoder, where a part of it trains. Elsewhere its tokens come ready made.
    pub image_encoder: Option<ImageEncoder>,
    /// Whether the encoder's adapters alone train: then checkpoints hold these, and the rest of it is the base encoder's.
    adapters_alone: bool,
}

impl<M: Module> Learner<M> {
    /// `model` with an encoder of `config` beside it where `groups` train a part of one, both with random weights on `device`.
    pub fn new(model: M, config: &RetrievalConfig, groups: &[Group], device: &Device) -> Self {
        let encoder = ImageEncoder::new(config, device);
        let names = weights::shapes(&encoder, ENCODER_PREFIX);
        let mut trained = names.keys().filter(|name| !groups::is_frozen(groups, name)).peekable();
        let trains = trained.peek().is_some();
        let adapters_alone = trained.all(|name| AdapterConfig::owns(name));
        Self { model, image_encoder: trains.then_some(encoder), adapters_alone }
    }

    /// The same encoder beside another form of the model.
    pub fn map(self, change: impl FnOnce(M) -> M) -> Self {
        Self { model: change(self.model), ..self }
    }

    /// Names and dimensions of all parameters. Nothing is allocated.
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = weights::shapes(&self.model, "");
        shapes.extend(self.image_encoder.iter().flat_map(|encoder| weights::shapes(encoder, ENCODER_PREFIX)));
        shapes
    }

    /// The same with the values of `tensors`, of which every parameter is taken.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub fn load(self, tensors: &mut Tensors) -> Result<Self> {
        let encoder = self.image_encoder.map(|encoder| weights::load(encoder, ENCODER_PREFIX, tensors)).transpose()?;
        Ok(Self { model: weights::load(self.model, "", tensors)?, image_encoder: encoder, ..self })
    }

    /// The values of all parameters that a checkpoint holds: of an encoder whose adapters alone train, those.
    ///
    /// # Errors
    /// When the device does not give them back.
    pub fn collect(&self) -> Result<Tensors> {
        let mut tensors = weights::collect(&self.model, "")?;
        if let Some(encoder) = &self.image_encoder {
            let mut all = weights::collect(encoder, ENCODER_PREFIX)?;
            all.retain(|name, _| !self.adapters_alone || AdapterConfig::owns(name));
            tensors.append(&mut all);
        }
        Ok(tensors)
    }

    /// The same with what `groups` leave as it is outside the gradient's graph.
    pub fn freeze(self, groups: &[Group]) -> Self {
        let encoder = self.image_encoder.map(|encoder| freeze(encoder, ENCODER_PREFIX, groups));
        Self { model: freeze(self.model, "", groups), image_encoder: encoder, ..self }
    }

    /// The same weights outside the gradient's graph.
    pub fn valid(&self) -> Self {
        let image_encoder = self.image_encoder.as_ref().map(Module::valid);
        Self { model: self.model.valid(), image_encoder, adapters_alone: self.adapters_alone }
    }

    /// The same with `model` in the place of its own and the encoder computing in `precision`; gradients arrive here.
    pub fn computing(&self, model: M, precision: FloatDType) -> Self {
        let encoder = self.image_encoder.as_ref().map(|encoder| match precision {
            FloatDType::F32 => encoder.clone(),
            other => in_precision(encoder, other),
        });
        Self { model, image_encoder: encoder, adapters_alone: self.adapters_alone }
    }

    /// What a backward pass left for the parameters.
    pub fn gradients(&self, gradients: &Gradients) -> ParameterGradients {
        let mut found = ParameterGradients::of(&self.model, gradients);
        if let Some(encoder) = &self.image_encoder {
            found.add(ParameterGradients::behind(ENCODER_PREFIX, encoder, gradients));
        }
        found
    }

    /// One update of all parameters that have a gradient. Returns the gradient's norm.
    ///
    /// # Errors
    /// As [`AdamW::update`].
    pub fn update(self, optimizer: &mut AdamW, grads: &ParameterGradients, at: Point) -> Result<(Self, f64)> {
        let pace = optimizer.begin(grads, at)?;
        let model = optimizer.apply(self.model, "", grads, pace);
        let encoder = self.image_encoder.map(|encoder| optimizer.apply(encoder, ENCODER_PREFIX, grads, pace));
        Ok((Self { model, image_encoder: encoder, ..self }, pace.norm))
    }

    /// Where image tokens come from: the encoder in this learner, else `given`.
    pub fn images<'a>(&'a self, given: &'a dyn ImageTokens) -> Images<'a> {
        Images { encoder: self.image_encoder.as_ref(), adapters_alone: self.adapters_alone, given }
    }
}

/// `module`, whose parameters' names stand behind `prefix`, with what `groups` leave as it is outside the gradient's graph.
pub fn freeze<M: Module>(module: M, prefix: &str, groups: &[Group]) -> M {
    struct Freeze<'a>(&'a [Group]);
    impl Mapper for Freeze<'_> {
        fn change<const D: usize>(&mut self, name: String, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if groups::is_frozen(self.0, &name) { param.set_require_grad(false) } else { param }
        }
    }
    named::map(module, prefix, &mut Freeze(groups))
}

/// Image tokens as a learner sees them: ready made, or from its own encoder and in the graph.
pub struct Images<'a> {
    encoder: Option<&'a ImageEncoder>,
    /// Whether nothing but its adapters trains, so that what stands before them is the given encoder's.
    adapters_alone: bool,
    given: &'a dyn ImageTokens,
}

impl ImageTokens for Images<'_> {
    fn row(&self, name: &str) -> Result<usize> {
        self.given.row(name)
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        let Some(encoder) = self.encoder else { return self.given.tokens(rows, device) };
        // An image may be several triplets' reference or target; it is encoded once.
        let mut different = rows.to_vec();
        different.sort_unstable();
        different.dedup();
        let places: Vec<i32> = rows.iter().filter_map(|row| Some(different.binary_search(row).ok()? as i32)).collect();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [rows.len()]), device);
        let fronts = if self.adapters_alone { self.given.fronts(&different, device)? } else { None };
        let tokens = match fronts {
            Some(fronts) => encoder.behind(fronts),
            None => encoder.forward(self.given.pixels(&different, device)?),
        };
        Ok(tokens.select(0, places).cast(FloatDType::F32))
    }

    fn left_out(&self, name: &str) -> bool {
        self.given.left_out(name)
    }

    fn pixels(&self, rows: &[usize], device: &Device) -> Result<Tensor<4>> {
        self.given.pixels(rows, device)
    }
}
