//! The query engine: one bundle's model and gallery, asked with an image, a text, or both. `thisbut query` and the
//! browser run this same code, so a number measured with one holds for the other.

use crate::bundle::{Form, Manifest, SELF_TEST_SIDE, SelfTest, self_test_image, self_test_tokens};
use crate::config::RetrievalConfig;
use crate::error::{ModelError, Result};
use crate::gallery::{Chunk, Gallery, Hit};
use crate::image::Rgba;
use crate::quant::StoredWeights;
use crate::retrieval::{EncodedImages, Retrieval};
use crate::why::Explanation;
use burn::tensor::Device;
use std::sync::Arc;

/// Cosine from which on two images' target tokens are the same picture. Eight bits cost about 2e-5, another device less;
/// pictures that differ in a detail lie below.
const SAME: f32 = 0.9999;
/// Score from which on an image is looked at more closely: rounding moves a score by a few thousandths.
const ALIKE: f32 = 0.99;

/// A picture that a query starts from, and the gallery images that are this picture.
pub struct Reference {
    image: EncodedImages,
    tokens: Vec<f32>,
    same: Vec<u32>,
    nearest: Option<f32>,
}

impl Reference {
    /// The score of the gallery's image that is nearest to the picture; none for an empty gallery.
    pub fn nearest(&self) -> Option<f32> {
        self.nearest
    }
}

/// A model and a gallery on one device. A clone shares both: what is added to one of them does not disturb a query of the other.
#[derive(Clone)]
pub struct Engine {
    retrieval: Arc<Retrieval>,
    gallery: Gallery,
    /// Images of the shipped gallery; a visitor's own are behind them.
    shipped: u32,
}

impl Engine {
    /// An engine whose gallery is still empty.
    pub fn new(retrieval: Retrieval) -> Self {
        Self { retrieval: Arc::new(retrieval), gallery: Gallery::new(), shipped: 0 }
    }

    /// The engine of a bundle, from what all its weights files hold and its vocabulary; the gallery is still empty.
    ///
    /// # Errors
    /// As [`Retrieval::load`], or when the weights are of another form than the bundle says.
    pub fn from_bundle(
        manifest: &Manifest,
        weights: impl Into<StoredWeights>,
        vocabulary: &str,
        device: &Device,
    ) -> Result<Self> {
        let config = manifest.retrieval_config("bundle.json")?;
        let retrieval = Retrieval::load(config, weights, vocabulary, device)?;
        let (form, found) = (manifest.form, if retrieval.has_encoder() { "an" } else { "no" });
        if retrieval.has_encoder() != (form == Form::Full) {
            return Err(ModelError::Weights {
                place: "the bundle's weights".into(),
                problem: format!("there is {found} image encoder in them, and the bundle's form is {}", form.name()),
                mend: "export the bundle again".into(),
            });
        }
        Ok(Self::new(retrieval))
    }

    /// The model.
    pub fn retrieval(&self) -> &Retrieval {
        &self.retrieval
    }

    /// The architecture.
    pub fn config(&self) -> &RetrievalConfig {
        self.retrieval.config()
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
        self.gallery.push(chunk)?;
        self.shipped = self.gallery.len() as u32;
        Ok(())
    }

    /// Replaces the gallery.
    pub fn set_gallery(&mut self, gallery: Gallery) {
        self.shipped = gallery.len() as u32;
        self.gallery = gallery;
    }

    /// Images of the shipped gallery: the number of a visitor's first own image.
    pub fn shipped(&self) -> u32 {
        self.shipped
    }

    /// Adds a visitor's own images behind the shipped gallery ([`crate::own`]).
    ///
    /// # Errors
    /// As [`Engine::add_chunk`].
    pub fn add_own(&mut self, chunk: Chunk) -> Result<()> {
        self.gallery.push(chunk)
    }

    /// Lets go of all of a visitor's own images.
    pub fn forget_own(&mut self) {
        self.gallery.truncate(self.shipped);
    }

    /// The query rows `[R, P]` of a picture and a modifier. Without a modifier it asks for pictures like this one,
    /// without a picture for what the text says.
    ///
    /// # Errors
    /// [`ModelError::Query`] when there is neither, [`ModelError::Device`] when the device does not answer.
    pub async fn compose(&self, image: Option<&EncodedImages>, text: &str) -> Result<Vec<f32>> {
        let tokens = self.retrieval.texts().tokens(text);
        let mut rows = self.retrieval.query_rows(image, &[&tokens]).await?;
        Ok(rows.swap_remove(0))
    }

