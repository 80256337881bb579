//! The ranges that numbers of settings and options lie in: one rule for the command line, recipes and stored settings.

use crate::error::{Result, TrainerError};
use std::fmt;
use std::str::FromStr;

/// From `least` to `most`, both within it unless `open` or `below` say otherwise. What is not a number is in no range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    least: f64,
    most: f64,
    /// `least` itself is outside.
    open: bool,
    /// `most` itself is outside.
    below: bool,
}

/// The largest value of what has no natural end.
const LARGEST: f64 = 1e6;

/// A rate, a temperature, a length in epochs: above 0.
pub const POSITIVE: Within = Within { least: 0.0, most: LARGEST, open: true, below: false };
/// A weight, a decay, a norm: 0 or more.
pub const NOT_NEGATIVE: Within = Within { least: 0.0, most: LARGEST, open: false, below: false };
/// A factor of 1 or more.
pub const AT_LEAST_ONE: Within = Within { least: 1.0, most: LARGEST, open: false, below: false };
/// A share that leaves something: dropout, smoothing.
pub const PART: Within = Within { least: 0.0, most: 1.0, open: false, below: true };
/// A share that is not none.
pub const SHARE: Within = Within { least: 0.0, most: 1.0, open: true, below: false };
/// A share of the whole, none or all of it among them.
pub const PORTION: Within = Within { least: 0.0, most: 1.0, open: false, below: false };
/// Rows that are added to others.
pub const ADDED: Within = Within { least: 0.0, most: 0.9, open: false, below: false };
/// Rows that only name what images show.
pub const TITLES: Within = Within { least: 0.0, most: 0.95, open: false, below: false };
/// An exponent.
pub const EXPONENT: Within = Within { least: -10.0, most: 10.0, open: false, below: false };

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.open { "above" } else { "at least" };
        let most = if self.below { "below" } else { "at most" };
        write!(f, "{least} {} and {most} {}", self.least, self.most)
    }
}

impl Within {
    /// Whether `value` is in the range.
    pub fn holds(self, value: f64) -> bool {
        let above = if self.open { value > self.least } else { value >= self.least };
        above && if self.below { value < self.most } else { value <= self.most }
    }

    /// Checks a setting; `option` names it.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] with the range.
    pub fn check(self, option: &str, value: f64) -> Result<()> {
        match self.holds(value) {
            true => Ok(()),
            false => {
                Err(TrainerError::settings(option, format!("{} is out of range", short(value)), format!("give {self}")))
            }
        }
    }

    /// Reads an option's value.
    pub fn parser<T: FromStr + Into<f64> + Copy>(self) -> impl Fn(&str) -> Result<T, String> + Clone {
        move |text: &str| match text.parse::<T>() {
            Ok(value) if self.holds(value.into()) => Ok(value),
            Ok(_) => Err(format!("it is out of range; give {self}")),
            Err(_) => Err(format!("it is not a number; give {self}")),
        }
    }
}

/// A number for people: a plain one has at most sixteen digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if value.is_finite() && size != 0.0 && !(1e-6..1e16).contains(&size) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

/// Reads a count of at least 1.
///
/// # Errors
/// When it is none.
pub fn count(text: &str) -> Result<usize, String> {
    counted(text, usize::MAX)
}

/// Reads a count from 1 to `most`.
///
/// # Errors
/// When it is none.
pub fn counted(text: &str, most: usize) -> Result<usize, String> {
    let wanted = if most == usize::MAX { "at least 1".to_owned() } else { format!("1 to {most}") };
    match text.parse::<usize>() {
        Ok(value) if (1..=most).contains(&value) => Ok(value),
        Ok(_) => Err(format!("it is out of range; give {wanted}")),
        Err(_) => Err(format!("it is not a whole number; give {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn ends_are_in_or_out_as_named_and_what_is_no_number_is_out() {
        assert!(!POSITIVE.holds(0.0) && POSITIVE.holds(1e-300) && POSITIVE.holds(1e6) && !POSITIVE.holds(2e6));
        assert!(NOT_NEGATIVE.holds(0.0) && NOT_NEGATIVE.holds(-0.0) && !NOT_NEGATIVE.holds(-1e-9));
        assert!(PART.holds(0.0) && !PART.holds(1.0) && !SHARE.holds(0.0) && SHARE.holds(1.0));
        for range in [POSITIVE, NOT_NEGATIVE, AT_LEAST_ONE, PART, SHARE, ADDED, TITLES, EXPONENT] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(!range.holds(value), "{range:?} holds {value}");
            }
        }
        let said = PART.check("--dropout", 1.0).unwrap_err().to_string();
        assert_eq!(said, "--dropout: 1 is out of range; give at least 0 and below 1");
        for (value, named) in [(1e300, "1e300"), (-2.5e-9, "-2.5e-9"), (-5.0, "-5"), (f64::NAN, "NaN")] {
            let said = NOT_NEGATIVE.check("--clip", value).unwrap_err().to_string();
            assert_eq!(said, format!("--clip: {named} is out of range; give at least 0 and at most 1000000"));
        }
        let read = POSITIVE.parser::<f64>();
        assert_eq!(read("0.5"), Ok(0.5));
        assert!(read("0").unwrap_err().contains("above 0") && read("x").unwrap_err().contains("not a number"));
        assert_eq!((count("3"), counted("10", 10)), (Ok(3), Ok(10)));
        assert!(count("0").is_err() && count("-1").is_err() && counted("11", 10).unwrap_err().contains("1 to 10"));
    }
}
