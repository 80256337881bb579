//! Attention rollout: how much of each text token and each image token is in a position of a Q-Former, from its attention alone.
//!
//! Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020 (<https://arxiv.org/abs/2005.00928>): a block passes on
//! half of what a position was and half of what it looked at, F ← ½ F + ½ A F, with A the mean over the heads. A position begins as
//! itself. A look at the image is the same: a query token keeps half, and the other half comes straight from the image tokens, as
//! image tokens do not change on the way (Chefer et al., "Generic Attention-model Explainability for Interpreting Bi-Modal and
//! Encoder-Decoder Transformers", ICCV 2021, <https://arxiv.org/abs/2103.15679>, without its gradients).
//!
//! What a position has of the learned query tokens is not followed: they are the same in every query.

use super::qformer::Looked;
use burn::tensor::Tensor;
use std::ops::Range;

/// What the positions of a pass hold of a query's text and image.
#[derive(Clone, Debug)]
pub struct Flow {
    /// `[B, n, L]`.
    text: Tensor<3>,
    /// `[B, n, T]`.
    image: Tensor<3>,
}

impl Flow {
    /// After a pass over `queries` query tokens and a text, of which every position begins as itself.
    ///
    /// # Panics
    /// When no block looked at an image: a configuration's first block does.
    pub fn through(blocks: &[Looked], queries: usize) -> Self {
        let Some((first, seen)) = blocks.iter().find_map(|block| Some((&block.own, block.image.as_ref()?))) else {
            panic!("a fusion without a look at the image")
        };
        let ([b, n, _], t, device) = (first.dims(), seen.dims()[2], first.device());
        Self { text: fresh([b, queries, n - queries], &first.device()), image: Tensor::zeros([b, n, t], &device) }
            .on(blocks)
    }

    /// After more blocks.
    #[must_use]
    pub fn on(self, blocks: &[Looked]) -> Self {
        blocks.iter().fold(self, Self::after)
    }

    fn after(self, block: &Looked) -> Self {
        let mixed = |flow: Tensor<3>| (flow.clone() + block.own.clone().matmul(flow)) / 2.0;
        let (mut text, mut image) = (mixed(self.text), mixed(self.image));
        if let Some(seen) = &block.image {
            let ([b, n, t], l, queries) = (image.dims(), text.dims()[2], seen.dims()[1]);
            let half = |flow: Tensor<3>, width| flow.slice([0..b, 0..queries, 0..width]) / 2.0;
            let rest = |flow: Tensor<3>, width| flow.slice([0..b, queries..n, 0..width]);
            let looked = half(image.clone(), t) + seen.clone() / 2.0;
            (image, text) = match n == queries {
                true => (looked, half(text, l)),
                false => (
                    Tensor::cat(vec![looked, rest(image, t)], 1),
                    Tensor::cat(vec![half(text.clone(), l), rest(text, l)], 1),
                ),
            };
        }
        Self { text, image }
    }

    /// The first `queries` positions as they are, before the text's tokens as they were at the beginning.
    #[must_use]
    pub fn with_fresh_texts(self, queries: usize) -> Self {
        let ([b, _, l], t, device) = (self.text.dims(), self.image.dims()[2], self.text.device());
        let kept = self.text.slice([0..b, 0..queries]);
        let texts = fresh([b, 0, l], &device);
        let image = self.image.slice([0..b, 0..queries]);
        Self {
            text: Tensor::cat(vec![kept, texts], 1),
            image: Tensor::cat(vec![image, Tensor::zeros([b, l, t], &device)], 1),
        }
    }

    /// What the mean of some positions holds, as shares: of the image tokens `[B, T]` and of the text tokens `[B, L]`.
    pub fn of(&self, positions: Range<usize>) -> (Tensor<2>, Tensor<2>) {
        let read = |flow: &Tensor<3>| {
            let [b, _, width] = flow.dims();
            let sum = flow.clone().slice([0..b, positions.clone()]).sum_dim(1).reshape([b, width]);
            let all = sum.clone().sum_dim(1);
            sum / all
        };
        (read(&self.image), read(&self.text))
    }
}

/// `queries` positions that hold nothing before L that hold themselves, `[B, n, L]`.
fn fresh([b, queries, l]: [usize; 3], device: &burn::tensor::Device) -> Tensor<3> {
    let own = Tensor::<2>::eye(l, device).unsqueeze::<3>().expand([b, l, l]);
    match queries {
        0 => own,
        _ => Tensor::cat(vec![Tensor::zeros([b, queries, l], device), own], 1),
    }
}

/// `[B, T, L]`: Σ_n C_nt · S_nl, the mean over the blocks that look at the image. S are the weights that the query tokens gave to the
/// text tokens, C those that they then gave to the image tokens: where a query token looks that has just read the word.
pub fn pairs(blocks: &[Looked], queries: usize) -> Tensor<3> {
    let of = |block: &Looked| {
        let [b, n, _] = block.own.dims();
        let read = block.own.clone().slice([0..b, 0..queries, queries..n]);
        block.image.as_ref().map(|image| image.clone().swap_dims(1, 2).matmul(read))
    };
    let found: Vec<Tensor<3>> = blocks.iter().filter_map(of).collect();
    let count = found.len() as f64;
    match found.into_iter().reduce(|sum, more| sum + more) {
        Some(sum) => sum / count,
        None => panic!("a fusion without a look at the image"),
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use burn::tensor::{Device, Tolerance};

    /// One query token, two text tokens, two image tokens; every number by hand.
    #[test]
    fn two_blocks_by_hand() {
        let device = Device::flex();
        let own = Tensor::<3>::from_data([[[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]], &device);
        let seen = Tensor::<3>::from_data([[[0.75, 0.25]]], &device);
        let blocks = [Looked { own: own.clone(), image: Some(seen) }, Looked { own, image: None }];
        let flow = Flow::through(&blocks, 1);
        let near = |a: Tensor<3>, b: Tensor<3>| {
            a.into_data().assert_approx_eq::<f32>(&b.into_data(), Tolerance::absolute(1e-6));
        };
        // Block 1: the query reads ½·(¼, ¼) of the text and keeps half of it; of the image ½·(¾, ¼). The second token: ¾ itself.
        // Block 2: ½ F + ½ A F with F_q = (1/16, 1/16), F_1 = (1, 0), F_2 = (0, ¾).
        near(
            flow.text.clone(),
            Tensor::from_data([[[0.171_875, 0.140_625], [1.0, 0.0], [0.015_625, 0.578_125]]], &device),
        );
        near(
            flow.image.clone(),
            Tensor::from_data([[[0.281_25, 0.093_75], [0.0, 0.0], [0.093_75, 0.031_25]]], &device),
        );
        let (image, text) = flow.of(0..1);
        near(image.unsqueeze(), Tensor::from_data([[[0.75, 0.25]]], &device));
        near(text.unsqueeze(), Tensor::from_data([[[0.55, 0.45]]], &device));
        near(pairs(&blocks, 1), Tensor::from_data([[[0.1875, 0.1875], [0.0625, 0.0625]]], &device));
        let fresh = flow.with_fresh_texts(1);
        assert_eq!(fresh.text.dims(), [1, 3, 2]);
        near(fresh.text.slice([0..1, 1..3]), Tensor::from_data([[[1.0, 0.0], [0.0, 1.0]]], &device));
    }
}
