//! What people read of a collection.

use super::Options;
use crate::bundle_io;
use thisbut_model::bundle::GalleryEntry;

/// What people read of a collection. What is not given is as in the bundle that lies in the output folder, if one does.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its name; without an earlier bundle the name of the folder of images.
    pub title: Option<String>,
    /// Licence and origin of the images.
    pub licence: Option<String>,
    /// Modification texts that the page offers.
    pub suggestions: Option<Vec<String>>,
    /// What the model understands; without it as the model itself says.
    pub understands: Option<String>,
}

impl About {
    /// Title, licence and suggestions, and the names of those that are the earlier bundle's.
    pub(super) fn settle(&self, options: &Options) -> ((String, String, Vec<String>), Vec<&'static str>) {
        let earlier = bundle_io::manifest_of(&options.out);
        let mut kept = Vec::new();
        let gallery = earlier.as_ref().map(|manifest| &manifest.gallery);
        let mut text = |given: &Option<String>, what: &'static str, of: fn(&GalleryEntry) -> &String| {
            let old = gallery.map(of).filter(|old| given.is_none() && !old.is_empty());
            kept.extend(old.map(|_| what));
            given.clone().or_else(|| old.cloned())
        };
        let title = text(&self.title, "title", |gallery| &gallery.title).unwrap_or_else(|| {
            let folder = options.photos.canonicalize().ok();
            folder.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())).unwrap_or_default()
        });
        let licence = text(&self.licence, "licence", |gallery| &gallery.licence).unwrap_or_default();
        let old =
            earlier.map(|manifest| manifest.suggestions).filter(|old| self.suggestions.is_none() && !old.is_empty());
        kept.extend(old.as_ref().map(|_| "suggestions"));
        let suggestions = self.suggestions.clone().or(old).unwrap_or_default();
        ((title, licence, suggestions), kept)
    }
}
