//! The query engine: one bundle's model and gallery, asked with an image, a text, or both. `thisbut query` and the
//! browser run this same code, so a number measured with one holds for the other.
//!
//! Reading a value back from a WebGPU device is asynchronous in a browser, so everything that computes is `async`; on a
//! CPU the futures are ready at once.

use crate::bundle::{Form, Manifest, SELF_TEST_SIDE, SelfTest, self_test_image, self_test_tokens};
use crate::cir::{Cir, normalise};
use crate::config::{CirConfig, SecondPassMask};
use crate::error::{ModelError, Result};
use crate::gallery::{Chunk, Gallery, Hit, parse_reference};
use crate::image::{Rgba, preprocess};
use crate::nn::{ImageEncoder, ImageKeys, Noise, TextBatch};
use crate::text::{WordPiece, clean_caption};
use crate::weights::{self, Tensors};
use burn::tensor::{Device, Tensor, TensorData};

/// Names of a bundle's tensors: the frozen image encoder's and the trained model's.
pub const ENCODER_PREFIX: &str = "image_encoder";
/// See [`ENCODER_PREFIX`].
pub const MODEL_PREFIX: &str = "model";

/// Longest modifier that is looked at, in characters; more than any text that fits the text tokens.
pub const MAX_TEXT: usize = 2_000;

/// Cosine from which on two images' target tokens are the same picture. Eight bits cost about 2e-5, another device less;
/// pictures that differ in a detail lie below.
const SAME: f32 = 0.9999;
/// Score from which on an image is looked at more closely: rounding moves a score by a few thousandths.
const ALIKE: f32 = 0.99;

/// Images after the image encoder, ready for queries and targets.
#[derive(Clone, Debug)]
pub struct EncodedImages {
    keys: ImageKeys,
    count: usize,
}

/// A model and a gallery on one device.
pub struct Engine {
    config: CirConfig,
    encoder: Option<ImageEncoder>,
    model: Cir,
    words: WordPiece,
    device: Device,
    gallery: Gallery,
}

impl Engine {
    /// An engine from named weights. Without any tensor behind [`ENCODER_PREFIX`] it has no image encoder, and starts from
    /// tokens that were made elsewhere ([`Engine::encode_tokens`]).
    ///
    /// # Errors
    /// [`ModelError::Weights`] when a tensor is missing or has another shape, [`ModelError::Config`] when the vocabulary
    /// does not fit.
    pub fn new(config: CirConfig, mut tensors: Tensors, words: WordPiece, device: &Device) -> Result<Self> {
        let of_encoder = |name: &String| name.strip_prefix(ENCODER_PREFIX).is_some_and(|rest| rest.starts_with('.'));
        let encoder = match tensors.keys().any(of_encoder) {
            true => Some(weights::load(ImageEncoder::new(&config, device), ENCODER_PREFIX, &mut tensors)?),
            false => None,
        };
        let model = weights::load(Cir::new(&config, device), MODEL_PREFIX, &mut tensors)?;
        if words.vocab_size() > config.qformer.vocabulary {
            return Err(ModelError::Config {
                place: "the vocabulary".into(),
                problem: format!("it has {} words, the model knows {}", words.vocab_size(), config.qformer.vocabulary),
                mend: "use the vocabulary that the bundle was made with".into(),
            });
        }
        Ok(Self { config, encoder, model, words, device: device.clone(), gallery: Gallery::new() })
    }

    /// The engine of a bundle, from the tensors of all its weights files; the gallery is still empty.
    ///
    /// # Errors
    /// As [`Engine::new`], or when the weights are of another form than the bundle says.
    pub fn from_bundle(manifest: &Manifest, tensors: Tensors, words: WordPiece, device: &Device) -> Result<Self> {
        let config = CirConfig::parse(&manifest.config.to_string(), "bundle.json: config")?;
        let engine = Self::new(config, tensors, words, device)?;
        let (form, found) = (manifest.form, if engine.has_encoder() { "an" } else { "no" });
        if engine.has_encoder() != (form == Form::Full) {
            return Err(ModelError::Weights {
                place: "the bundle's weights".into(),
                problem: format!("there is {found} image encoder in them, and the bundle's form is {}", form.name()),
                mend: "export the bundle again".into(),
            });
        }
        Ok(engine)
    }

