//! The order in which a gallery is looked through.

/// The image at a position of an order that shows the variety of a gallery of `total` images: steps near the golden section of
/// its size, so that neighbours in the gallery lie far apart. Every image has its position; those behind the last begin anew.
/// None where there are no images.
pub fn varied(position: usize, total: usize) -> Option<usize> {
    let position = position.checked_rem(total)?;
    Some((position as u128 * stride(total) as u128 % total as u128) as usize)
}

/// A step that visits every one of `total` positions: near 0.618 of it, and without a common divisor.
fn stride(total: usize) -> usize {
    let divisor = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let start = (total as u128 * 618 / 1000) as usize;
    (start..start + total).find(|step| *step > 0 && divisor(*step, total) == 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_its_place_and_neighbours_lie_apart() {
        assert_eq!(varied(3, 0), None);
        for total in [1, 2, 3, 12, 100, 3344] {
            let mut seen: Vec<usize> = (0..total).filter_map(|position| varied(position, total)).collect();
            assert_eq!(varied(total, total), Some(seen[0]));
            if total > 10 {
                assert!(seen.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > total / 4), "{total}");
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..total).collect::<Vec<_>>());
        }
    }
}
