//! The text of a table's file: UTF-8 with or without a mark, or UTF-16 with one, as spreadsheets write it.

use crate::error::{Result, TrainerError};
use crate::fsx;
use std::path::Path;

/// What brings a table into an encoding that is read.
const MEND: &str = "save it in the spreadsheet as 'CSV UTF-8'";

/// The text of `path`, without the mark that may stand before it.
///
/// # Errors
/// When the file cannot be read or is neither UTF-8 nor UTF-16.
pub fn read(path: &Path) -> Result<String> {
    let bytes = fsx::read(path, fsx::TABLE)?;
    decoded(bytes).map_err(|problem| TrainerError::data(path.display().to_string(), problem, MEND))
}

fn decoded(bytes: Vec<u8>) -> std::result::Result<String, String> {
    match bytes.as_slice() {
        [0xFF, 0xFE, units @ ..] => return wide(units, u16::from_le_bytes),
        [0xFE, 0xFF, units @ ..] => return wide(units, u16::from_be_bytes),
        _ => {}
    }
    let text = String::from_utf8(bytes).map_err(|e| format!("not UTF-8 text ({e})"))?;
    if text.lines().next().is_some_and(|line| line.contains('\0')) {
        return Err("has zero bytes in its first line, as UTF-16 without its mark has".to_owned());
    }
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// UTF-16 behind its mark.
fn wide(units: &[u8], unit: fn([u8; 2]) -> u16) -> std::result::Result<String, String> {
    let (pairs, rest) = units.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("is UTF-16 that breaks off in the middle of a letter".to_owned());
    }
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16(&units).map_err(|_| "is damaged UTF-16".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_spreadsheets_is_read_or_named() {
        let text = "file;Größe\na.jpg;3,5 €\n";
        let wide = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect()
        };
        let (little, big) = (wide([0xFF, 0xFE], u16::to_le_bytes), wide([0xFE, 0xFF], u16::to_be_bytes));
        for bytes in [text.as_bytes().to_vec(), format!("\u{feff}{text}").into_bytes(), little.clone(), big] {
            assert_eq!(decoded(bytes).as_deref(), Ok(text));
        }
        for (bytes, said) in [
            (little[2..].to_vec(), "as UTF-16 without its mark has"),
            (little[..little.len() - 1].to_vec(), "breaks off"),
            (vec![0xFF, 0xFE, 0x00, 0xD8, b'a', 0], "is damaged UTF-16"),
            (b"file;Gr\xf6\xdfe\n".to_vec(), "not UTF-8 text"),
        ] {
            let problem = decoded(bytes).unwrap_err();
            assert!(problem.contains(said), "{said}: {problem}");
        }
    }
}
