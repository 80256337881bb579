//! Parts of a gallery by the words of its titles and tags: what a search can be kept to, before anything is ranked.

use std::collections::{HashMap, HashSet};

use super::meta::ImageMeta;

/// A word is worth offering that so many images of a hundred have, and no more than so many.
const LEAST_PERCENT: usize = 1;
const MOST_PERCENT: usize = 60;

/// Words that say nothing of an image.
const EMPTY: [&str; 12] = ["and", "the", "with", "for", "not", "from", "his", "her", "one", "two", "you", "are"];

/// The words of an image's title and tags, each once, in lower case.
fn words(image: &ImageMeta) -> HashSet<String> {
    let all = std::iter::once(&image.title).chain(&image.tags);
    let words = all.flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    words.filter(|word| word.chars().count() > 2).map(str::to_lowercase).collect()
}

/// The words that part the gallery, with the number of images that have each: the most common first, at most `most`.
pub fn facets(images: &[ImageMeta], most: usize) -> Vec<(String, usize)> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in images.iter().flat_map(words) {
        *counts.entry(word).or_default() += 1;
    }
    let worth = |(word, count): &(String, usize)| {
        let share = 100 * count;
        let named = word.chars().all(char::is_alphabetic) && !EMPTY.contains(&word.as_str());
        named && *count > 1 && (LEAST_PERCENT * images.len()..=MOST_PERCENT * images.len()).contains(&share)
    };
    let mut found: Vec<(String, usize)> = counts.into_iter().filter(worth).collect();
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.truncate(most);
    found
}

/// The numbers of the images whose title and tags have all of `wanted`.
pub fn having(images: &[ImageMeta], wanted: &[String]) -> HashSet<u32> {
    let wanted: Vec<String> = wanted.iter().map(|word| word.to_lowercase()).collect();
    let has = |image: &ImageMeta| {
        let own = words(image);
        wanted.iter().all(|word| own.contains(word))
    };
    (0..).zip(images).filter(|(_, image)| has(image)).map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(title: &str, tag: &str) -> ImageMeta {
        let (title, tags) = (title.to_owned(), vec![tag.to_owned()]);
        let (id, thumb) = (title.clone(), "t.png".into());
        let extra = crate::gallery::Extra::default();
        ImageMeta { id, title, tags, changes: vec![], extra, thumb, width: 1, height: 1, reference: None }
    }

    #[test]
    fn words_part_a_gallery() {
        let images = [
            ("Red dress 01", "cotton"),
            ("Blue dress", "cotton; wool"),
            ("Red hat", ""),
            ("Sock", ""),
            ("Red dress 02", ""),
        ]
        .map(|(title, tag)| image(title, tag));
        let named = |most| facets(&images, most).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(named(9), ["dress", "red", "cotton"]);
        assert_eq!(named(1), ["dress"]);
        let of = |words: &[&str]| {
            let mut found: Vec<u32> =
                having(&images, &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).into_iter().collect();
            found.sort_unstable();
            found
        };
        assert_eq!(of(&["RED", "dress"]), [0, 4]);
        assert_eq!(of(&[]), [0, 1, 2, 3, 4]);
        assert!(of(&["dres"]).is_empty());
    }
}