    /// The architecture.
    pub fn config(&self) -> &CirConfig {
        &self.config
    }

    /// Whether it can read new images.
    pub fn has_encoder(&self) -> bool {
        self.encoder.is_some()
    }

    /// E_I with this engine's weights.
    ///
    /// # Errors
    /// [`ModelError::Query`] when there is none.
    pub fn encoder(&self) -> Result<&ImageEncoder> {
        self.encoder.as_ref().ok_or_else(|| ModelError::Query {
            problem: "this bundle has no image encoder, so it cannot read new images".into(),
            mend: "start from an image of its gallery".into(),
        })
    }

    /// The trained part with this engine's weights.
    pub fn model(&self) -> &Cir {
        &self.model
    }

    /// The tokenizer.
    pub fn words(&self) -> &WordPiece {
        &self.words
    }

    /// The gallery.
    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// Adds the next chunk of the gallery.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the chunk's tokens are not of this model's shape.
    pub fn add_chunk(&mut self, chunk: Chunk) -> Result<()> {
        self.gallery.push(chunk)
    }

    /// Replaces the gallery.
    pub fn set_gallery(&mut self, gallery: Gallery) {
        self.gallery = gallery;
    }

    /// Encodes one picture.
    ///
    /// # Errors
    /// [`ModelError::Image`] when the picture cannot be used, [`ModelError::Query`] without an image encoder.
    pub fn encode_image(&self, image: &Rgba) -> Result<EncodedImages> {
        let pixels = preprocess(image, &self.config.preprocess)?;
        self.encode_pixels(pixels, 1)
    }

    /// Encodes `count` preprocessed pictures, `[count, 3, S, S]` in one slice.
    ///
    /// # Errors
    /// [`ModelError::Query`] without an image encoder.
    pub fn encode_pixels(&self, pixels: Vec<f32>, count: usize) -> Result<EncodedImages> {
        let side = self.config.preprocess.size;
        let pixels = Tensor::from_data(TensorData::new(pixels, [count, 3, side, side]), &self.device);
        Ok(self.encoded(self.encoder()?.forward(pixels), count))
    }

    /// Pictures from the tokens that an image encoder made of them, `[count, T, C]` in one slice.
    pub fn encode_tokens(&self, tokens: Vec<f32>, count: usize) -> EncodedImages {
        let shape = [count, self.config.image_tokens(), self.config.image_width()];
        self.encoded(Tensor::from_data(TensorData::new(tokens, shape), &self.device), count)
    }

    /// A gallery image from its file of tokens.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the file does not hold this model's tokens.
    pub fn reference(&self, file: &[u8]) -> Result<EncodedImages> {
        Ok(self.encode_tokens(parse_reference(file, self.config.image_tokens(), self.config.image_width())?, 1))
    }

    fn encoded(&self, tokens: Tensor<3>, count: usize) -> EncodedImages {
        EncodedImages { keys: self.model.image_keys(tokens), count }
    }

    /// Target tokens of encoded pictures, `[count, N, P]`, L2-normalised: what a gallery stores.
    ///
    /// # Errors
    /// [`ModelError::Device`] when the device does not answer.
    pub async fn target_tokens(&self, images: &EncodedImages) -> Result<Vec<f32>> {
        read(self.model.target(&images.keys, images.count, &Noise::off()), "target").await
    }

    /// The query vector `[P]` of a picture and a modifier. Without a modifier it asks for pictures like this one,
    /// without a picture for what the text says.
    ///
    /// # Errors
    /// [`ModelError::Query`] when there is neither, [`ModelError::Device`] when the device does not answer.
    pub async fn compose(&self, image: Option<&EncodedImages>, text: &str) -> Result<Vec<f32>> {
        let noise = Noise::off();
        let text = self.tokenize(text);
        let query = match (image, text) {
            (Some(image), Some(text)) => self.model.compose(self.model.fuse(&image.keys, &text, &noise), &text, &noise),
            (Some(image), None) => {
                let targets = self.model.target(&image.keys, image.count, &noise);
                let [b, _, p] = targets.dims();
                normalise(targets.mean_dim(1).reshape([b, p]))
            }
            (None, Some(text)) => self.model.text_only(&text, &noise),
            (None, None) => {
                return Err(ModelError::Query {
                    problem: "there is neither an image nor a text".into(),
                    mend: "choose an image, or write what to look for".into(),
                });
            }
        };
        read(query, "compose").await
    }

