//! Whether a noun takes an article.

use crate::frames::article;

/// Nouns of what is not counted, by their last word.
const MASS: [&str; 30] = [
    "asparagus",
    "bread",
    "butter",
    "cheese",
    "clothing",
    "cream",
    "fabric",
    "flour",
    "footwear",
    "furniture",
    "garlic",
    "ginger",
    "headwear",
    "honey",
    "jewellery",
    "jewelry",
    "juice",
    "knitwear",
    "lingerie",
    "meat",
    "milk",
    "outerwear",
    "outwear",
    "pasta",
    "rice",
    "salt",
    "sportswear",
    "sugar",
    "swimwear",
    "underwear",
];
/// Nouns that end in s and are counted.
const SINGULAR: [&str; 8] = ["dress", "glass", "mattress", "lens", "canvas", "compass", "harness", "necklace"];

/// A phrase with "a" or "an", unless its noun is plural or is not counted.
pub fn noun(phrase: &str) -> String {
    let lower = phrase.to_lowercase();
    // "top with long sleeves" is a top.
    let head = lower.split(" with ").next().unwrap_or(&lower).split(" of ").next().unwrap_or(&lower);
    let last = head.rsplit(' ').next().unwrap_or(head);
    let plural =
        last.ends_with('s') && !["ss", "us", "is"].iter().any(|end| last.ends_with(end)) && !SINGULAR.contains(&last);
    if plural || MASS.contains(&last) { phrase.to_owned() } else { article(phrase) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_take_articles_as_people_say_them() {
        for (phrase, said) in [
            ("skirt", "a skirt"),
            ("orange dress", "an orange dress"),
            ("blue pants", "blue pants"),
            ("pair of shoes", "a pair of shoes"),
            ("top with long sleeves", "a top with long sleeves"),
            ("Arla milk", "Arla milk"),
            ("hourglass", "an hourglass"),
            ("canvas", "a canvas"),
        ] {
            assert_eq!(noun(phrase), said);
        }
    }
}
