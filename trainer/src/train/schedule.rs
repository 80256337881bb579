//! The learning rate over a run: linear warm-up, then half a cosine down to a hundredth.

use super::settings::Settings;

/// Learning rate of `step` (from 0).
pub fn learning_rate(settings: &Settings, step: usize) -> f64 {
    const FLOOR: f64 = 0.01;
    if step < settings.warmup {
        return settings.learning_rate * (step + 1) as f64 / settings.warmup as f64;
    }
    let span = settings.steps.saturating_sub(settings.warmup).max(1);
    let progress = ((step - settings.warmup) as f64 / span as f64).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    settings.learning_rate * (FLOOR + (1.0 - FLOOR) * cosine)
}
