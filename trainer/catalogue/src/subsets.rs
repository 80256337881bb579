//! Sets of six similar images, as in CIRR: reference, target, and the four most alike.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Six distinct images in random order: `reference`, `target`, and the four of `scored` with the highest scores; fewer where
/// there are fewer. `scored` holds neither of the two and no other right target.
pub fn six(rng: &mut ChaCha8Rng, mut scored: Vec<(f32, usize)>, reference: usize, target: usize) -> Vec<usize> {
    let four = 4.min(scored.len());
    if four > 0 && scored.len() > four {
        scored.select_nth_unstable_by(four - 1, |x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
    }
    scored.truncate(four);
    let mut six: Vec<usize> = scored.into_iter().map(|(_, c)| c).collect();
    six.sort_unstable();
    six.extend([reference, target]);
    six.shuffle(rng);
    six
}
