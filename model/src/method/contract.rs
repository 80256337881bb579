//! What a method family has to give.

use crate::nn::{Noise, TextBatch};
use burn::module::Module;
use burn::tensor::Tensor;

/// What the image encoder E_I made of a batch of images.
#[derive(Clone, Debug)]
pub struct EncodedImage {
    /// Image tokens `[B, T, C]`.
    pub tokens: Tensor<3>,
}

/// What a query looked at, from the attention of its own passes: shares, each row's sum 1.
#[derive(Clone, Debug)]
pub struct Attention {
    /// `[B, T]`: how much of the query each image token is.
    pub image: Tensor<2>,
    /// `[B, L]`: the same of each text token, marks and padding too.
    pub text: Tensor<2>,
    /// `[B, T, L]`: how much each image token has to do with each text token. A column is a map of the image; its sum says nothing.
    pub pairs: Tensor<3>,
}

/// The part of a model that composes: from an encoded image and a text to rows that are compared by dot product.
pub trait Method: Module {
    /// A batch of images after the part that needs no text: computed once, used by several queries.
    type Image: Clone;

    /// The part of a query and of a target that needs the image alone.
    fn image(&self, encoded: EncodedImage) -> Self::Image;

    /// Queries `[B, P]`, L2-normalised: of images with texts, or of texts alone. `image` has as many rows as `text`.
    fn query(&self, image: Option<&Self::Image>, text: &TextBatch, noise: &Noise) -> Tensor<2>;

    /// Target tokens `[B, N, P]` of `count` images, each row L2-normalised. `silence` is the empty text, one row, for a method whose
    /// targets are queries that ask for nothing.
    fn target(&self, image: &Self::Image, count: usize, silence: &TextBatch, noise: &Noise) -> Tensor<3>;

    /// What queries of images with texts looked at; none where a family's image tokens and text tokens do not meet in attention.
    /// A family says how it is computed. It costs about as much as two queries, and nothing where it is not asked for.
    fn attention(&self, _image: &Self::Image, _text: &TextBatch) -> Option<Attention> {
        None
    }
}

/// The score (eq. 7): maximum over the N target tokens of the cosine with the query. Query `[B, P]`, targets
/// `[M, N, P]`, both L2-normalised → `[B, M]`.
pub fn similarity(query: Tensor<2>, targets: Tensor<3>) -> Tensor<2> {
    let [m, n, p] = targets.dims();
    let b = query.dims()[0];
    query.matmul(targets.reshape([m * n, p]).transpose()).reshape([b, m, n]).max_dim(2).reshape([b, m])
}
