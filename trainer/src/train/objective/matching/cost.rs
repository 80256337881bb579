//! What the passes of a step cost: matrix products, two operations a multiplication, and the values that their graph keeps.

use super::MatchingSettings;
use crate::train::estimate::{Cost, DROPOUT, Load, NORM, SOFTMAX};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{MatchingConfig, QFormerConfig, TextForm};

/// Of a step over `load.rows` triplets. Captions are counted as long as texts may be.
pub(super) fn of(
    settings: &MatchingSettings,
    (config, method): (&RetrievalConfig, &MatchingConfig),
    load: Load,
    fused: bool,
) -> Cost {
    let captioned = if settings.reads_captions_of_targets() { load.rows } else { 0 };
    let model = Model { config, method, q: &method.qformer, fused };
    let read = Reading { rows: load.rows, words: load.words, captioned };
    Cost {
        graph: model.operations(read),
        plain: 0.0,
        comparison: 2.0 * (config.projection * if captioned > 0 { 2 } else { 1 }) as f64,
        images: 2 * load.rows,
        activations: model.activations(read),
        softmax: if fused { 0 } else { model.softmax(read) },
        representation: config.projection * if captioned > 0 { 3 } else { 2 },
        similarity: if captioned > 0 { 12 } else { 6 },
        banked: None,
        pooled: 0,
    }
}

/// What a step reads.
#[derive(Clone, Copy)]
struct Reading {
    rows: usize,
    /// Positions of their texts.
    words: usize,
    /// Captions.
    captioned: usize,
}

struct Model<'a> {
    config: &'a RetrievalConfig,
    method: &'a MatchingConfig,
    q: &'a QFormerConfig,
    fused: bool,
}

impl Model<'_> {
    fn crosses(&self) -> usize {
        self.q.layers.div_ceil(self.q.cross_attention_every.max(1))
    }

    /// Positions of a caption with what stands before it.
    fn caption(&self) -> usize {
        let before = if self.method.text_form == TextForm::Queries { self.q.query_tokens } else { 0 };
        before + self.config.text.length()
    }

    /// Of one forward pass.
    fn operations(&self, read: Reading) -> f64 {
        let (q, rows) = (self.q, read.rows as f64);
        let [tokens, c, d, f, n] =
            [self.config.image_tokens(), self.config.image_width(), q.width, q.intermediate, q.query_tokens]
                .map(|x| x as f64);
        let [layers, crosses] = [q.layers, self.crosses()].map(|x| x as f64);
        let source = q.image_width.map_or(c, |width| width as f64);
        let block = |positions: f64| positions * (8.0 * d * d + 4.0 * positions * d + 4.0 * d * f);
        let cross = n * (4.0 * d * d + 4.0 * tokens * d) * crosses;
        let mapped = if q.image_width.is_some() { 2.0 * c * source } else { 0.0 };
        let keys = 2.0 * tokens * (mapped + crosses * 4.0 * source * d);
        let passes = layers * (block(n + read.words as f64 / rows.max(1.0)) + block(n)) + 2.0 * cross;
        let heads = self.method.heads as f64;
        let mixing = 2.0 * heads * d * (n + self.method.head_width as f64);
        let caption = layers * block(self.caption() as f64) + mixing;
        rows * (keys + passes + 2.0 * mixing) + read.captioned as f64 * caption
    }

    /// Values that the graph of a piece keeps.
    fn activations(&self, read: Reading) -> usize {
        let (q, c) = (self.q, self.config.image_width());
        let (tokens, d, f, crosses) = (self.config.image_tokens(), q.width, q.intermediate, self.crosses());
        let dropped = usize::from(q.dropout > 0.0);
        let (norm, dropout) = if self.fused { (0, dropped) } else { (NORM, DROPOUT * dropped) };
        let attention = (6 + norm + dropout) * d;
        let feed_forward = 2 * f + (2 + norm + dropout) * d;
        let embedding = (3 + norm + dropout) * d;
        let cross = (4 + norm + dropout) * d;
        let prompts = read.rows * q.query_tokens;
        let fuse = (prompts + read.words) * (embedding + q.layers * (attention + feed_forward + 2 * d))
            + prompts * crosses * cross;
        let look = prompts * (embedding + q.layers * (attention + feed_forward + d) + crosses * cross);
        let captions = read.captioned * self.caption() * (embedding + q.layers * (attention + feed_forward));
        let mapped = q.image_width.unwrap_or(0);
        let keys =
            2 * read.rows * tokens * ((1 + norm) * c + mapped + crosses * 4 * d) + read.rows * tokens * crosses * 2 * d;
        // Outputs turned, mixed rows turned back, and their normalised channels.
        let own = self.method;
        let mixed = q.query_tokens * d + 2 * own.heads * d + 4 * self.config.projection;
        keys + fuse + look + captions + (2 * read.rows + read.captioned) * mixed
    }

    /// Attention weights that a portable softmax keeps.
    fn softmax(&self, read: Reading) -> usize {
        let q = self.q;
        let length = q.query_tokens + read.words / read.rows.max(1);
        let own = |rows: usize, positions: usize| rows * q.heads * positions * positions * q.layers;
        let cross = read.rows * q.heads * q.query_tokens * self.config.image_tokens() * self.crosses();
        let sum =
            own(read.rows, length) + own(read.rows, q.query_tokens) + 2 * cross + own(read.captioned, self.caption());
        let mask = DROPOUT * usize::from(q.attention_dropout > 0.0);
        (SOFTMAX + mask) * sum
    }
}
