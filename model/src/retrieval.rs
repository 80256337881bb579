//! A model that answers: image encoder, method, tokenizer and configuration on one device. It is the one place where a
//! text becomes a batch, and an image and a text become a query or a target: the query engine, evaluation, indexing and
//! the browser all hold one, so that a figure measured with one holds for the others.
//!
//! Reading a value back from a WebGPU device is asynchronous in a browser, so everything that reads one is `async`; on a
//! CPU the futures are ready at once.

use crate::config::RetrievalConfig;
use crate::error::{ModelError, Result};
use crate::gallery::parse_reference;
use crate::image::{Rgba, preprocess};
use crate::method::{AnyImage, AnyMethod, EncodedImage};
use crate::nn::{ImageEncoder, Noise};
use crate::quant::StoredWeights;
use crate::text::{TextReader, Tokens};
use crate::weights::{self, Fetch};
use burn::tensor::{Device, FloatDType, Tensor};
use thisbut_kernels as kernels;

/// Names of a model's tensors in a bundle: the image encoder's and the trained method's.
pub const ENCODER_PREFIX: &str = "image_encoder";
/// See [`ENCODER_PREFIX`].
pub const MODEL_PREFIX: &str = "model";

/// Images after the image encoder, ready for queries and targets.
#[derive(Clone, Debug)]
pub struct EncodedImages {
    images: AnyImage,
    count: usize,
}

impl EncodedImages {
    /// How many they are.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// What one query looked at; see [`Attention`](crate::method::Attention).
#[derive(Clone, Debug)]
pub struct Looked {
    /// `[T]`.
    pub image: Vec<f32>,
    /// `[L]`.
    pub text: Vec<f32>,
    /// `[T, L]`.
    pub pairs: Vec<f32>,
}

/// A model that answers.
#[derive(Clone, Debug)]
pub struct Retrieval {
    config: RetrievalConfig,
    encoder: Option<ImageEncoder>,
    method: AnyMethod,
    texts: TextReader,
    device: Device,
}

impl Retrieval {
    /// A model from its parts, all on `device`. Without an image encoder it starts from tokens that were made elsewhere.
    pub fn new(
        config: RetrievalConfig,
        encoder: Option<ImageEncoder>,
        method: impl Into<AnyMethod>,
        texts: TextReader,
        device: &Device,
    ) -> Self {
        Self { config, encoder, method: method.into(), texts, device: device.clone() }
    }

    /// A bundle's model from its named weights, each unpacked when its place is reached. Without any tensor behind
    /// [`ENCODER_PREFIX`] it has no image encoder.
    ///
    /// # Errors
    /// [`ModelError::Weights`] when a tensor is missing or has another shape, [`ModelError::Format`] when the vocabulary
    /// does not fit.
    pub fn load(
        config: RetrievalConfig,
        weights: impl Into<StoredWeights>,
        vocabulary: &str,
        device: &Device,
    ) -> Result<Self> {
        let mut stored = weights.into();
        let of_encoder = |name: &str| name.strip_prefix(ENCODER_PREFIX).is_some_and(|rest| rest.starts_with('.'));
        let encoded = stored.names().any(of_encoder);
        let mut fetch = |name: &str| Ok::<_, ModelError>(stored.take(name));
        let encoder = match encoded {
            true => Some(weights::load_from(ImageEncoder::new(&config, device), ENCODER_PREFIX, &mut fetch)?),
            false => None,
        };
        Self::load_method(config, encoder, MODEL_PREFIX, &mut fetch, vocabulary, device)
    }

    /// A model whose method's parameters come from `fetch`, each name behind `prefix`.
    ///
    /// # Errors
    /// As [`Retrieval::load`], and what `fetch` fails with.
    pub fn load_method<E: From<ModelError>>(
        config: RetrievalConfig,
        encoder: Option<ImageEncoder>,
        prefix: &str,
        fetch: &mut Fetch<E>,
        vocabulary: &str,
        device: &Device,
    ) -> Result<Self, E> {
        let method = AnyMethod::new(&config, device)?.load_from(prefix, fetch)?;
        let texts = TextReader::new(&config, vocabulary)?;
        Ok(Self { config, encoder, method, texts, device: device.clone() })
    }

    /// The architecture.
    pub fn config(&self) -> &RetrievalConfig {
        &self.config
    }

    /// The method with its weights.
    pub fn method(&self) -> &AnyMethod {
        &self.method
    }

