//! Arithmetic of a step: the matrix products, two operations a multiplication. The rest is memory traffic.

use super::{Load, pieces};
use crate::train::settings::Settings;
use thisbut_model::CirConfig;

/// Floating-point operations of one step, over all devices: forward, backward (twice the forward), and the second forward
/// pass of pieces.
pub fn step(settings: &Settings, config: &CirConfig, load: Load) -> f64 {
    // How the passes are computed changes what is kept, not what is multiplied.
    let cost = super::cost(settings, config, load, true);
    let graph = cost.graph + load.rows as f64 * settings.batch as f64 * cost.comparison;
    let again = if pieces(&load) > 1 { graph } else { 0.0 };
    let shares = settings.batch as f64 / load.rows.max(1) as f64;
    shares * (3.0 * graph + again + cost.plain)
}
