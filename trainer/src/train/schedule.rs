//! The learning rate over a run.

use super::settings::{Schedule, Settings};
use std::f64::consts::PI;

/// What the optimiser uses in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Learning rate.
    pub rate: f64,
    /// AdamW's β₁.
    pub beta1: f64,
}

/// Rate and β₁ of `step` (from 0).
///
/// A schedule may be longer than the run (`schedule_steps`): SPRC stops after 50 epochs of a schedule made for 80.
pub fn point(settings: &Settings, step: usize) -> Point {
    let length = settings.schedule_length();
    match settings.schedule {
        Schedule::Cosine => Point { rate: cosine(settings, step, length, FLOOR), beta1: settings.betas.0 },
        Schedule::CosineToZero => Point { rate: cosine(settings, step, length, 0.0), beta1: settings.betas.0 },
        Schedule::CosineRestarts => Point { rate: restarts(settings, step, FLOOR), beta1: settings.betas.0 },
        Schedule::CosineRestartsToZero => Point { rate: restarts(settings, step, 0.0), beta1: settings.betas.0 },
        Schedule::OneCycle => one_cycle(settings, step, length),
        Schedule::Constant => Point { rate: settings.learning_rate * warm(settings, step), beta1: settings.betas.0 },
    }
}

/// The share of the rate that warm-up has reached.
fn warm(settings: &Settings, step: usize) -> f64 {
    if step < settings.warmup { (step + 1) as f64 / settings.warmup as f64 } else { 1.0 }
}

/// Where [`Schedule::Cosine`] ends, as a share of the peak.
const FLOOR: f64 = 0.01;

/// Linear warm-up, then half a cosine down to `floor` of the peak.
fn cosine(settings: &Settings, step: usize, length: usize, floor: f64) -> f64 {
    if step < settings.warmup {
        return settings.learning_rate * (step + 1) as f64 / settings.warmup as f64;
    }
    let span = length.saturating_sub(settings.warmup).max(1);
    let progress = ((step - settings.warmup) as f64 / span as f64).min(1.0);
    let cosine = 0.5 * (1.0 + (PI * progress).cos());
    settings.learning_rate * (floor + (1.0 - floor) * cosine)
}

/// Linear warm-up, then half a cosine down to `floor` of the peak in each cycle; a cycle begins at the peak.
fn restarts(settings: &Settings, step: usize, floor: f64) -> f64 {
    if step < settings.warmup {
        return settings.learning_rate * warm(settings, step);
    }
    let (mut at, mut length) = (step - settings.warmup, settings.cycle.max(1));
    while settings.cycle_factor > 1 && at >= length {
        at -= length;
        length = length.saturating_mul(settings.cycle_factor);
    }
    let cosine = 0.5 * (1.0 + (PI * (at % length) as f64 / length as f64).cos());
    settings.learning_rate * (floor + (1.0 - floor) * cosine)
}

