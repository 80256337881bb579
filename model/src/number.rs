//! How numbers are stored or computed: the one list of formats, with their sizes and their one spelling.

use std::fmt;
use std::str::FromStr;

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};

/// A number format, spelled the same in files and on the command line ([`NumberFormat::name`]). No place takes every one
/// of them: each checks with [`NumberFormat::among`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NumberFormat {
    /// IEEE binary64.
    F64,
    /// IEEE binary32; what files hold that were written before there was a choice, where nothing else is said.
    #[default]
    F32,
    /// IEEE binary16.
    F16,
    /// bfloat16, the upper half of an f32.
    Bf16,
    /// 8-bit codes with a scale a row.
    Int8,
    /// 8-bit codes with a scale a block ([`crate::quant`]).
    Q8,
    /// 4-bit codes with a scale a block ([`crate::quant`]).
    Q4,
}

impl NumberFormat {
    /// Every format.
    pub const ALL: [Self; 7] = [Self::F64, Self::F32, Self::F16, Self::Bf16, Self::Int8, Self::Q8, Self::Q4];

    /// What a device computes in.
    pub const FLOATS: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// As files and the command line spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Q8 => "q8",
            Self::Q4 => "q4",
        }
    }

    /// Bytes of a row of `count` numbers without scales; half of the last is unused where 4-bit codes are odd in number.
    /// Stops at the largest `usize` instead of wrapping, so that a hostile file's sizes fit nothing.
    pub const fn row_bytes(self, count: usize) -> usize {
        match self {
            Self::F64 => count.saturating_mul(8),
            Self::F32 => count.saturating_mul(4),
            Self::F16 | Self::Bf16 => count.saturating_mul(2),
            Self::Int8 | Self::Q8 => count,
            Self::Q4 => count.div_ceil(2),
        }
    }

    /// As burn names what a device computes in.
    ///
    /// # Errors
    /// [`ModelError::NumberFormat`] for a format that is none of [`NumberFormat::FLOATS`].
    pub fn float(self) -> Result<FloatDType> {
        match self {
            Self::F32 => Ok(FloatDType::F32),
            Self::F16 => Ok(FloatDType::F16),
            Self::Bf16 => Ok(FloatDType::BF16),
            Self::F64 | Self::Int8 | Self::Q8 | Self::Q4 => Err(self.refused("the device's arithmetic", &Self::FLOATS)),
        }
    }

    /// Checks that `place` takes this format: that it is one of `allowed`.
    ///
    /// # Errors
    /// [`ModelError::NumberFormat`] that names it and lists `allowed`.
    pub fn among(self, place: &str, allowed: &[Self]) -> Result<()> {
        if allowed.contains(&self) { Ok(()) } else { Err(self.refused(place, allowed)) }
    }

    /// The error of a place that takes `allowed` alone.
    pub fn refused(self, place: &str, allowed: &[Self]) -> ModelError {
        refused(place, self.name(), allowed)
    }
}

fn refused(place: &str, found: &str, allowed: &[NumberFormat]) -> ModelError {
    let names: Vec<&str> = allowed.iter().map(|format| format.name()).collect();
    let choice = match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "another way".to_owned(),
    };
    let found = found.chars().filter(|c| !c.is_control()).take(40).collect();
    ModelError::NumberFormat { place: place.into(), found, mend: format!("choose {choice}") }
}

impl fmt::Display for NumberFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for NumberFormat {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| refused("a number format's name", text, &Self::ALL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NumberFormat::{Bf16, F16, F32, F64, Int8, Q4, Q8};

    #[test]
    fn one_spelling_leads_everywhere_and_back() {
        let names = NumberFormat::ALL.map(NumberFormat::name);
        assert_eq!(names, ["f64", "f32", "f16", "bf16", "int8", "q8", "q4"]);
        for format in NumberFormat::ALL {
            let name = format.name();
            assert_eq!((format.to_string().as_str(), name.parse::<NumberFormat>().unwrap()), (name, format));
            assert_eq!(serde_json::to_value(format).unwrap(), name);
            assert_eq!(serde_json::from_value::<NumberFormat>(name.into()).unwrap(), format);
        }
        assert_eq!(format!("[{:<4}] {:?}", F16, Q8), "[f16 ] Q8", "columns of a table, and the page's line");
    }

    #[test]
    fn what_is_no_format_is_told_the_list() {
        for text in ["", "F32", "fp16", "q5", "int8 ", "\n"] {
            let message = text.parse::<NumberFormat>().unwrap_err().to_string();
            assert!(message.ends_with("choose f64, f32, f16, bf16, int8, q8 or q4"), "{message}");
            assert!(serde_json::from_value::<NumberFormat>(text.into()).is_err(), "{text:?}");
        }
        let long = "q".repeat(10_000).parse::<NumberFormat>().unwrap_err().to_string();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn a_place_names_what_it_refuses_and_what_it_takes() {
        assert!(Bf16.among("--precision", &[F32, Bf16]).is_ok());
        let message = |format: NumberFormat, allowed: &[NumberFormat]| {
            format.among("--precision", allowed).unwrap_err().to_string()
        };
        assert_eq!(message(Q4, &[F32, Bf16]), "--precision: the number format q4 isn't taken here; choose f32 or bf16");
        assert!(message(F16, &[F32]).ends_with("choose f32"));
        for format in NumberFormat::ALL {
            assert_eq!(format.float().is_ok(), NumberFormat::FLOATS.contains(&format), "{format}");
        }
        assert!(Int8.float().unwrap_err().to_string().contains("int8"));
    }

    #[test]
    fn rows_have_their_bytes() {
        let bytes = |count| [F64, F32, F16, Bf16, Int8, Q8, Q4].map(|format| format.row_bytes(count));
        assert_eq!(bytes(3), [24, 12, 6, 6, 3, 3, 2]);
        assert_eq!(bytes(0), [0; 7]);
        assert_eq!(bytes(usize::MAX)[..5], [usize::MAX; 5]);
    }
}
