//! What the data sets' papers and releases say that each split holds, to hold a copy against.

use super::Format;
use super::table::{Split, Table};
use std::collections::BTreeMap;

/// A count of a split or of one group of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// What is counted: "queries", "dress queries", "dress gallery".
    pub what: String,
    /// As published.
    pub published: usize,
    /// As loaded.
    pub loaded: usize,
}

/// Group ("" for the whole split), its queries, and the images that they are ranked against.
type Published = (&'static str, usize, usize);

/// CIRR: the release of 2022. FashionIQ: the challenge's files; train galleries are the images of the train split. CIRCO
/// and GeneCIS: their papers. LaSCo: its README, which gives the train split by its total.
fn published(format: Format, split: Split) -> &'static [Published] {
    match (format, split) {
        (Format::Cirr, Split::Train) => &[("", 28_225, 16_939)],
        (Format::Cirr, Split::Val) => &[("", 4_181, 2_297)],
        (Format::Cirr, Split::Test) => &[("", 4_148, 2_315)],
        (Format::Fashioniq, Split::Train) => {
            &[("dress", 5_985, 11_452), ("shirt", 5_988, 19_036), ("toptee", 6_027, 16_121)]
        }
        (Format::Fashioniq, Split::Val) => {
            &[("dress", 2_017, 3_817), ("shirt", 2_038, 6_346), ("toptee", 1_961, 5_373)]
        }
        (Format::Circo, Split::Val) => &[("", 220, 123_403)],
        (Format::Circo, Split::Test) => &[("", 800, 123_403)],
        (Format::Lasco, Split::Val) => &[("", 30_037, 39_826)],
        (Format::Genecis, Split::Test) => &[("focus_object", 1_960, 15), ("change_object", 1_960, 15)],
        _ => &[],
    }
}

/// CIRR's layout serves other data sets too; its own images are named after their NLVR2 split.
fn is_of(format: Format, table: &Table) -> bool {
    let named = |name: &str| ["train-", "dev-", "test1-"].iter().any(|prefix| name.starts_with(prefix));
    format != Format::Cirr || table.images.iter().any(|image| named(&image.name))
}

/// The published counts beside those of `table`; empty when nothing is published.
pub fn counts(format: Format, split: Split, table: &Table) -> Vec<Count> {
    let counts = table.statistics();
    let of = |groups: &BTreeMap<String, usize>, group: &str| groups.get(group).copied().unwrap_or(0);
    let mut out = Vec::new();
    for (group, queries, gallery) in published(format, split).iter().filter(|_| is_of(format, table)) {
        let (loaded_queries, loaded_gallery) = match *group {
            "" => (counts.triplets, counts.gallery),
            name => (of(&counts.groups, name), of(&counts.pools, name)),
        };
        for (what, published, loaded) in [("queries", *queries, loaded_queries), ("gallery", *gallery, loaded_gallery)]
        {
            out.push(Count { what: format!("{group} {what}").trim().to_owned(), published, loaded });
        }
    }
    out
}

/// How many queries a test server expects answers to; `None` when nothing is published for this data set.
pub fn queries(format: Format, split: Split, table: &Table) -> Option<usize> {
    let known: Vec<usize> = published(format, split).iter().map(|(_, queries, _)| *queries).collect();
    (!known.is_empty() && is_of(format, table)).then(|| known.iter().sum())
}