/// PyTorch's `OneCycleLR` with its defaults, which the published code relies on: half a cosine up from the peak divided by
/// `div_factor`, half a cosine down to that divided by 10,000, while β₁ goes from 0.95 to 0.85 and back.
fn one_cycle(settings: &Settings, step: usize, length: usize) -> Point {
    const FINAL: f64 = 1e4;
    const BETAS: (f64, f64) = (0.85, 0.95);
    let peak = settings.learning_rate;
    let first = peak / settings.div_factor;
    let top = (settings.warmup as f64 - 1.0).max(0.0);
    let end = (length as f64 - 1.0).max(top + 1.0);
    let at = (step as f64).min(end);
    let between = |from: f64, to: f64, share: f64| to + (from - to) / 2.0 * (1.0 + (PI * share).cos());
    if at <= top && top > 0.0 {
        let share = at / top;
        return Point { rate: between(first, peak, share), beta1: between(BETAS.1, BETAS.0, share) };
    }
    let share = (at - top) / (end - top);
    Point { rate: between(peak, first / FINAL, share), beta1: between(BETAS.0, BETAS.1, share) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cycle_matches_pytorch() {
        // torch.optim.lr_scheduler.OneCycleLR(AdamW, max_lr=1e-5, pct_start=0.1, total_steps=100, div_factor=25)
        let settings = Settings {
            steps: 50,
            schedule_steps: 100,
            warmup: 10,
            schedule: Schedule::OneCycle,
            learning_rate: 1e-5,
            div_factor: 25.0,
            ..Settings::sprc()
        };
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} for {b}");
        for (step, rate, beta1) in ONE_CYCLE {
            near(point(&settings, step).rate, rate);
            near(point(&settings, step).beta1, beta1);
        }
    }

    #[test]
    fn openclips_cosine_ends_at_nothing() {
        // third_party/open_clip/scheduler.py of Pic2Word: cosine_lr(optimizer, 1e-4, 10, 50)
        let settings = Settings {
            steps: 50,
            warmup: 10,
            schedule: Schedule::CosineToZero,
            learning_rate: 1e-4,
            ..Settings::sprc()
        };
        for (step, rate) in [(0, 1e-5), (9, 1e-4), (10, 1e-4), (30, 5e-5), (49, 1.541_333_133_436_018e-7)] {
            assert!((point(&settings, step).rate - rate).abs() < 1e-12, "{step}: {}", point(&settings, step).rate);
        }
    }

    #[test]
    fn restarts_match_pytorch() {
        // torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(AdamW, T_0=10, T_mult, eta_min), max_lr=2e-5, after 5 steps
        let of = |schedule, cycle_factor| Settings {
            steps: 100,
            warmup: 5,
            cycle: 10,
            cycle_factor,
            schedule,
            learning_rate: 2e-5,
            ..Settings::sprc()
        };
        let near = |settings: &Settings, expected: &[(usize, f64)]| {
            for (step, rate) in expected {
                let found = point(settings, step + 5).rate;
                assert!((found - rate).abs() < 1e-16, "{step}: {found} for {rate}");
            }
        };
        near(&of(Schedule::CosineRestartsToZero, 2), &RESTARTS);
        near(&of(Schedule::CosineRestarts, 1), &CYCLES);
        let warm = of(Schedule::CosineRestarts, 1);
        assert!((point(&warm, 0).rate - 4e-6).abs() < 1e-18 && point(&warm, 4).rate == 2e-5);
    }

    #[test]
    fn a_constant_rate_is_constant() {
        let settings = Settings { steps: 50, schedule: Schedule::Constant, learning_rate: 1e-5, ..Settings::sprc() };
        assert!([0, 1, 25, 49].iter().all(|step| point(&settings, *step) == Point { rate: 1e-5, beta1: 0.9 }));
        let warm = Settings { warmup: 10, ..settings };
        let near = |step, rate: f64| assert!((point(&warm, step).rate / rate - 1.0).abs() < 1e-12);
        near(0, 1e-6);
        near(9, 1e-5);
        near(49, 1e-5);
    }

    /// Step after the warm-up, rate.
    const RESTARTS: [(usize, f64); 6] = [
        (0, 2e-05),
        (3, 1.5877852522924733e-05),
        (9, 4.894348370484648e-07),
        (10, 2e-05),
        (25, 2.9289321881345257e-06),
        (31, 1.9969173337331283e-05),
    ];
    const CYCLES: [(usize, f64); 5] =
        [(0, 2e-05), (5, 1.01e-05), (9, 6.845404886779801e-07), (10, 2e-05), (37, 4.280926002304517e-06)];

    /// step, rate, β₁.
    const ONE_CYCLE: [(usize, f64, f64); 5] = [
        (0, 3.999_999_999_999_995_6e-7, 0.95),
        (5, 6.033_511_252_801_266e-6, 0.891_317_591_116_653_4),
        (9, 1e-5, 0.85),
        (10, 9.996_954_147_278_94e-6, 0.850_030_458_649_045_1),
        (49, 5.868_257_415_371_1e-6, 0.891_317_591_116_653_4),
    ];
}
