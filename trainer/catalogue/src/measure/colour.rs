//! The name of a colour, and the main colours of an object.

use super::lab::{self, Lab};

/// The names that are told apart.
pub const NAMES: [&str; 13] = [
    "black",
    "white",
    "grey",
    "red",
    "pink",
    "orange",
    "yellow",
    "green",
    "turquoise",
    "blue",
    "purple",
    "brown",
    "beige",
];
/// What an object of many colours is called.
pub const MANY: &str = "multicolour";

/// The name of a colour: one of [`NAMES`].
pub fn name([l, a, b]: Lab) -> &'static str {
    let chroma = a.hypot(b);
    let hue = b.atan2(a).to_degrees().rem_euclid(360.0);
    let (cool, warm, rosy) =
        ((215.0..310.0).contains(&hue), (35.0..105.0).contains(&hue), !(20.0..340.0).contains(&hue));
    if l < 14.0 || (l < 27.0 && chroma < if cool { 7.5 } else { 8.5 }) {
        return "black";
    }
    // Light and shadow tint what is grey; warm light more than cool, and bright cloth more than dark.
    let tint = match (l > 72.0, cool, warm) {
        (true, true, _) => 9.5,
        (true, _, true) => 12.0,
        (true, ..) if rosy => 9.5,
        (true, ..) => 11.0,
        (_, true, _) if l < 45.0 => 7.0,
        (_, _, true) => 9.0,
        _ => 8.0,
    };
    if chroma < tint {
        return if l > 73.0 {
            "white"
        } else if l < 28.0 {
            "black"
        } else {
            "grey"
        };
    }
    chromatic(l, chroma, hue)
}

/// A rule for colours that are not grey: below a hue, a lightness and a chroma, it has this name.
struct Rule(f32, f32, f32, &'static str);

/// No limit.
const ANY: f32 = 1e9;

/// The rules, of which the first that fits counts; hues begin at 352°, where pink ends and red begins.
#[rustfmt::skip]
const RULES: [Rule; 34] = [
    // Red, to 20°, and what light and dullness make of it.
    Rule(28.0, 45.0, 24.0, "brown"), Rule(28.0, 52.0, 24.0, "pink"), Rule(28.0, 52.0, ANY, "red"), Rule(28.0, ANY, ANY, "pink"),
    // To 38°.
    Rule(46.0, 52.0, 30.0, "brown"), Rule(46.0, 52.0, ANY, "red"), Rule(46.0, 64.0, 34.0, "pink"), Rule(46.0, 64.0, ANY, "red"),
    Rule(46.0, ANY, 45.0, "pink"), Rule(46.0, ANY, ANY, "orange"),
    // Orange, to 42° and 72°.
    Rule(50.0, 48.0, 30.0, "brown"), Rule(50.0, 48.0, ANY, "red"), Rule(50.0, 52.0, 30.0, "brown"), Rule(50.0, 52.0, 34.0, "red"),
    Rule(50.0, 64.0, 34.0, "beige"), Rule(50.0, 64.0, ANY, "orange"), Rule(50.0, ANY, 45.0, "beige"), Rule(50.0, ANY, ANY, "orange"),
    Rule(80.0, 52.0, 45.0, "brown"), Rule(80.0, 58.0, 42.0, "brown"), Rule(80.0, ANY, 30.0, "beige"), Rule(80.0, ANY, 42.0, "brown"),
    Rule(80.0, ANY, ANY, "orange"),
    // Yellow, to 95° and 104°.
    Rule(103.0, 42.0, 36.0, "brown"), Rule(112.0, 42.0, 36.0, "green"), Rule(112.0, ANY, 30.0, "beige"), Rule(112.0, ANY, ANY, "yellow"),
    // Green, turquoise, blue; L*a*b* leans saturated blue towards purple.
    Rule(176.0, ANY, ANY, "green"), Rule(203.0, 38.0, ANY, "green"), Rule(230.0, 38.0, ANY, "blue"), Rule(230.0, ANY, ANY, "turquoise"),
    Rule(307.0, ANY, ANY, "blue"), Rule(319.0, 30.0, ANY, "blue"), Rule(326.0, ANY, ANY, "purple"),
];

/// The name of what is not grey.
fn chromatic(l: f32, chroma: f32, hue: f32) -> &'static str {
    let turned = (hue + 8.0).rem_euclid(360.0);
    if (307.0..319.0).contains(&turned) && chroma > 45.0 {
        return "blue";
    }
    let fits = |rule: &&Rule| turned < rule.0 && l < rule.1 && chroma < rule.2;
    let purple = if turned < 343.0 { l <= 60.0 } else { l <= 38.0 };
    RULES.iter().find(fits).map_or(if purple { "purple" } else { "pink" }, |rule| rule.3)
}

/// Groups that an object's colours are named by.
const GROUPS: usize = 8;
/// Above this light grey is white in shadow, where the brighter part of the object is white.
const SHADED: f32 = 58.0;

/// Shares of an object's colours by name, the largest first. Each colour comes with its weight.
pub fn shares(colours: &[Lab], weights: &[f32]) -> Vec<(f32, &'static str)> {
    let flat: Vec<Lab> = colours.iter().map(|[l, a, b]| [0.7 * l, *a, *b]).collect();
    let (centres, of) = lab::groups(&flat, GROUPS, 8);
    let mut named: Vec<(f32, f32, &'static str)> = Vec::with_capacity(centres.len());
    for n in 0..centres.len() {
        let (mut sum, mut mean) = (0f32, [0f32; 3]);
        for ((colour, weight), _) in colours.iter().zip(weights).zip(&of).filter(|(_, group)| **group == n) {
            sum += weight;
            mean.iter_mut().zip(colour).for_each(|(m, c)| *m += c * weight);
        }
        if sum > 0.0 {
            let mean = mean.map(|m| m / sum);
            named.push((sum, mean[0], name(mean)));
        }
    }
    let sum_of = |wanted: &dyn Fn(f32, &str) -> bool| -> f32 {
        named.iter().filter(|(_, l, name)| wanted(*l, name)).map(|(sum, ..)| sum).sum()
    };
    let (white, shade) = (sum_of(&|_, name| name == "white"), sum_of(&|l, name| name == "grey" && l > SHADED));
    if white > 0.0 && white * 3.0 > shade {
        let shaded = named.iter_mut().filter(|(_, l, name)| *name == "grey" && *l > SHADED);
        shaded.for_each(|(_, _, name)| *name = "white");
    }
    let all: f32 = named.iter().map(|(sum, ..)| sum).sum();
    let of_name = |wanted: &'static str| {
        let sum: f32 = named.iter().filter(|(.., name)| *name == wanted).map(|(sum, ..)| sum).sum();
        (sum / all.max(f32::MIN_POSITIVE), wanted)
    };
    let mut out: Vec<(f32, &'static str)> = NAMES.into_iter().map(of_name).filter(|(share, _)| *share > 0.0).collect();
    out.sort_by(|a, b| b.0.total_cmp(&a.0));
    out
}

/// The main colour, where one stands out; [`MANY`] where three or more share the object; none where it cannot be told.
pub fn main(shares: &[(f32, &'static str)]) -> Option<&'static str> {
    let share = |n: usize| shares.get(n).map_or(0.0, |(share, _)| *share);
    let first = shares.first().map(|(_, name)| *name)?;
    if share(0) < 0.4 && share(2) > 0.15 {
        return Some(MANY);
    }
    (share(0) >= 0.45 && share(0) - share(1) >= 0.1).then_some(first)
}
