//! L_cc: the attention that a noun phrase gets from the image tokens, in its text and by itself.

use super::phrases::{Phrase, Phrases};
use super::{ConceptSettings, Consistency};
use crate::embed;
use crate::train::piece::{Part, Piece};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use std::ops::Range;
use thisbut_model::method::Concept;
use thisbut_model::nn::Noise;

/// Phrases that are read by themselves together.
const TOGETHER: usize = 64;

/// What L_cc of a batch is computed with.
pub(super) struct Comparison<'a> {
    pub settings: &'a ConceptSettings,
    pub phrases: &'a Phrases,
    /// The model outside the gradient's graph: phrases by themselves are what attention should be, and get no gradient.
    pub frozen: Concept,
}

impl<'a> Comparison<'a> {
    /// Of a piece of which `model` encodes the rest.
    pub fn new(settings: &'a ConceptSettings, phrases: &'a Phrases, model: &Concept) -> Self {
        Self { settings, phrases, frozen: embed::without_gradient(model) }
    }

    /// The share of `part` in the batch's L_cc, `[1]`; none where its texts have no phrases. `image` are the reference images'
    /// tokens `[b, T, C]`, `weights` `[b, T, L]` what they gave to the texts' tokens.
    pub fn share(&self, piece: &Piece, part: &Part, image: Tensor<3>, weights: Tensor<3>) -> Option<Tensor<1>> {
        let rows = part.entries.iter().enumerate();
        let phrases: Vec<(usize, &Phrase)> =
            rows.flat_map(|(row, entry)| self.phrases.of(*entry).iter().map(move |phrase| (row, phrase))).collect();
        if phrases.is_empty() {
            return None;
        }
        let of = match self.settings.phrase_mean {
            true => self.phrases.count(piece.batch),
            false => piece.batch.len(),
        };
        let alone = self.alone(piece, &phrases, image.inner());
        let within = self.within(&phrases, weights);
        let apart = within - Tensor::from_inner(alone);
        let apart = match self.settings.consistency {
            Consistency::OneSided => apart,
            Consistency::Absolute => apart.abs(),
        };
        let over = activation::relu(apart - self.settings.slack);
        Some(over.mean_dim(1).sum() / of as f64)
    }

    /// Each phrase's attention within its text, `[phrases, T]` without the class token.
    fn within(&self, phrases: &[(usize, &Phrase)], weights: Tensor<3>) -> Tensor<2> {
        let ([b, t, l], device) = (weights.dims(), weights.device());
        // Of each row as many phrases as the row with the most has.
        let mut counts = vec![0; b];
        let mut placed = Vec::with_capacity(phrases.len());
        for (row, phrase) in phrases {
            if let Some(count) = counts.get_mut(*row) {
                placed.push((*row, *count, phrase.place.clone()));
                *count += 1;
            }
        }
        let most = counts.into_iter().max().unwrap_or(0);
        let means = means(&placed, [b, l, most], &device);
        let rows: Vec<i32> = placed.iter().map(|(row, at, _)| (row * most + at) as i32).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [placed.len()]), &device);
        let attention = weights.matmul(means).swap_dims(1, 2).reshape([b * most, t]).select(0, rows);
        self.without_class_token(attention)
    }

    /// Each phrase's attention by itself, `[phrases, T]` without the class token, outside the graph.
    fn alone(&self, piece: &Piece, phrases: &[(usize, &Phrase)], image: Tensor<3>) -> Tensor<2> {
        let (reader, device) = (piece.context.texts.reader(), image.device());
        let part = |chunk: &[(usize, &Phrase)]| {
            let rows: Vec<i32> = chunk.iter().map(|(row, _)| *row as i32).collect();
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [chunk.len()]), &device);
            let texts = reader.batch(chunk.iter().map(|(_, phrase)| &phrase.alone), &device);
            let text = self.frozen.read(&texts, &Noise::off());
            let weights = self.frozen.weights(image.clone().select(0, rows), &text);
            let [count, t, l] = weights.dims();
            let placed: Vec<_> = chunk.iter().enumerate().map(|(row, (_, phrase))| (row, 0, phrase.own())).collect();
            weights.matmul(means(&placed, [count, l, 1], &device)).reshape([count, t])
        };
        self.without_class_token(Tensor::cat(phrases.chunks(TOGETHER).map(part).collect(), 0))
    }

    fn without_class_token(&self, attention: Tensor<2>) -> Tensor<2> {
        let t = attention.dims()[1];
        match self.frozen.has_class_token() {
            true => attention.narrow(1, 1, t - 1),
            false => attention,
        }
    }
}

/// `[rows, L, columns]` whose column at each place is the mean over a range of tokens: (row, column, tokens).
fn means(placed: &[(usize, usize, Range<usize>)], [b, l, columns]: [usize; 3], device: &Device) -> Tensor<3> {
    let mut values = vec![0.0_f32; b * l * columns];
    for (row, column, tokens) in placed {
        let share = 1.0 / tokens.len() as f32;
        for token in tokens.clone() {
            values[(row * l + token) * columns + column] = share;
        }
    }
    Tensor::from_data(TensorData::new(values, [b, l, columns]), device)
}
