//! A metadata chunk: what the page shows with each image, as JSON.

use serde::{Deserialize, Serialize};

use super::extra::Extra;
use crate::bundle::FileEntry;
use crate::error::{ModelError, Result};

/// Most bytes of one metadata chunk.
pub const MAX_METADATA_BYTES: usize = 64 << 20;

/// Most modification texts of one image.
pub const MAX_CHANGES: usize = 24;

/// Most bytes of such a text.
pub const MAX_CHANGE_BYTES: usize = 400;

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
    /// Modification texts to offer with this image, which the model was seen to answer; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// What the site owner's table says of it beside these; may be empty.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
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

/// Columns of a site owner's table that name an image, and that lead to its own page.
const NAMING: [&str; 1] = ["id"];
const LEADING: [&str; 2] = ["link", "url"];

impl ImageMeta {
    /// The image's name for people and programs outside: what the site owner's table calls its `id`, else its id in the gallery.
    pub fn name(&self) -> &str {
        self.column(&NAMING).next().unwrap_or(&self.id)
    }

    /// Where the image leads: the first address of a web page, or of a place on the same site, in a column `link` or `url`.
    pub fn url(&self) -> Option<&str> {
        self.column(&LEADING).map(str::trim).find(|address| is_page(address))
    }

    /// Values of the columns with these names, in the table's order.
    fn column(&self, names: &'static [&str]) -> impl Iterator<Item = &str> {
        let named = move |name: &str| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        self.extra.iter().filter(move |(name, _)| named(name)).map(|(_, value)| value)
    }
}

/// The first image that is called `id`: by its own table, or else in the gallery.
pub fn called<'a>(images: &'a [ImageMeta], id: &str) -> Option<(u32, &'a ImageMeta)> {
    let first = |is: &dyn Fn(&ImageMeta) -> bool| (0..).zip(images).find(|(_, image)| is(image));
    first(&|image| image.name() == id).or_else(|| first(&|image| image.id == id))
}

/// Whether an address leads to a page: over HTTP, or relative. Browsers skip control characters inside of a scheme.
fn is_page(address: &str) -> bool {
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let web = match address.split_once(':') {
        Some((scheme, _)) if scheme.chars().all(of_scheme) => {
            ["http", "https"].iter().any(|one| one.eq_ignore_ascii_case(scheme))
        }
        _ => true,
    };
    web && !address.is_empty() && !address.contains(char::is_control)
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
    if !is_thumb(&image.thumb) {
        let problem =
            format!("image {index} ({}) has {:?} as its thumbnail, no plain file name", image.id, image.thumb);
        return Err(error(problem));
    }
    if image.changes.len() > MAX_CHANGES || image.changes.iter().any(|text| !is_change(text)) {
        return Err(error(format!("image {index} ({}) has changes that are too many, empty or too long", image.id)));
    }
    match &image.reference {
        Some(file) => file.check(&format!("the reference of image {index} ({})", image.id)),
        None => Ok(()),
    }
}

/// Whether a thumbnail's name is a plain file name, which leads nowhere else.
pub(crate) fn is_thumb(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

/// Whether a modification text is one that a page can offer.
pub(crate) fn is_change(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_CHANGE_BYTES
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
        let (tags, changes) = (vec!["a".into()], vec!["but in red".into()]);
        let (thumb, extra) = (thumb.into(), Extra::default());
        ImageMeta { id, title, tags, changes, extra, thumb, width: 256, height: 200, reference: None }
    }

    #[test]
    fn round_trips() {
        let images = [image("ab12.webp"), ImageMeta { tags: vec![], changes: vec![], ..image("c_d-e.png") }];
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
        let old = String::from_utf8(old).unwrap();
        assert!(!old.contains("reference") && !old.contains("extra"));
    }

    #[test]
    fn what_a_table_says_is_kept_in_order() {
        let mut with = image("a.png");
        with.extra.push("price", "3").unwrap();
        with.extra.push("link", "https://x").unwrap();
        let bytes = encode_metadata(std::slice::from_ref(&with)).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(r#""extra":{"price":"3","link":"https://x"},"thumb""#));
        assert_eq!(parse_metadata(&bytes, 1).unwrap(), [with]);
    }

    #[test]
    fn what_names_an_image_and_where_it_leads() {
        let with = |columns: &[(&str, &str)]| {
            let mut image = image("a.png");
            columns.iter().for_each(|(name, value)| image.extra.push(name, value).unwrap());
            image
        };
        let plain = with(&[("price", "3")]);
        assert_eq!((plain.name(), plain.url()), ("1f9d1", None));
        let owned = with(&[("url", "javascript:alert(1)"), ("ID", "0815"), ("Link", " https://x/?a=1:2 ")]);
        assert_eq!((owned.name(), owned.url()), ("0815", Some("https://x/?a=1:2")));
        for (address, leads) in [
            ("HTTP://x", true),
            ("shop/0815?at=1:2", true),
            ("#0815", true),
            ("data:text/html,x", false),
            ("java\nscript:alert(1)", false),
            ("\u{1}javascript:alert(1)", false),
            ("mailto:x@y", false),
            (" ", false),
        ] {
            assert_eq!(with(&[("link", address)]).url().is_some(), leads, "{address:?}");
        }
        let images = [with(&[("id", "b")]), ImageMeta { id: "b".into(), ..plain }];
        assert_eq!(called(&images, "b").map(|(at, _)| at), Some(0), "a table's word for it goes first");
        assert_eq!(called(&images[1..], "b").map(|(at, _)| at), Some(0));
        assert_eq!(called(&images, "1f9d1").map(|(at, _)| at), Some(0));
        assert!(called(&images, "c").is_none());
    }

    #[test]
    fn changes_are_few_and_short() {
        let with = |changes: Vec<String>| encode_metadata(&[ImageMeta { changes, ..image("a.png") }]);
        assert!(with(vec!["in red".into(); MAX_CHANGES]).is_ok());
        for wrong in [vec!["in red".into(); MAX_CHANGES + 1], vec![" ".into()], vec!["x".repeat(MAX_CHANGE_BYTES + 1)]]
        {
            assert!(with(wrong.clone()).unwrap_err().to_string().contains("changes"), "{wrong:?}");
        }
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