    /// [`Engine::compose`] from a picture that was looked for in the gallery.
    ///
    /// # Errors
    /// As [`Engine::compose`].
    pub async fn compose_from(&self, reference: Option<&Reference>, text: &str) -> Result<Vec<f32>> {
        self.compose(reference.map(|reference| &reference.image), text).await
    }

    /// Which part of a reference and which words counted in its query: [`crate::why`]. `size` is the picture's, in pixels.
    ///
    /// # Errors
    /// As [`Retrieval::explain`].
    pub async fn explain<P: AsRef<str>>(
        &self,
        reference: &Reference,
        size: (u32, u32),
        text: &str,
        phrases: &[P],
    ) -> Result<Explanation> {
        self.retrieval.explain(&reference.image, size, (text, phrases)).await
    }

    /// Looks for a picture in the gallery, so that queries can start from it.
    ///
    /// # Errors
    /// [`ModelError::Device`] when the device does not answer.
    pub async fn reference(&self, image: EncodedImages) -> Result<Reference> {
        let tokens = self.retrieval.target_rows(&image).await?;
        self.looked_for(image, tokens)
    }

    /// Looks for a picture once more: the gallery is another than it was.
    ///
    /// # Errors
    /// [`ModelError::Query`] when the gallery is not of this model's width.
    pub fn again(&self, reference: &Reference) -> Result<Reference> {
        self.looked_for(reference.image.clone(), reference.tokens.clone())
    }

    fn looked_for(&self, image: EncodedImages, tokens: Vec<f32>) -> Result<Reference> {
        let (same, nearest) =
            (self.alike(&tokens)?, self.gallery.search(&tokens, 1, &[])?.first().map(|hit| hit.score));
        Ok(Reference { image, tokens, same, nearest })
    }

    /// The gallery images that do not answer a query. `chosen`, the gallery image that a visitor took as the reference, never
    /// does. With a text no image that is the reference does: it answers "this", not "this, but …". Without a text, or with
    /// one that has no word, an uploaded picture finds itself.
    pub fn excluded(&self, reference: Option<&Reference>, chosen: Option<u32>, text: &str) -> Vec<u32> {
        let asks = !self.retrieval.texts().tokens(text).is_empty();
        let same = reference.filter(|_| asks).map(|reference| &reference.same[..]);
        chosen.iter().chain(same.into_iter().flatten()).copied().collect()
    }

    /// Gallery images that are the same picture as the gallery's image `index`, itself among them.
    ///
    /// # Errors
    /// [`ModelError::Query`] when the gallery is not of this model's width.
    pub fn twins(&self, index: u32) -> Result<Vec<u32>> {
        self.gallery.image(index).map_or(Ok(Vec::new()), |tokens| self.alike(&tokens))
    }

    /// Gallery images whose target tokens are all the twins of `tokens` `[·, P]`.
    fn alike(&self, tokens: &[f32]) -> Result<Vec<u32>> {
        let p = self.config().projection;
        let Some(first) = tokens.get(..p) else { return Ok(Vec::new()) };
        let alike = self.gallery.search_above(first, ALIKE)?;
        Ok(alike
            .into_iter()
            .filter(|at| self.gallery.image(*at).is_some_and(|other| same(tokens, &other, p)))
            .collect())
    }

    /// The `k` best gallery images for query rows `[R, P]`, without `exclude`.
    ///
    /// # Errors
    /// [`ModelError::Query`] when the rows are not of the gallery's width.
    pub fn search(&self, query: &[f32], k: usize, exclude: &[u32]) -> Result<Vec<Hit>> {
        self.gallery.search(query, k, exclude)
    }

    /// The synthetic picture with a text as query rows `[1, P]`; without an image encoder, synthetic tokens.
    ///
    /// # Errors
    /// As [`Engine::compose`].
    pub async fn self_test_query(&self, text: &str) -> Result<Vec<f32>> {
        let image = if self.retrieval.has_encoder() {
            self.retrieval.encode_image(&Rgba::new(SELF_TEST_SIDE, SELF_TEST_SIDE, &self_test_image())?)?
        } else {
            let tokens = self_test_tokens(self.config().image_tokens(), self.config().image_width());
            self.retrieval.encode_tokens(tokens, 1)
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
