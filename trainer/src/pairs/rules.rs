//! The rules that need names and groups only.

use rand::SeedableRng;
use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Members of a CIRR image set.
pub const SET: usize = 6;

/// Every ordered pair of a set (MTST on CIRR: 3,345 sets of six give 100,350).
pub fn all_ordered(members: &[String]) -> Vec<(String, String)> {
    let ordered = members.iter().enumerate().flat_map(|(i, a)| {
        members.iter().enumerate().filter(move |(j, _)| i != *j).map(move |(_, b)| (a.clone(), b.clone()))
    });
    ordered.collect()
}

/// Sets of six from the images of one category (MTST's new CIRR-like sets): shuffled, then cut; a rest of one is left.
pub fn sets_of(category: &[String], rng: &mut ChaCha8Rng) -> Vec<Vec<String>> {
    let mut images = category.to_vec();
    images.shuffle(rng);
    images.chunks(SET).filter(|set| set.len() > 1).map(<[String]>::to_vec).collect()
}

/// Ordered pairs of images that share a label, at most `cap` times as many as the label has images (MTST on FashionIQ:
/// 3), drawn without repeats.
pub fn capped(images: &[String], cap: usize, rng: &mut ChaCha8Rng) -> Vec<(String, String)> {
    let n = images.len();
    if n < 2 {
        return Vec::new();
    }
    // A number below n(n − 1) names the ordered pair (i, j): i by division, j skips i.
    let all = n * (n - 1);
    let pair = |at: usize| {
        let (i, rest) = (at / (n - 1), at % (n - 1));
        (images[i].clone(), images[if rest < i { rest } else { rest + 1 }].clone())
    };
    match all.min(cap.saturating_mul(n)) {
        wanted if wanted == all => (0..all).map(pair).collect(),
        wanted => index::sample(rng, all, wanted).into_iter().map(pair).collect(),
    }
}

/// A generator for one group, so that a group's draw does not hang on the groups before it.
pub fn generator(seed: u64, group: &str) -> ChaCha8Rng {
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(group).into();
    ChaCha8Rng::seed_from_u64(seed ^ u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}