    /// Gallery images that are this very picture: every target token has its twin there. They answer "this", not "this,
    /// but …", so a search excludes them.
    ///
    /// # Errors
    /// [`ModelError::Device`] when the device does not answer.
    pub async fn same_images(&self, image: &EncodedImages) -> Result<Vec<u32>> {
        let tokens = self.target_tokens(image).await?;
        let p = self.config.projection;
        let Some(first) = tokens.get(..p) else { return Ok(Vec::new()) };
        let alike = self.gallery.search_above(first, ALIKE)?;
        Ok(alike
            .into_iter()
            .filter(|at| self.gallery.image(*at).is_some_and(|other| same(&tokens, &other, p)))
            .collect())
    }

    /// The `k` best gallery images for a query vector, without `exclude`.
    ///
    /// # Errors
    /// [`ModelError::Query`] when the vector is not of the gallery's width.
    pub fn search(&self, query: &[f32], k: usize, exclude: &[u32]) -> Result<Vec<Hit>> {
        self.gallery.search(query, k, exclude)
    }

    /// A text's tokens; `None` for one without words.
    fn tokenize(&self, text: &str) -> Option<TextBatch> {
        let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(at, _)| at);
        let cleaned = clean_caption(text.get(..end).unwrap_or(text));
        let encoded = self.words.encode(&cleaned, self.config.text_length);
        if encoded.mask.iter().filter(|m| **m).count() <= 2 {
            return None;
        }
        let rows = [(encoded.ids, encoded.mask)];
        Some(match self.config.second_pass_mask {
            SecondPassMask::Padding => TextBatch::new(&rows, &self.device),
            SecondPassMask::AllOnes => TextBatch::padded(&rows, self.config.text_length, &self.device),
        })
    }

    /// The synthetic picture with a text as a query vector `[P]`; without an image encoder, synthetic tokens.
    ///
    /// # Errors
    /// As [`Engine::compose`].
    pub async fn self_test_query(&self, text: &str) -> Result<Vec<f32>> {
        let image = if self.has_encoder() {
            self.encode_image(&Rgba::new(SELF_TEST_SIDE, SELF_TEST_SIDE, &self_test_image())?)?
        } else {
            self.encode_tokens(self_test_tokens(self.config.image_tokens(), self.config.image_width()), 1)
        };
        self.compose(Some(&image), text).await
    }

    /// The answer to the stored query of a self-test.
    ///
    /// # Errors
    /// As [`Engine::compose`] and [`Engine::search`].
    pub async fn self_test_hits(&self, test: &SelfTest) -> Result<Vec<Hit>> {
        self.search(&self.self_test_query(&test.text).await?, test.count(), &[])
    }

    /// Runs the bundle's stored query and compares the ranking with what it was at export: a device that computes
    /// wrongly is found before a visitor sees its answers. A gallery that is not wholly loaded is not tested.
    ///
    /// # Errors
    /// [`ModelError::Device`] that says how far off the device is.
    pub async fn self_test(&self, manifest: &Manifest) -> Result<()> {
        match &manifest.self_test {
            Some(test) if self.gallery.len() == manifest.gallery.count as usize => {
                test.check(&self.self_test_hits(test).await?)
            }
            _ => Ok(()),
        }
    }
}

/// Whether the tokens `[·, P]` of two images point the same way, one by one, as far as both are kept.
fn same(one: &[f32], other: &[f32], p: usize) -> bool {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    one.chunks_exact(p).zip(other.chunks_exact(p)).all(|(a, b)| dot(a, b) >= SAME * (dot(a, a) * dot(b, b)).sqrt())
}

async fn read<const R: usize>(x: Tensor<R>, stage: &str) -> Result<Vec<f32>> {
    let failed = |problem: String| ModelError::Device {
        place: stage.to_owned(),
        problem: format!("the device did not answer ({problem})"),
        mend: "try again, or use the CPU".into(),
    };
    let data = x.into_data_async().await.map_err(|e| failed(format!("{e:?}")))?;
    data.convert::<f32>().try_to_vec().map_err(|e| failed(format!("{e:?}")))
}
