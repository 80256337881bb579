//! Losses by name, and the one place where they are added up.

use burn::tensor::Tensor;
use std::fmt;

/// One loss.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Its name: a key of `metrics.jsonl`, a label of the progress line, a curve in a plot. One of [`super::LOSSES`].
    pub name: &'static str,
    /// Its factor in what is minimised.
    pub weight: f64,
    /// Its value before that factor, `[1]`.
    pub value: Tensor<1>,
}

impl Loss {
    /// Weight times value, `[1]`.
    fn weighted(&self) -> Tensor<1> {
        self.value.clone() * self.weight
    }
}

/// What is minimised: the sum of weight times value, `[1]`; none without losses.
pub fn minimised(losses: &[Loss]) -> Option<Tensor<1>> {
    losses.iter().map(Loss::weighted).reduce(|sum, more| sum + more)
}

/// The losses of one step as numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// What is minimised.
    pub total: f64,
    /// Each loss before its weight, in the objective's order.
    pub parts: Vec<(&'static str, f64)>,
}

impl Figures {
    /// A single loss, which has no parts.
    pub fn single(total: f64) -> Self {
        Self { total, parts: Vec::new() }
    }

    /// Of `losses`, whose values were read back as `values`.
    pub(crate) fn of(losses: &[Loss], values: &[f32]) -> Self {
        let parts: Vec<(&'static str, f64)> =
            losses.iter().zip(values).map(|(loss, value)| (loss.name, f64::from(*value))).collect();
        let total = losses.iter().zip(&parts).map(|(loss, (_, value))| loss.weight * value).sum();
        Self { total, parts }
    }

    /// The value of a loss, where it was computed.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.parts.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// "loss 3.123 (q2t 2.345, t2t 1.945)".
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.3}", self.total)?;
        // A single loss is the total itself.
        if self.parts.len() > 1 {
            let parts: Vec<String> = self.parts.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
            write!(f, " ({})", parts.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use burn::tensor::Device;

    #[test]
    fn weights_count_once() {
        let device = Device::flex();
        let loss = |name, weight, value: f32| Loss { name, weight, value: Tensor::from_floats([value], &device) };
        let losses = [loss("q2t", 1.0, 2.0), loss("t2t", 0.4, 3.0), loss("p2p", 0.5, 0.25)];
        let sum: Vec<f32> = minimised(&losses).unwrap().into_data().try_to_vec().unwrap();
        let figures = Figures::of(&losses, &[2.0, 3.0, 0.25]);
        assert_eq!(figures.total, 1.0 * 2.0 + 0.4 * 3.0 + 0.5 * 0.25);
        assert!((f64::from(sum[0]) - figures.total).abs() < 1e-6);
        assert_eq!(figures.to_string(), "loss 3.325 (q2t 2.000, t2t 3.000, p2p 0.250)");
        assert_eq!(Figures::single(1.5).to_string(), "loss 1.500");
        assert!(minimised(&[]).is_none());
    }
}
