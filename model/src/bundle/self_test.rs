//! The boot self-test: a stored query with the ranking that the exporting engine gave.

use serde::{Deserialize, Serialize};

use super::files::manifest_error;
use crate::error::{ModelError, Result};
use crate::gallery::Hit;

/// Side in pixels of [`self_test_image`].
pub const SELF_TEST_SIDE: u32 = 64;

/// Most images that a self-test compares.
const MAX_EXPECTED: usize = 1024;

/// A query and its expected answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// The modification text.
    pub text: String,
    /// The gallery image whose thumbnail is the reference; `null`: [`self_test_image`], which needs no file, or
    /// [`self_test_tokens`] without an image encoder.
    #[serde(default)]
    pub gallery_index: Option<u32>,
    /// The best images and their scores, best first.
    pub expected: Vec<(u32, f32)>,
    /// How far a score may be off on another device.
    pub score_tolerance: f32,
}

impl SelfTest {
    /// How many hits to ask for.
    pub fn count(&self) -> usize {
        self.expected.len()
    }

    /// Compares a device's answer with the expected one. Images may trade places where their expected scores lie
    /// within twice the tolerance of each other; nothing else may differ.
    ///
    /// # Errors
    /// [`ModelError::Device`] that says what differs.
    pub fn check(&self, hits: &[Hit]) -> Result<()> {
        let error = |problem: String| {
            Err(ModelError::Device {
                place: "the self-test".into(),
                problem,
                mend: "this device isn't used; another one answers instead".into(),
            })
        };
        if hits.len() != self.expected.len() {
            return error(format!("it found {} images, not {}", hits.len(), self.expected.len()));
        }
        let near = |a: f32, b: f32, times: f32| (a - b).abs() <= self.score_tolerance * times;
        for (rank, (hit, &(index, score))) in hits.iter().zip(&self.expected).enumerate() {
            // A NaN is near nothing.
            if !near(hit.score, score, 1.0) {
                return error(format!("rank {} has the score {}, not {score}", rank + 1, hit.score));
            }
            let own = self.expected.iter().find(|(i, _)| *i == hit.index).map(|(_, score)| *score);
            let last = self.expected.last().map_or(score, |(_, score)| *score);
            // An image that isn't expected at all can only have traded with the last one.
            if hit.index != index && !near(own.unwrap_or(last), score, 2.0) {
                return error(format!("rank {} is image {}, not {index}", rank + 1, hit.index));
            }
            if hits.iter().take(rank).any(|other| other.index == hit.index) {
                return error(format!("image {} is there twice", hit.index));
            }
        }
        Ok(())
    }

    pub(super) fn check_fields(&self, images: u32) -> Result<()> {
        let field = "self_test";
        if !(1..=MAX_EXPECTED).contains(&self.expected.len()) {
            let problem = format!("it expects {} images, not 1 to {MAX_EXPECTED}", self.expected.len());
            return Err(manifest_error(field, &problem));
        }
        let indices = self.expected.iter().map(|(index, _)| *index).chain(self.gallery_index);
        if let Some(index) = indices.into_iter().find(|index| *index >= images) {
            return Err(manifest_error(field, &format!("there is no image {index} in a gallery of {images}")));
        }
        let finite = self.expected.iter().all(|(_, score)| score.is_finite());
        if !(finite && self.score_tolerance > 0.0 && self.score_tolerance <= 1.0) {
            return Err(manifest_error(field, "a score or the tolerance is out of range"));
        }
        Ok(())
    }
}

/// The self-test's own reference: `[64, 64, 4]` RGBA, opaque, from a formula, so that no file is needed. At column x
/// and row y: red 4x, green 4y, blue (xy) mod 256; inside the circle of radius 20 around (32, 32), that is where
/// (x − 32)² + (y − 32)² < 400, each channel c becomes 255 − c.
pub fn self_test_image() -> Vec<u8> {
    let side = SELF_TEST_SIDE;
    (0..side * side)
        .flat_map(|i| {
            let (x, y) = (i % side, i / side);
            let inside = x.abs_diff(32).pow(2) + y.abs_diff(32).pow(2) < 400;
            let channel = |c: u32| if inside { 255 - (c & 255) as u8 } else { (c & 255) as u8 };
            [channel(4 * x), channel(4 * y), channel(x * y), 255]
        })
        .collect()
}

/// What stands for [`self_test_image`] where there is no image encoder: image tokens `[count, width]` from a formula.
/// Column c of token t is ((31t + 17c) mod 251) / 125 − 1.
pub fn self_test_tokens(count: usize, width: usize) -> Vec<f32> {
    (0..count).flat_map(|t| (0..width).map(move |c| ((31 * t + 17 * c) % 251) as f32 / 125.0 - 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test() -> SelfTest {
        let expected = vec![(7, 0.9), (3, 0.8), (5, 0.799), (1, 0.5)];
        SelfTest { text: "but red".into(), gallery_index: None, expected, score_tolerance: 0.002 }
    }

    fn hits(list: &[(u32, f32)]) -> Vec<Hit> {
        list.iter().map(|&(index, score)| Hit { index, score }).collect()
    }

    #[test]
    fn accepts_the_same_ranking() {
        for list in [
            [(7, 0.9), (3, 0.8), (5, 0.799), (1, 0.5)],
            [(7, 0.901), (3, 0.7985), (5, 0.798), (1, 0.5015)],
            [(7, 0.9), (5, 0.7995), (3, 0.7994), (1, 0.5)],
            [(7, 0.9), (3, 0.8), (5, 0.799), (9, 0.501)],
        ] {
            test().check(&hits(&list)).unwrap();
        }
    }

    #[test]
    fn refuses_another_ranking() {
        for list in [
            &[(7, 0.9), (3, 0.8), (5, 0.799)][..],
            &[(7, 0.95), (3, 0.8), (5, 0.799), (1, 0.5)],
            &[(3, 0.9), (7, 0.8), (5, 0.799), (1, 0.5)],
            &[(9, 0.9), (3, 0.8), (5, 0.799), (1, 0.5)],
            &[(7, f32::NAN), (3, 0.8), (5, 0.799), (1, 0.5)],
            &[(7, 0.9), (3, 0.8), (3, 0.799), (1, 0.5)],
            &[],
        ] {
            assert!(test().check(&hits(list)).is_err(), "{list:?}");
        }
    }

    #[test]
    fn the_image_is_its_formula() {
        let image = self_test_image();
        assert_eq!(image.len(), 64 * 64 * 4);
        assert_eq!(image[..8], [0, 0, 0, 255, 4, 0, 0, 255]);
        let at = |x: usize, y: usize| &image[(y * 64 + x) * 4..][..4];
        assert_eq!(at(32, 32), [127, 127, 255, 255]);
        assert_eq!(at(63, 63), [252, 252, 129, 255]);
        assert_eq!((at(12, 32)[0], at(13, 32)[0]), (48, 255 - 52));
        let numbers: Vec<f32> = self_test_tokens(2, 3).iter().map(|v| ((v + 1.0) * 125.0).round()).collect();
        assert_eq!(numbers, [0.0, 17.0, 34.0, 31.0, 48.0, 65.0]);
    }
}
