//! What the pixels say: images that look the same, and which skin tone a file really shows.

use std::path::Path;
use thisbut_catalogue::looks::{self, Reduced};
pub use thisbut_catalogue::looks::{GRID, reduce};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// Side of the grid for skin tones: small hands must count.
const TONE_GRID: usize = 128;

/// Both reductions of one file.
pub struct Look {
    /// For look-alikes.
    pub coarse: Reduced,
    /// For skin tones.
    pub fine: Reduced,
}

/// Decodes a file and reduces it.
///
/// # Errors
/// [`TrainerError::Image`] when the file is not an image.
pub fn look(path: &Path) -> Result<Look> {
    let bytes = fsx::read(path, fsx::MIDDLE)?;
    let rgba = image::load_from_memory(&bytes).map_err(|e| TrainerError::Image {
        place: path.display().to_string(),
        problem: format!("cannot be decoded ({e})"),
        mend: "fetch the image package again".to_owned(),
    })?;
    let rgba = rgba.to_rgba8();
    Ok(Look { coarse: reduce(&rgba, GRID), fine: reduce(&rgba, TONE_GRID) })
}

/// Look-alike classes of files; see [`looks::classes`].
pub fn classes(looks: &[Look]) -> Vec<usize> {
    let coarse: Vec<&Reduced> = looks.iter().map(|look| &look.coarse).collect();
    looks::classes(&coarse)
}

/// Which tone each of five files shows, when the files show one drawing in the five tones: the order in which most
/// pixels grow strictly darker is the order of the tones. Hair does not follow it (the light tone has black hair), skin
/// does. Returns tones 1–5 in the order of `files`, or none when too few pixels tell.
pub fn tone_order(files: [&Look; 5]) -> Option<[u8; 5]> {
    const MARGIN: f32 = 6.0;
    let mut votes: std::collections::BTreeMap<[u8; 5], usize> = std::collections::BTreeMap::new();
    let luminance = |look: &Look, pixel: usize| {
        let p = look.fine.values.get(pixel * 3..pixel * 3 + 3).unwrap_or(&[]);
        p.iter().zip([0.30, 0.59, 0.11]).map(|(v, w)| v * w).sum::<f32>()
    };
    for pixel in 0..TONE_GRID * TONE_GRID {
        let mut order: Vec<(f32, usize)> = files.iter().enumerate().map(|(i, f)| (luminance(f, pixel), i)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        if order.windows(2).all(|w| w[0].0 - w[1].0 >= MARGIN) {
            let mut tones = [0u8; 5];
            order.iter().enumerate().for_each(|(rank, (_, i))| tones[*i] = rank as u8 + 1);
            *votes.entry(tones).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(_, n)| *n).filter(|(_, n)| *n >= 8).map(|(tones, _)| tones)
}
