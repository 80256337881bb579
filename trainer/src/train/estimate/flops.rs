//! Arithmetic of a step: the matrix products, two operations a multiplication. The rest is memory traffic.

use super::{Load, Passes, pieces};
use crate::train::settings::Settings;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::MethodConfig;

/// Floating-point operations of one step, over all devices: forward, backward (twice the forward), and the second forward
/// pass of pieces.
pub fn step(settings: &Settings, config: &RetrievalConfig, load: Load) -> f64 {
    let forward = forward(settings, config, load);
    let again = if pieces(&load) > 1 { forward.graph } else { 0.0 };
    let shares = settings.batch as f64 / load.rows.max(1) as f64;
    shares * (3.0 * forward.graph + again + forward.plain)
}

/// Of one forward pass over `load.rows` triplets: what the backward pass follows, and what it does not.
struct Forward {
    graph: f64,
    plain: f64,
}

fn forward(settings: &Settings, config: &RetrievalConfig, load: Load) -> Forward {
    let MethodConfig::TwoPass(own) = &config.method;
    let (q, passes) = (&own.qformer, Passes::of(settings));
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
    let images = on(passes.composed) + on(passes.targets);
    let scores = 2.0 * settings.batch as f64 * n * config.projection as f64;
    let graph = images * keys
        + on(passes.targets) * look
        + on(passes.composed) * (fuse + layers * block(length))
        + on(passes.text_only) * layers * block(length)
        + scores;
    Forward { graph: rows * graph, plain: rows * on(passes.reverse) * fuse }
}