    /// From texts to tokens and batches.
    pub fn texts(&self) -> &TextReader {
        &self.texts
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether it can read new images.
    pub fn has_encoder(&self) -> bool {
        self.encoder.is_some()
    }

    /// E_I with this model's weights.
    ///
    /// # Errors
    /// [`ModelError::Query`] when there is none.
    pub fn encoder(&self) -> Result<&ImageEncoder> {
        self.encoder.as_ref().ok_or_else(|| ModelError::Query {
            problem: "this bundle has no image encoder, so it cannot read new images".into(),
            mend: "start from an image of its gallery".into(),
        })
    }

    /// Encodes one picture.
    ///
    /// # Errors
    /// [`ModelError::Image`] when the picture cannot be used, [`ModelError::Query`] without an image encoder.
    pub fn encode_image(&self, image: &Rgba) -> Result<EncodedImages> {
        self.encode_pixels(preprocess(image, &self.config.preprocess)?, 1)
    }

    /// Encodes `count` preprocessed pictures, `[count, 3, S, S]` in one slice.
    ///
    /// # Errors
    /// [`ModelError::Query`] without an image encoder.
    pub fn encode_pixels(&self, pixels: Vec<f32>, count: usize) -> Result<EncodedImages> {
        let side = self.config.preprocess.size;
        let pixels = kernels::from_values(pixels, [count, 3, side, side], &self.device);
        Ok(self.encoded(self.encoder()?.forward(pixels)))
    }

    /// Pictures from the tokens that an image encoder made of them, `[count, T, C]` in one slice.
    pub fn encode_tokens(&self, tokens: Vec<f32>, count: usize) -> EncodedImages {
        let shape = [count, self.config.image_tokens(), self.config.image_width()];
        self.encoded(kernels::from_values(tokens, shape, &self.device))
    }

    /// A gallery image from its file of tokens.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the file does not hold this model's tokens.
    pub fn reference(&self, file: &[u8]) -> Result<EncodedImages> {
        Ok(self.encode_tokens(parse_reference(file, self.config.image_tokens(), self.config.image_width())?, 1))
    }

    /// Pictures from image tokens `[B, T, C]` on this model's device.
    pub fn encoded(&self, tokens: Tensor<3>) -> EncodedImages {
        let count = tokens.dims()[0];
        EncodedImages { images: self.method.image(EncodedImage { tokens }), count }
    }

    /// Target tokens `[B, N, P]` of encoded pictures, L2-normalised: what a gallery stores.
    ///
    /// # Errors
    /// [`ModelError::Query`] when the pictures were encoded for another model.
    pub fn target(&self, images: &EncodedImages) -> Result<Tensor<3>> {
        let silence = self.texts.batch([&self.texts.tokens("")], &self.device);
        self.method.target(&images.images, images.count, &silence, &Noise::off())
    }

    /// Queries `[B, P]` of pictures with texts, or of texts alone.
    ///
    /// # Errors
    /// [`ModelError::Query`] when there are not as many pictures as texts.
    pub fn query(&self, images: Option<&EncodedImages>, texts: &[&Tokens]) -> Result<Tensor<2>> {
        if let Some(images) = images.filter(|images| images.count != texts.len()) {
            return Err(unpaired(images.count, texts.len()));
        }
        let texts = texts.iter().copied();
        let batch = match images {
            Some(_) => self.texts.composed_batch(texts, &self.device),
            None => self.texts.batch(texts, &self.device),
        };
        self.method.query(images.map(|images| &images.images), &batch, &Noise::off())
    }

    /// What one picture's query with a text looked at ([`Method::attention`](crate::method::Method::attention)), read back.
    ///
    /// # Errors
    /// [`ModelError::NoAttention`] for a family that has none, [`ModelError::Query`] when there is not one picture, and
    /// [`ModelError::Device`] when the device does not answer.
    pub async fn attention(&self, image: &EncodedImages, text: &Tokens) -> Result<Looked> {
        if image.count != 1 {
            return Err(unpaired(image.count, 1));
        }
        let batch = self.texts.composed_batch([text], &self.device);
        let found = self.method.attention(&image.images, &batch)?.ok_or_else(|| ModelError::NoAttention {
            model: self.config.name.clone(),
            family: self.config.method.family().name(),
        })?;
        let image = read(found.image, "attention over the picture").await?;
        let text = read(found.text, "attention over the text").await?;
        let pairs = read(found.pairs, "attention between picture and text").await?;
        Ok(Looked { image, text, pairs })
    }

    /// Target tokens `[B · N · P]`, read back.
    ///
    /// # Errors
    /// As [`Retrieval::target`], and [`ModelError::Device`] when the device does not answer.
    pub async fn target_rows(&self, images: &EncodedImages) -> Result<Vec<f32>> {
        read(self.target(images)?, "target").await
    }

    /// What a gallery is asked with, `[R, P]` for each text: one row for a picture with a text or a text alone, and the
    /// picture's N target tokens where the text has no words ("pictures like this one"). An image's score is the mean over
    /// the R rows.
    ///
    /// # Errors
    /// [`ModelError::Query`] for a text without words that has no picture; as [`Retrieval::query`].
    pub async fn query_rows(&self, images: Option<&EncodedImages>, texts: &[&Tokens]) -> Result<Vec<Vec<f32>>> {
        let silent = texts.iter().any(|tokens| tokens.is_empty());
        if silent && images.is_none() {
            return Err(ModelError::Query {
                problem: "there is neither an image nor a text".into(),
                mend: "choose an image, or write what to look for".into(),
            });
        }
        let (p, n) = (self.config.projection, self.config.target_tokens);
        let alike = match images {
            Some(images) if silent => self.target_rows(images).await?,
            _ => Vec::new(),
        };
        let asked = match texts.iter().all(|tokens| tokens.is_empty()) {
            true => Vec::new(),
            false => read(self.query(images, texts)?, "query").await?,
        };
        let row = |(at, tokens): (usize, &&Tokens)| {
            let (from, width) = if tokens.is_empty() { (&alike, n * p) } else { (&asked, p) };
            let missing = || unpaired(images.map_or(0, |images| images.count), texts.len());
            from.chunks_exact(width).nth(at).map(<[f32]>::to_vec).ok_or_else(missing)
        };
        texts.iter().enumerate().map(row).collect()
    }
}

fn unpaired(images: usize, texts: usize) -> ModelError {
    ModelError::Query {
        problem: format!("there are {images} images for {texts} texts"),
        mend: "give one image for each text".into(),
    }
}

/// A tensor's values, row by row.
async fn read<const R: usize>(x: Tensor<R>, stage: &str) -> Result<Vec<f32>> {
    let failed = |problem: String| ModelError::Device {
        place: stage.to_owned(),
        problem: format!("the device did not answer ({problem})"),
        mend: "try again, or use the CPU".into(),
    };
    let data = x.cast(FloatDType::F32).into_data_async().await.map_err(|e| failed(format!("{e:?}")))?;
    data.try_to_vec().map_err(|e| failed(format!("{e:?}")))
}
