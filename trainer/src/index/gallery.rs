//! The gallery's chunks. What an earlier bundle has stays where it is: a chunk changes only where one of its images does, and new
//! images come last.

use super::work::Item;
use crate::bundle_io::Writer;
use crate::error::Result;
use std::collections::HashSet;
use thisbut_model::bundle::{FileEntry, GalleryChunk, GalleryEntry, MetadataChunk, sha256_hex};
use thisbut_model::gallery::{Chunk, Gallery, encode_metadata};

/// Bytes of a gallery chunk, about.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Images of a metadata chunk.
pub const METADATA_IMAGES: usize = 512;
/// Beside so many chunks to spare, there are at most twice as many as are needed.
const SPARE: usize = 4;

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// The gallery, for the self-test.
    pub gallery: Gallery,
    /// Its chunks.
    pub chunks: Vec<GalleryChunk>,
    /// Its metadata.
    pub metadata: Vec<MetadataChunk>,
}

/// The order of the gallery: images that have a place in the bundle before by their places, then the others as they come.
pub fn order(items: &mut [Item]) {
    // The sort keeps the order of equals.
    items.sort_by_key(|item| item.place.map_or(u64::MAX, u64::from));
}

/// Cuts `places`, in the order of [`order`], into parts of at least one image: images whose places lie in one of `ranges` (first,
/// count) stay together, and others fill the last part and new ones up to `most`.
pub fn parts(places: &[Option<u32>], ranges: &[(u32, u32)], most: usize) -> Vec<usize> {
    let placed = places.iter().take_while(|place| place.is_some()).count();
    let end = |(first, count): &(u32, u32)| first.saturating_add(*count);
    let (mut sizes, mut at) = (Vec::new(), 0);
    for range in ranges {
        let some = places[at..placed].iter().take_while(|place| place.is_some_and(|place| place < end(range))).count();
        sizes.push(some);
        at += some;
    }
    sizes.retain(|size| *size > 0);
    let needed = places.len().div_ceil(most);
    if sizes.len() > 2 * needed + SPARE {
        (sizes, at) = (Vec::new(), 0);
    }
    while at < places.len() {
        match sizes.last_mut() {
            Some(last) if *last < most => *last += 1,
            _ => sizes.push(1),
        }
        at += 1;
    }
    sizes
}

/// Writes the chunks of `items`, which are in the order of [`order`], beside those of `earlier` that stay.
///
/// # Errors
/// When a file cannot be written.
pub fn write(items: &[Item], earlier: Option<&GalleryEntry>, writer: &mut Writer) -> Result<Written> {
    let Some(first) = items.first() else { return Ok(Written::default()) };
    let places: Vec<Option<u32>> = items.iter().map(|item| item.place).collect();
    let image = first.row.tokens() * (4 + first.row.width());
    let ranges: Vec<_> = earlier.iter().flat_map(|old| &old.chunks).map(|chunk| (chunk.first, chunk.count)).collect();
    let mut written = Written::default();
    let mut names = Names::new(earlier);
    let mut from = 0;
    for count in parts(&places, &ranges, CHUNK_BYTES.div_ceil(image)) {
        let chunk = Chunk::join(items[from..from + count].iter().map(|item| &item.row))?;
        let file = names.add(&chunk.to_bytes(), writer)?;
        written.gallery.push(chunk)?;
        written.chunks.push(GalleryChunk { file, first: from as u32, count: count as u32 });
        from += count;
    }
    let ranges: Vec<_> = earlier.iter().flat_map(|old| &old.metadata).map(|chunk| (chunk.first, chunk.count)).collect();
    from = 0;
    for count in parts(&places, &ranges, METADATA_IMAGES) {
        let images: Vec<_> = items[from..from + count].iter().map(|item| item.meta.clone()).collect();
        let file = writer.add("gallery", "meta", "json", &encode_metadata(&images)?)?;
        written.metadata.push(MetadataChunk { file, first: from as u32, count: count as u32 });
        from += count;
    }
    Ok(written)
}

/// The chunks' names: each has a number, so that two with the same bytes have two names.
struct Names<'a> {
    earlier: Vec<&'a FileEntry>,
    used: HashSet<String>,
    next: usize,
}

impl<'a> Names<'a> {
    fn new(earlier: Option<&'a GalleryEntry>) -> Self {
        let earlier = earlier.iter().flat_map(|old| &old.chunks).map(|chunk| &chunk.file).collect();
        Self { earlier, used: HashSet::new(), next: 0 }
    }

    /// A chunk of the bundle before with these bytes, or a new one.
    fn add(&mut self, bytes: &[u8], writer: &mut Writer) -> Result<FileEntry> {
        let hash = sha256_hex(bytes);
        let same = self.earlier.iter().position(|file| file.sha256 == hash);
        if let Some(at) = same {
            let file = self.earlier.remove(at);
            if self.used.insert(file.path.clone()) {
                return writer.add_as(file.path.clone(), bytes);
            }
        }
        loop {
            let name = thisbut_model::bundle::hashed_name(&format!("tokens-{}", self.next), "bin", bytes);
            self.next += 1;
            let path = format!("gallery/{name}");
            let waits = self.earlier.iter().any(|file| file.path == path);
            if !waits && self.used.insert(path.clone()) {
                return writer.add_as(path, bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_together_and_what_is_filled() {
        let places = |some: &[u32], new: usize| -> Vec<Option<u32>> {
            some.iter().map(|place| Some(*place)).chain(vec![None; new]).collect()
        };
        let cut = |some: &[u32], new, ranges: &[(u32, u32)]| parts(&places(some, new), ranges, 4);
        assert_eq!(cut(&[], 10, &[]), [4, 4, 2]);
        let ranges = [(0, 4), (4, 4), (8, 2)];
        assert_eq!(cut(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0, &ranges), [4, 4, 2]);
        assert_eq!(cut(&[0, 2, 3, 4, 5, 6, 7, 8, 9], 3, &ranges), [3, 4, 4, 1], "a gap stays one");
        assert_eq!(cut(&[0, 1, 2, 3, 8, 9], 0, &ranges), [4, 2], "an empty chunk goes");
        assert_eq!(cut(&[], 3, &ranges), [3]);
        // Many chunks with little in each are cut anew.
        let thin: Vec<(u32, u32)> = (0..20).map(|at| (at * 4, 4)).collect();
        let some: Vec<u32> = (0..20).map(|at| at * 4).collect();
        assert_eq!(cut(&some, 1, &thin), [4, 4, 4, 4, 4, 1]);
    }
}
