//! What the passes of a step cost: matrix products, two operations a multiplication, and the values that their graph keeps.

use super::{Losses, TwoPassSettings};
use crate::teacher::WIDTH;
use crate::train::estimate::{Cost, DROPOUT, Load, NORM, SOFTMAX};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{QFormerConfig, ReadOut, TwoPassConfig};

/// Which passes a step makes.
struct Passes {
    composed: bool,
    /// The second pass; the prototype itself is read without one.
    second: bool,
    text_only: bool,
    reverse: bool,
    targets: bool,
}

impl Passes {
    fn of(settings: &TwoPassSettings, method: &TwoPassConfig) -> Self {
        Self {
            composed: settings.composes(),
            second: settings.composes() && method.read_out != ReadOut::Prototype,
            text_only: settings.reads_texts(),
            reverse: settings.losses == Losses::Ptha && settings.p2p > 0.0,
            targets: !settings.bank,
        }
    }

    /// Images behind `rows` triplets.
    fn images(&self, rows: usize) -> usize {
        rows * (usize::from(self.composed) + usize::from(self.targets))
    }
}

/// What is computed with.
#[derive(Clone, Copy)]
struct Model<'a> {
    config: &'a RetrievalConfig,
    q: &'a QFormerConfig,
}

/// Of a step over `load.rows` triplets.
pub(super) fn of(
    settings: &TwoPassSettings,
    (config, method): (&RetrievalConfig, &TwoPassConfig),
    load: Load,
    fused: bool,
) -> Cost {
    let (q, passes) = (&method.qformer, Passes::of(settings, method));
    let model = Model { config, q };
    let (graph, plain) = operations(&passes, model, load);
    Cost {
        graph,
        plain,
        comparison: comparison(settings, q.query_tokens) * config.projection as f64,
        images: passes.images(load.rows),
        activations: activations(&passes, model, load, fused),
        softmax: if fused { 0 } else { softmax(&passes, model, load) },
        representation: config.projection * (2 + q.query_tokens),
        // Scores are kept token by token, then their maximum and a few matrices of the softmax.
        similarity: 2 * q.query_tokens + 6 + taught(settings, q.query_tokens),
        banked: settings.bank.then_some(q.query_tokens * config.projection),
        pooled: if settings.teacher_weight > 0.0 { WIDTH } else { 0 },
    }
}

/// Values that comparing two images token by token keeps beside: the products and their maxima, and matrices of two softmaxes.
fn taught(settings: &TwoPassSettings, tokens: usize) -> usize {
    if settings.teacher_weight > 0.0 { 2 * tokens * tokens + 2 * tokens + 8 } else { 0 }
}

/// Operations of comparing a row with a target, for each of the P values of a token.
fn comparison(settings: &TwoPassSettings, tokens: usize) -> f64 {
    let images = if settings.teacher_weight > 0.0 { 2 * tokens * tokens } else { 0 };
    (2 * tokens + images) as f64
}

/// Of one forward pass: what the backward pass follows, and what it does not.
fn operations(passes: &Passes, Model { config, q }: Model, load: Load) -> (f64, f64) {
    let rows = load.rows as f64;
    let [tokens, d, f, n, layers] =
        [config.image_tokens(), q.width, q.intermediate, q.query_tokens, q.layers].map(|x| x as f64);
    let crosses = q.layers.div_ceil(q.cross_attention_every.max(1)) as f64;
    let source = q.image_width.unwrap_or(config.image_width()) as f64;
    let length = n + load.words as f64 / rows.max(1.0);
    // Four maps and two products of the attention; two maps of the feed-forward network.
    let block = |positions: f64| positions * (8.0 * d * d + 4.0 * positions * d + 4.0 * d * f);
    let cross = n * (4.0 * d * d + 4.0 * tokens * d) * crosses;
    let mapped = if q.image_width.is_some() { 2.0 * config.image_width() as f64 * source } else { 0.0 };
    let keys = tokens * (mapped + crosses * 4.0 * source * d);
    let fuse = layers * block(length) + cross;
    let look = layers * block(n) + cross;
    let on = |pass: bool| f64::from(u8::from(pass));
    let graph = passes.images(1) as f64 * keys
        + on(passes.targets) * look
        + on(passes.composed) * fuse
        + on(passes.second) * layers * block(length)
        + on(passes.text_only) * layers * block(length);
    (rows * graph, rows * on(passes.reverse) * fuse)
}

/// Values that the graph of a piece keeps.
fn activations(passes: &Passes, Model { config, q }: Model, load: Load, fused: bool) -> usize {
    let (tokens, d, f) = (config.image_tokens(), q.width, q.intermediate);
    let crosses = q.layers.div_ceil(q.cross_attention_every.max(1));
    let images = passes.images(load.rows);
    let prompts = load.rows * q.query_tokens;
    // Beside what the fused kernels keep: a norm's normalised rows and a dropout's mask.
    let (norm, dropout) =
        if fused { (0, usize::from(q.dropout > 0.0)) } else { (NORM, DROPOUT * usize::from(q.dropout > 0.0)) };
    // Queries, keys, values, attended, the norm's input and output.
    let attention = (6 + norm + dropout) * d;
    let feed_forward = 2 * f + (2 + norm + dropout) * d;
    let embedding = (3 + norm + dropout) * d;
    let cross = (4 + norm + dropout) * d;
    let layers = q.layers;
    let fuse =
        (prompts + load.words) * (embedding + layers * (attention + feed_forward + 2 * d)) + prompts * crosses * cross;
    let text = (prompts + load.words) * (embedding + layers * (attention + feed_forward));
    let look = prompts * (embedding + layers * (attention + feed_forward + d) + crosses * cross);
    let source = q.image_width.unwrap_or(config.image_width());
    // Tokens after `ln_vision`, and where there is a map, after it; keys and values, once whole and once cut in halves, and the
    // reference's again by parts of the batch.
    let mapped = if q.image_width.is_some() { source } else { 0 };
    let keys = images * tokens * ((1 + norm) * config.image_width() + mapped + crosses * 4 * d)
        + usize::from(passes.composed) * load.rows * tokens * crosses * 2 * d;
    keys + usize::from(passes.targets) * look
        + usize::from(passes.composed) * fuse
        + usize::from(passes.second) * text
        + usize::from(passes.text_only) * text
}

/// Attention weights that a portable softmax keeps.
fn softmax(passes: &Passes, Model { config, q }: Model, load: Load) -> usize {
    let crosses = q.layers.div_ceil(q.cross_attention_every.max(1));
    let length = q.query_tokens + load.words / load.rows.max(1);
    let own = |positions: usize| load.rows * q.heads * positions * positions * q.layers;
    let cross = load.rows * q.heads * q.query_tokens * config.image_tokens() * crosses;
    let sum = usize::from(passes.targets) * (own(q.query_tokens) + cross)
        + usize::from(passes.composed) * (own(length) + cross)
        + usize::from(passes.second) * own(length)
        + usize::from(passes.text_only) * own(length);
    let mask = DROPOUT * usize::from(q.attention_dropout > 0.0);
    (SOFTMAX + mask) * sum
}
