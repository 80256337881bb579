//! The modification-text generator of MTST: its language model, its training, and texts for pairs by the hundred thousand.
//!
//! Letters besides the model crate's: `W` width of the decoder, `V` its vocabulary.

#![forbid(unsafe_code)]

pub mod asked;
pub mod filters;
pub mod growing;
pub mod language;
pub mod mtst;
pub mod overlap;
pub mod produce;
pub mod quality;
pub mod round_trip;
pub mod runtime;
pub mod sentencepiece;
pub mod speaker;
pub mod speakers;
pub mod start;
pub mod synthesis;
pub mod texts;
pub mod train;

pub use language::{About, Language, PRECISIONS, check_precision};
pub use speaker::{Speaker, Trained};

use crate::mtst::MtstConfig;
use crate::runtime::LlamaConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use thisbut_model::number::NumberFormat;
use thisbut_trainer::error::{Result, TrainerError};

/// What a generator's checkpoint says besides a Q-Former's: how it is put together, and around which language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// How it is put together.
    pub mtst: MtstConfig,
    /// The language model's sizes.
    pub language: LlamaConfig,
    /// Fingerprint of its weights, so that a generator is not used with another.
    pub fingerprint: String,
    /// What its linear maps were computed in during training, one of [`PRECISIONS`].
    #[serde(default)]
    pub arithmetic: NumberFormat,
}

impl Setup {
    /// As a checkpoint's header holds it; `path` is where it is to be written.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when a size is not a finite number.
    pub fn described(&self, path: &Path) -> Result<Value> {
        // By way of text, which gives f32 sizes in their own few digits.
        let value = serde_json::to_string(self).and_then(|text| serde_json::from_str(&text));
        value.map_err(|e| wrong(path, &e))
    }

    /// The setup in a checkpoint's header; `path` is the checkpoint's.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when a field is missing or has another type, for an arithmetic that is none of
    /// [`PRECISIONS`], and for sizes that no decoder has.
    pub fn read(described: &Value, path: &Path) -> Result<Self> {
        let setup = Self::deserialize(described).map_err(|e| wrong(path, &e))?;
        PRECISIONS.check(&path.display().to_string(), setup.arithmetic)?;
        // FC_llm is as wide as the decoder, and is made before the decoder is read.
        setup.language.check(&path.display().to_string())?;
        Ok(setup)
    }

    /// Whether two descriptions are of the same setup, one of them perhaps of a version that did not write every field.
    pub fn same(a: &Value, b: &Value) -> bool {
        matches!((Self::deserialize(a), Self::deserialize(b)), (Ok(a), Ok(b)) if a == b)
    }
}

fn wrong(path: &Path, e: &serde_json::Error) -> TrainerError {
    let problem = format!("what it says of its generator cannot be read ({e})");
    TrainerError::checkpoint(path.display().to_string(), problem, "train it again with this version")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use NumberFormat::{Bf16, F16, F32, F64, Int8, Q4, Q8};
    use burn::tensor::Device;
    use serde_json::json;
    use thisbut_trainer::device::DeviceKind;

    #[test]
    fn a_language_model_computes_in_three_formats_alone() {
        let mtst = MtstConfig::new(mtst::MtstForm::Paper);
        let language = json!({"vocabulary": 8, "width": 4, "layers": 1, "heads": 1, "key_heads": 1, "head_width": 4,
            "intermediate": 8, "positions": 16, "rope_base": 1e4, "norm_eps": 1e-5, "tied": true});
        let mut described = json!({"mtst": mtst, "language": language, "fingerprint": "x"});
        let read = |described: &Value| Setup::read(described, Path::new("x.safetensors"));
        let setup = read(&described).unwrap();
        assert_eq!(setup.arithmetic, F32, "of before there was a choice");
        for arithmetic in [F32, Bf16, Int8] {
            let setup = Setup { arithmetic, ..setup.clone() };
            let written = setup.described(Path::new("x")).unwrap();
            assert_eq!((&written["arithmetic"], read(&written).unwrap()), (&json!(arithmetic.name()), setup));
        }
        let device = Device::flex();
        for other in [F64, F16, Q8, Q4] {
            described["arithmetic"] = json!(other);
            let refused = [read(&described).map(drop), check_precision(other, DeviceKind::Cpu, &device)];
            for message in refused.map(|refused| refused.unwrap_err().to_string()) {
                assert!(message.contains(other.name()) && message.ends_with("choose f32, bf16 or int8"), "{message}");
            }
        }
        let mut wide = described.clone();
        (wide["arithmetic"], wide["language"]["width"]) = (json!("f32"), json!(u64::MAX));
        assert!(read(&wide).unwrap_err().to_string().starts_with("x.safetensors: width: "));
        described["arithmetic"] = json!("int4");
        assert!(read(&described).unwrap_err().to_string().starts_with("x.safetensors"));
        assert!(check_precision(Int8, DeviceKind::Cpu, &device).is_ok());
        assert!(check_precision(Int8, DeviceKind::Wgpu, &device).unwrap_err().to_string().contains("--device cpu"));
    }
}
