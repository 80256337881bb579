//! Groups of parameters that learn at rates of their own.

use super::learner::IMAGE_ENCODER;
use crate::error::{Result, TrainerError};
use serde::{Deserialize, Serialize};
use thisbut_model::config::AdapterConfig;

/// Parameters whose name matches, and how their rate and decay differ from the run's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The beginning of parameter names ("qformer.word"), in which `*` stands for any text; "" is every parameter. `$` at
    /// its end stands for the name's end. Parameters of the image encoder begin with "image_encoder."; they train where a
    /// pattern begins so, too, and stay frozen elsewhere.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Factor of the learning rate; 0 freezes.
    #[serde(default = "one")]
    pub rate: f64,
    /// Factor of the weight decay.
    #[serde(default = "one")]
    pub decay: f64,
}

fn one() -> f64 {
    1.0
}

impl Group {
    /// A group that is not trained.
    pub fn frozen(pattern: &str) -> Self {
        Self { pattern: pattern.to_owned(), rate: 0.0, decay: 1.0 }
    }

    /// The adapters in the image encoder, which train as the rest does.
    pub fn adapters() -> Self {
        let pattern = format!("{IMAGE_ENCODER}*.{}.", AdapterConfig::NAME);
        Self { pattern, rate: one(), decay: one() }
    }

    /// Whether a parameter belongs to it.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, whole) = match self.pattern.strip_suffix('$') {
            Some(pattern) => (pattern, true),
            None => (self.pattern.as_str(), false),
        };
        let mut parts: Vec<&str> = pattern.split('*').collect();
        // What must end the name is looked for there, not where it comes first.
        let last = if whole && parts.len() > 1 { parts.pop() } else { None };
        let mut rest = name;
        for (at, part) in parts.into_iter().enumerate() {
            let found = if at == 0 { rest.strip_prefix(part) } else { rest.split_once(part).map(|(_, rest)| rest) };
            let Some(found) = found else { return false };
            rest = found;
        }
        match last {
            Some(last) => rest.ends_with(last),
            None => !whole || rest.is_empty(),
        }
    }
}

/// Rate and decay factors of a parameter: those of the first group that it matches, else 1 and 1.
pub fn factors(groups: &[Group], name: &str) -> (f64, f64) {
    groups.iter().find(|g| g.matches(name)).map_or((1.0, 1.0), |g| (g.rate, g.decay))
}

/// Whether a parameter is left as it is.
pub fn is_frozen(groups: &[Group], name: &str) -> bool {
    factors(groups, name).0 == 0.0
}

/// Checks the factors, and that each group has parameters of its own.
///
/// # Errors
/// [`TrainerError::Settings`] that names the group.
pub fn check<'a>(groups: &[Group], names: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    for (at, group) in groups.iter().enumerate() {
        let place = || format!("group {} (match = {:?})", at + 1, group.pattern);
        if ![group.rate, group.decay].iter().all(|f| (0.0..=1e3).contains(f)) {
            let problem = format!("rate {} or decay {} is not between 0 and 1000", group.rate, group.decay);
            return Err(TrainerError::settings(place(), problem, "they are factors of the run's own"));
        }
        let first = |name: &&str| groups.iter().position(|g| g.matches(name)) == Some(at);
        if !names.clone().any(|name| first(&name)) {
            let known: Vec<&str> = names.clone().filter(|n| !n.contains("blocks")).take(6).collect();
            let mend = format!("match the beginning of names like {}, and put narrow groups first", known.join(", "));
            return Err(TrainerError::settings(place(), "no parameter is left for it", mend));
        }
    }
    if names.clone().all(|name| is_frozen(groups, name)) {
        return Err(TrainerError::settings("groups", "every parameter is frozen", "leave one group a rate above 0"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_first_group_that_matches_decides() {
        let group = |pattern: &str, rate: f64| Group { pattern: pattern.into(), rate, decay: 1.0 };
        let groups = [group("qformer.word", 0.0), group("qformer.blocks.*.cross.", 0.5), group("qformer.", 0.1)];
        let rate = |name: &str| factors(&groups, name).0;
        assert_eq!(rate("qformer.word"), 0.0);
        assert_eq!(rate("qformer.blocks.3.cross.key.weight"), 0.5);
        assert_eq!(rate("qformer.blocks.3.attention.key.weight"), 0.1);
        assert_eq!(rate("temperature"), 1.0);
        let ends = |pattern: &str, name: &str| Group::frozen(pattern).matches(name);
        assert!(ends("qformer.word$", "qformer.word") && !ends("qformer.word$", "qformer.word_projection.weight"));
        assert!(ends("a.*.bias$", "a.bias.0.bias") && !ends("a.*.bias$", "a.bias.0.bias2"));
        let names = ["qformer.word", "qformer.blocks.0.cross.key.weight", "qformer.norm.beta", "temperature"];
        check(&groups, names.into_iter()).unwrap();
        let refused = |groups: &[Group]| check(groups, names.into_iter()).unwrap_err().to_string();
        assert!(refused(&[group("qformer.words", 0.5)]).contains("no parameter is left"));
        assert!(refused(&[group("", 0.5), group("qformer", 0.1)]).contains("group 2"));
        assert!(refused(&[group("", -0.5)]).contains("between 0"));
        assert!(refused(&[group("", 0.0)]).contains("every parameter is frozen"));
    }
}
