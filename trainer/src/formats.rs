//! The number formats that a part of the trainer takes: one list for its check and for the option that chooses one.

use crate::error::Result;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::{Deserialize, Deserializer, Error};
use thisbut_model::number::NumberFormat;

/// Number formats, each with what it means here, as an option's help says it.
#[derive(Clone, Copy, Debug)]
pub struct Formats(pub &'static [(NumberFormat, &'static str)]);

impl Formats {
    /// Checks that `format` is one of them; `place` is for the message.
    ///
    /// # Errors
    /// `ModelError::NumberFormat` that names `format` and lists these.
    pub fn check(self, place: &str, format: NumberFormat) -> Result<()> {
        let allowed: Vec<NumberFormat> = self.0.iter().map(|(format, _)| *format).collect();
        Ok(format.among(place, &allowed)?)
    }

    /// Reads one of them from a file; serde's `deserialize_with` calls it.
    ///
    /// # Errors
    /// For another format, and for what is none.
    pub fn read<'de, D: Deserializer<'de>, T: From<NumberFormat>>(self, from: D) -> Result<T, D::Error> {
        let format = NumberFormat::deserialize(from)?;
        self.check("this field", format).map_err(D::Error::custom)?;
        Ok(format.into())
    }

    /// What reads an option that takes these alone.
    pub fn parser(self) -> impl TypedValueParser<Value = NumberFormat> {
        let values = self.0.iter().map(|(format, help)| PossibleValue::new(format.name()).help(*help));
        PossibleValuesParser::new(values).try_map(|name: String| name.parse::<NumberFormat>())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use NumberFormat::{Bf16, F32, Q8};
    use clap::{Arg, Command};

    const TWO: Formats = Formats(&[(F32, "exact"), (Bf16, "half")]);

    #[test]
    fn an_option_takes_its_own_formats_and_shows_them() {
        let command = || Command::new("x").arg(Arg::new("precision").long("precision").value_parser(TWO.parser()));
        let parsed = |value: &str| command().try_get_matches_from(["x", "--precision", value]);
        assert_eq!(parsed("bf16").unwrap().get_one::<NumberFormat>("precision"), Some(&Bf16));
        for other in ["q8", "f64", "BF16", ""] {
            let message = parsed(other).unwrap_err().to_string();
            assert!(message.contains("--precision") && message.contains("f32, bf16"), "{message}");
        }
        let help = command().render_long_help().to_string();
        assert!(help.contains("f32:  exact") && help.contains("bf16: half"), "{help}");
    }

    #[test]
    fn a_library_refuses_what_the_option_never_gives() {
        assert!(TWO.check("--precision", F32).is_ok());
        let message = TWO.check("--precision", Q8).unwrap_err().to_string();
        assert_eq!(message, "--precision: the number format q8 isn't taken here; choose f32 or bf16");
    }
}
