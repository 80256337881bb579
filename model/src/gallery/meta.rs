//! A metadata chunk: what the page shows with each image, as JSON.

use serde::{Deserialize, Serialize};

use crate::bundle::FileEntry;
use crate::error::{ModelError, Result};

/// Most bytes of one metadata chunk.
pub const MAX_METADATA_BYTES: usize = 64 << 20;

/// What is shown with one image of the gallery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageMeta {
    /// The site owner's name for the image; unique in the gallery.
    pub id: String,
    /// A line for people.
    pub title: String,
    /// Search words; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// File name of the thumbnail, under the manifest's `thumbnails` prefix.
    pub thumb: String,
    /// Columns of the original image.
    pub width: u32,
    /// Rows of the original image.
    pub height: u32,
    /// Its image tokens ([`super::parse_reference`]), in bundles without an image encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<FileEntry>,
}

/// Writes a metadata chunk.
///
/// # Errors
/// [`ModelError::Format`] when an entry would be refused by [`parse_metadata`].
pub fn encode_metadata(images: &[ImageMeta]) -> Result<Vec<u8>> {
    images.iter().enumerate().try_for_each(|(i, image)| check(i, image))?;
    serde_json::to_vec(images).map_err(|e| error(e.to_string()))
}

/// Reads a metadata chunk of `count` images.
///
/// # Errors
/// [`ModelError::Format`] when the JSON isn't such a list, its length isn't `count`, or a thumbnail's name would lead
/// out of its folder.
pub fn parse_metadata(bytes: &[u8], count: usize) -> Result<Vec<ImageMeta>> {
    if bytes.len() > MAX_METADATA_BYTES {
        return Err(error(format!("it has {} bytes, more than {MAX_METADATA_BYTES}", bytes.len())));
    }
    let images: Vec<ImageMeta> = serde_json::from_slice(bytes).map_err(|e| error(e.to_string()))?;
    if images.len() != count {
        return Err(error(format!("it has {} images, the manifest says {count}", images.len())));
    }
    images.iter().enumerate().try_for_each(|(i, image)| check(i, image))?;
    Ok(images)
}

fn check(index: usize, image: &ImageMeta) -> Result<()> {
    if image.id.is_empty() {
        return Err(error(format!("image {index} has an empty id")));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if image.thumb.is_empty() || image.thumb.starts_with('.') || !image.thumb.chars().all(plain) {
        let problem =
            format!("image {index} ({}) has {:?} as its thumbnail, no plain file name", image.id, image.thumb);
        return Err(error(problem));
    }
    match &image.reference {
        Some(file) => file.check(&format!("the reference of image {index} ({})", image.id)),
        None => Ok(()),
    }
}

fn error(problem: String) -> ModelError {
    ModelError::Format {
        place: "the gallery's metadata".into(),
        problem,
        mend: "fetch the file again, or index the gallery again".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(thumb: &str) -> ImageMeta {
        let (id, title) = ("1f9d1".into(), "Persön \"x\" 🧑".into());
        ImageMeta { id, title, tags: vec!["a".into()], thumb: thumb.into(), width: 256, height: 200, reference: None }
    }

    #[test]
    fn round_trips() {
        let images = [image("ab12.webp"), ImageMeta { tags: vec![], ..image("c_d-e.png") }];
        let bytes = encode_metadata(&images).unwrap();
        assert_eq!(parse_metadata(&bytes, 2).unwrap(), images);
        let message = parse_metadata(&bytes, 3).unwrap_err().to_string();
        assert!(message.contains("2 images, the manifest says 3"), "{message}");
        for cut in 0..bytes.len() {
            assert!(parse_metadata(&bytes[..cut], 2).is_err());
        }
    }

    #[test]
    fn references_are_checked_as_files_of_the_bundle_are() {
        let with = |path: &str| ImageMeta { reference: Some(FileEntry::new(path, b"tokens")), ..image("a.png") };
        let bytes = encode_metadata(&[with("references/r.bin")]).unwrap();
        assert_eq!(parse_metadata(&bytes, 1).unwrap(), [with("references/r.bin")]);
        let message = encode_metadata(&[with("../r.bin")]).unwrap_err().to_string();
        assert!(message.contains("reference of image 0"), "{message}");
        assert!(parse_metadata(&serde_json::to_vec(&[with("https://x")]).unwrap(), 1).is_err());
        let old = encode_metadata(&[image("a.png")]).unwrap();
        assert!(!String::from_utf8(old).unwrap().contains("reference"));
    }

    #[test]
    fn refuses_names_that_lead_elsewhere() {
        for thumb in ["", "../x.png", "a/b.png", "/x", "http://x", "a\\b", ".hidden", "a b", "x?y", "%2e%2e"] {
            assert!(encode_metadata(&[image(thumb)]).is_err(), "{thumb}");
            let bytes = serde_json::to_vec(&[image(thumb)]).unwrap();
            assert!(parse_metadata(&bytes, 1).is_err(), "{thumb}");
        }
    }
}
