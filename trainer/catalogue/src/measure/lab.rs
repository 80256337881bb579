//! Colours as people see them: CIE L*a*b*, and groups of them.

/// L* (0 to 100), a* and b*.
pub type Lab = [f32; 3];

/// sRGB bytes → L*a*b*, white point D65.
pub fn of_rgb([r, g, b]: [u8; 3]) -> Lab {
    let linear = |v: u8| {
        let c = f32::from(v) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    let (r, g, b) = (linear(r), linear(g), linear(b));
    let x = (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47;
    let y = 0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b;
    let z = (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83;
    let f = |t: f32| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let (x, y, z) = (f(x), f(y), f(z));
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// The squared distance of two colours.
pub fn apart(a: &Lab, b: &Lab) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// Means of `k` groups of colours, and the group of each: k-means from the colours farthest apart, the same for the same colours.
pub fn groups(colours: &[Lab], k: usize, rounds: usize) -> (Vec<Lab>, Vec<usize>) {
    let Some(mean) = mean(colours.iter()) else { return (Vec::new(), Vec::new()) };
    let nearest_to_mean = colours.iter().min_by(|a, b| apart(a, &mean).total_cmp(&apart(b, &mean)));
    let mut centres: Vec<Lab> = nearest_to_mean.copied().into_iter().collect();
    while centres.len() < k {
        let far = |c: &Lab| centres.iter().map(|centre| apart(c, centre)).fold(f32::INFINITY, f32::min);
        let Some(next) = colours.iter().max_by(|a, b| far(a).total_cmp(&far(b))) else { break };
        if far(next) <= 0.0 {
            break;
        }
        centres.push(*next);
    }
    let mut of = vec![0; colours.len()];
    for _ in 0..rounds {
        for (group, colour) in of.iter_mut().zip(colours) {
            let distances = centres.iter().map(|centre| apart(colour, centre)).enumerate();
            *group = distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(n, _)| n);
        }
        for (n, centre) in centres.iter_mut().enumerate() {
            let own = colours.iter().zip(&of).filter(|(_, group)| **group == n).map(|(c, _)| c);
            *centre = self::mean(own).unwrap_or(*centre);
        }
    }
    (centres, of)
}

fn mean<'a>(colours: impl Iterator<Item = &'a Lab>) -> Option<Lab> {
    let (mut sum, mut count) = ([0f32; 3], 0usize);
    for colour in colours {
        sum.iter_mut().zip(colour).for_each(|(s, c)| *s += c);
        count += 1;
    }
    (count > 0).then(|| sum.map(|s| s / count as f32))
}
