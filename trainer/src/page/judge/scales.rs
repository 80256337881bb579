//! Three scales from 1 to 5 on which readers rate a text (FACap's Table 2): what they ask, and what the verdicts come to.

use super::Filled;
use crate::metrics::agreement::Agreement;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

/// The numbers of every scale, from the worst to the best.
pub const POINTS: RangeInclusive<u8> = 1..=5;

/// Something that a text is rated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Its word in results.
    pub name: &'static str,
    /// Its word on the page.
    pub label: &'static str,
    /// What is asked.
    pub question: &'static str,
    /// What the lowest number means.
    pub low: &'static str,
    /// What the highest means.
    pub high: &'static str,
}

/// The paper's three.
pub const SCALES: [Scale; 3] = [
    Scale {
        name: "faithfulness",
        label: "Faithfulness",
        question: "Does the text say truly what changes from the reference to the target?",
        low: "nothing that it names is so",
        high: "all that it names is so",
    },
    Scale {
        name: "details",
        label: "Details",
        question: "Does it name several elements that are to be seen?",
        low: "one, or none",
        high: "every one that matters",
    },
    Scale {
        name: "saliency",
        label: "Saliency",
        question: "Does it name what sets the target apart, so that few other pictures would fit?",
        low: "many others would fit",
        high: "hardly any other would fit",
    },
];

/// A reader's numbers for one text, a place a scale; a scale may be left out.
pub type Ratings = [Option<u8>; SCALES.len()];

/// The numbers by the scales' names.
///
/// # Errors
/// What is wrong with one of them.
pub(super) fn ratings(named: impl IntoIterator<Item = (String, u8)>) -> Result<Ratings, String> {
    let mut found = Ratings::default();
    for (name, number) in named {
        let place = SCALES.iter().position(|scale| scale.name == name);
        let Some(slot) = place.and_then(|place| found.get_mut(place)) else {
            return Err(format!("'{name}' is none of {}", SCALES.map(|scale| scale.name).join(", ")));
        };
        if !POINTS.contains(&number) {
            return Err(format!("{name} is {number}, not between {} and {}", POINTS.start(), POINTS.end()));
        }
        *slot = Some(number);
    }
    Ok(found)
}

/// Verdicts on one scale.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Which scale.
    pub scale: String,
    /// Verdicts.
    pub verdicts: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with n − 1.
    pub deviation: f64,
}

impl Spread {
    fn of(scale: &Scale, numbers: &[f64]) -> Self {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        Self {
            scale: scale.name.to_owned(),
            verdicts: numbers.len(),
            mean,
            deviation: (squares / (n - 1.0).max(1.0)).sqrt(),
        }
    }
}

/// One person's numbers, a place a scale.
pub type Spreads = Vec<Spread>;

/// What all readers' numbers come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rated {
    /// All verdicts of all readers.
    pub verdicts: Spreads,
    /// The texts' means over their readers: their mean, and how far texts differ.
    pub texts: Spreads,
    /// How far readers agree, where there are several; a place a scale.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agreement: Vec<Agreement>,
}

/// One person's means.
pub(super) fn of_reader(ratings: &BTreeMap<usize, Ratings>) -> Spreads {
    let numbers = |scale: usize| ratings.values().filter_map(|rated| rated[scale]).map(f64::from).collect::<Vec<f64>>();
    SCALES.iter().enumerate().map(|(at, scale)| Spread::of(scale, &numbers(at))).collect()
}

/// Of several people's numbers.
pub(super) fn together(filled: &[Filled]) -> Rated {
    let mut rated = Rated { verdicts: Vec::new(), texts: Vec::new(), agreement: Vec::new() };
    for (at, scale) in SCALES.iter().enumerate() {
        let mut by_text: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        for (item, numbers) in filled.iter().flat_map(|one| &one.ratings) {
            if let Some(number) = numbers[at] {
                by_text.entry(*item).or_default().push(number);
            }
        }
        let all: Vec<f64> = by_text.values().flatten().copied().map(f64::from).collect();
        let mean = |numbers: &Vec<u8>| numbers.iter().copied().map(f64::from).sum::<f64>() / numbers.len() as f64;
        let means: Vec<f64> = by_text.values().map(mean).collect();
        rated.verdicts.push(Spread::of(scale, &all));
        rated.texts.push(Spread::of(scale, &means));
        if filled.len() > 1 {
            rated.agreement.push(Agreement::of(&by_text.into_values().collect::<Vec<_>>()));
        }
    }
    rated
}

/// A line of the table: a name, and mean ± deviation for each scale.
pub(super) fn line(f: &mut fmt::Formatter<'_>, name: &str, spreads: &[Spread]) -> fmt::Result {
    write!(f, "{name:<26}")?;
    for spread in spreads {
        let text = match spread.verdicts {
            0 => "–".to_owned(),
            _ => format!("{:.2} ± {:.2} ({})", spread.mean, spread.deviation, spread.verdicts),
        };
        write!(f, "{text:>22}")?;
    }
    writeln!(f)
}

/// The table's head.
pub(super) fn head(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{:<26}", "")?;
    SCALES.iter().try_for_each(|scale| write!(f, "{:>22}", scale.label))?;
    writeln!(f)
}

impl fmt::Display for Rated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "all verdicts", &self.verdicts)?;
        line(f, "texts, means of readers", &self.texts)?;
        if !self.agreement.is_empty() {
            let number = |alpha: Option<f64>| alpha.map_or_else(|| "–".to_owned(), |alpha| format!("{alpha:.3}"));
            let rows: [(&str, &dyn Fn(&Agreement) -> String); 4] = [
                ("Krippendorff's α, ordinal", &|a| number(a.alpha)),
                ("Krippendorff's α, interval", &|a| number(a.alpha_interval)),
                ("two readers say the same", &|a| format!("{:.1} %", a.same)),
                ("at most one apart", &|a| format!("{:.1} %", a.within_one)),
            ];
            for (name, value) in rows {
                write!(f, "{name:<26}")?;
                self.agreement.iter().try_for_each(|agreement| write!(f, "{:>22}", value(agreement)))?;
                writeln!(f)?;
            }
        }
        writeln!(f, "Mean ± standard deviation (verdicts), from {} (worst) to {} (best).", POINTS.start(), POINTS.end())
    }
}
