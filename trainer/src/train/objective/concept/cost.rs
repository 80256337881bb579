//! What the passes of a step cost: matrix products, two operations a multiplication, and the values that their graph keeps.

use super::{ConceptSettings, References};
use crate::train::estimate::{Cost, DROPOUT, Load, NORM, SOFTMAX};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{ConceptConfig, FusionForm, Pooling, TargetForm};

/// Phrases of a text and their tokens with marks, for want of the texts: CIRR's have about three of two words.
const PHRASES: usize = 3;
const PHRASE_TOKENS: usize = 5;

/// Of a step over `load.rows` triplets.
pub(super) fn of(
    settings: &ConceptSettings,
    (config, method): (&RetrievalConfig, &ConceptConfig),
    load: Load,
    fused: bool,
) -> Cost {
    let model = Model { config, method, fused };
    let rows = load.rows;
    let length = load.words.div_ceil(rows.max(1));
    let references = if settings.references == References::None { 0 } else { rows };
    let others = if method.target == TargetForm::Fused { rows + references } else { 0 };
    let (query, target) = (model.forward(rows, length), model.forward_of_silence(others));
    let phrases = if settings.reads_weights() { rows * PHRASES.min(settings.most_phrases) } else { 0 };
    let weighed = settings.reads_weights();
    Cost {
        graph: query + target,
        plain: model.forward(phrases, PHRASE_TOKENS),
        comparison: 2.0 * config.projection as f64,
        images: 2 * rows,
        activations: model.text(load.words) + model.fused(rows, length) + model.fused(others, 2),
        softmax: model.softmax(rows, length, weighed) + model.softmax(others, 2, false),
        representation: 3 * config.projection,
        similarity: if settings.references == References::All { 16 } else { 8 },
        banked: None,
        pooled: 0,
    }
}

struct Model<'a> {
    config: &'a RetrievalConfig,
    method: &'a ConceptConfig,
    fused: bool,
}

impl Model<'_> {
    fn tokens(&self) -> [usize; 2] {
        [self.config.image_tokens(), self.config.image_width()]
    }

    /// Of the fused tokens.
    fn width(&self) -> usize {
        self.method.fusion.width(self.config.image_width())
    }

    /// Operations of fusing and pooling `rows` images with texts of `length` tokens.
    fn fusing(&self, rows: usize, length: usize) -> f64 {
        let ([t, image], d) = (self.tokens(), self.method.text_tower.width());
        let (fusion, c) = (&self.method.fusion, self.width());
        let work = fusion.work([t, c], [length, d]).saturating_add(self.method.pooling.work(t, c));
        let work = work.saturating_add(fusion.map_work(t, image));
        2.0 * rows as f64 * (work as f64 + (c * self.config.projection) as f64)
    }

    fn forward(&self, rows: usize, length: usize) -> f64 {
        2.0 * rows as f64 * self.method.text_tower.work(length) as f64 + self.fusing(rows, length)
    }

    /// The empty text is read once.
    fn forward_of_silence(&self, rows: usize) -> f64 {
        if rows == 0 { 0.0 } else { self.fusing(rows, 2) + 2.0 * self.method.text_tower.work(2) as f64 }
    }

    /// Values that the graph keeps of texts with `words` tokens.
    fn text(&self, words: usize) -> usize {
        let tower = &self.method.text_tower;
        let (d, f) = (tower.width(), tower.intermediate());
        let dropped = usize::from(self.method.dropout > 0.0);
        let (norm, dropout) = if self.fused { (0, dropped) } else { (NORM, DROPOUT * dropped) };
        let block = (6 + norm + dropout) * d + 2 * f + (2 + norm + dropout) * d;
        words * ((3 + norm + dropout) * d + tower.layers() * block)
    }

    /// Values that the graph keeps of `rows` images fused with texts of `length` tokens.
    fn fused(&self, rows: usize, length: usize) -> usize {
        let ([t, _], c) = (self.tokens(), self.width());
        let norm = if self.fused { 0 } else { NORM };
        // Queries, what was read, the sum; with the published form two norms and the feed-forward network's two layers.
        let block = match self.method.fusion.form {
            FusionForm::Attention => 4 * c,
            FusionForm::Transformer => (6 + 2 * norm) * c + 8 * c,
        };
        let keys = 2 * length * c;
        let pooling = 2 * t * c + if self.method.pooling == Pooling::SetTransformer { 2 * t * c } else { 0 };
        let mapped = if self.method.fusion.width.is_some() { t * c } else { 0 };
        rows * (self.method.fusion.blocks * (t * block + keys) + pooling + mapped)
    }

    /// Attention's weights: of the text tower and the fusion, where no fused kernel computes them, or they are compared.
    fn softmax(&self, rows: usize, length: usize, weighed: bool) -> usize {
        let ([t, _], fusion, tower) = (self.tokens(), &self.method.fusion, &self.method.text_tower);
        let cross = rows * fusion.heads * t * length * fusion.blocks;
        let own = rows * tower.heads() * length * length * tower.layers();
        let pooling = rows * fusion.heads * t;
        match (self.fused, weighed) {
            (true, false) => 0,
            (true, true) => SOFTMAX * cross,
            (false, _) => SOFTMAX * (cross + own + pooling),
        }
    }
}
