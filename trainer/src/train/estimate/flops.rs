//! Arithmetic of a step: the matrix products, two operations a multiplication. The rest is memory traffic.

use super::{Load, pieces};
use crate::error::Result;
use crate::train::settings::Settings;
use thisbut_model::RetrievalConfig;

/// Floating-point operations of one step, over all devices: forward, backward (twice the forward), and the second forward
/// pass of pieces.
///
/// # Errors
/// When the configuration is another family's.
pub fn step(settings: &Settings, config: &RetrievalConfig, load: Load) -> Result<f64> {
    // How the passes are computed changes what is kept, not what is multiplied.
    let cost = super::cost(settings, config, load, true)?;
    let encoded = cost.images as f64 * super::encoding(settings, config, true).operations;
    let graph = cost.graph + encoded + load.rows as f64 * settings.batch as f64 * cost.comparison;
    let again = if pieces(&load) > 1 { graph } else { 0.0 };
    let shares = settings.batch as f64 / load.rows.max(1) as f64;
    Ok(shares * (3.0 * graph + again + cost.plain))
}
