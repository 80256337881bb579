//! What people's answers come to: wins and ties of two texts' sources, the share of wrong texts, or means on scales.

use super::scales::{self, Rated, Spreads};
use super::{Filled, Key, Kind, RIGHT};
use crate::error::{Result, TrainerError};
use crate::metrics::{sign_test, wilson};
use crate::report::p_value;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// How two sources stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Preference {
    /// Pairs judged.
    pub judged: usize,
    /// Pairs whose text of each source was chosen.
    pub wins: [usize; 2],
    /// Pairs whose texts were found as good.
    pub same: usize,
    /// Pairs whose texts were found both wrong.
    pub both_wrong: usize,
    /// Wins of the second source in percent of all judged pairs (the paper's figure).
    pub share: f64,
    /// Wins of the second source in percent of the decided pairs.
    pub decided_share: f64,
    /// Its 95 % interval (Wilson).
    pub interval: [f64; 2],
    /// The exact two-sided sign test over the decided pairs.
    pub p: f64,
}

impl Preference {
    fn of(wins: [usize; 2], same: usize, both_wrong: usize) -> Self {
        let [first, second] = wins;
        let (decided, judged) = (first + second, first + second + same + both_wrong);
        let percent = |of: usize| 100.0 * second as f64 / of.max(1) as f64;
        Self {
            judged,
            wins,
            same,
            both_wrong,
            share: percent(judged),
            decided_share: percent(decided),
            interval: wilson(second, decided),
            p: sign_test(second, first),
        }
    }
}

/// How many texts are wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ErrorRate {
    /// Texts judged.
    pub judged: usize,
    /// Texts found wrong.
    pub wrong: usize,
    /// In percent.
    pub rate: f64,
    /// Its 95 % interval (Wilson).
    pub interval: [f64; 2],
    /// Texts by the error that was chosen for them.
    pub reasons: BTreeMap<String, usize>,
}

impl ErrorRate {
    fn of(judged: usize, reasons: BTreeMap<String, usize>) -> Self {
        let wrong = reasons.values().sum();
        Self {
            judged,
            wrong,
            rate: 100.0 * wrong as f64 / judged.max(1) as f64,
            interval: wilson(wrong, judged),
            reasons,
        }
    }
}

/// One person's figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figures {
    /// Of two sources.
    Preference(Preference),
    /// Of one.
    ErrorRate(ErrorRate),
    /// Of one, on scales.
    Scales(Spreads),
}

/// All answers to one page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The page's mark.
    pub page: String,
    /// Pairs on the page.
    pub pairs: usize,
    /// Whose texts.
    pub sources: Vec<String>,
    /// Each person's figures.
    pub readers: Vec<(String, Figures)>,
    /// Of several people: each pair counted once, by what most of them said. Their answers to one pair are not independent, so
    /// adding them up would make the interval too narrow. A pair without a majority counts as "as good", or as right.
    pub majority: Option<Figures>,
    /// Of several people who looked for errors: wrong verdicts in percent of all verdicts (the paper's average error
    /// reporting rate).
    pub mean_rate: Option<f64>,
    /// What the numbers of a page of scales come to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rated: Option<Rated>,
}

/// Counts the answers.
///
/// # Errors
/// When nobody answered, or two files are of one person.
pub fn score(key: &Key, filled: &[Filled]) -> Result<Score> {
    for (at, one) in filled.iter().enumerate() {
        if filled.iter().take(at).any(|before| before.reader == one.reader) {
            let problem = format!("two files are of the reader '{}'", one.reader);
            let mend = "give each reader's last file only, and a name to each";
            return Err(TrainerError::data("the results", problem, mend));
        }
    }
    if filled.is_empty() {
        return Err(TrainerError::settings("the results", "there are none", "give the files that the page saved"));
    }
    let figures = |one: &Filled| match key.kind {
        Kind::Compare => Figures::Preference(preference(key, &one.answers)),
        Kind::Check => Figures::ErrorRate(errors(&one.answers)),
        Kind::Rate => Figures::Scales(scales::of_reader(&one.ratings)),
    };
    let readers = filled.iter().map(|one| (one.reader.clone(), figures(one))).collect();
    let (several, scales) = (filled.len() > 1, key.kind == Kind::Rate);
    let most = || Filled { answers: majority(key.kind, filled), ..Filled::default() };
    let verdicts = || filled.iter().flat_map(|one| one.answers.values());
    let wrong = verdicts().filter(|choice| choice.as_str() != RIGHT).count();
    Ok(Score {
        page: key.page.clone(),
        pairs: key.items.len(),
        sources: key.sources.clone(),
        readers,
        majority: (several && !scales).then(|| figures(&most())),
        mean_rate: (several && key.kind == Kind::Check)
            .then(|| 100.0 * wrong as f64 / verdicts().count().max(1) as f64),
        rated: scales.then(|| scales::together(filled)),
    })
}

/// Each pair's verdict by most of those who judged it.
fn majority(kind: Kind, filled: &[Filled]) -> BTreeMap<usize, String> {
    let mut votes: BTreeMap<usize, BTreeMap<&str, usize>> = BTreeMap::new();
    for (item, choice) in filled.iter().flat_map(|one| &one.answers) {
        *votes.entry(*item).or_default().entry(choice).or_default() += 1;
    }
    let decide = |votes: BTreeMap<&str, usize>| -> String {
        let all: usize = votes.values().sum();
        let best = votes.iter().max_by_key(|(_, count)| **count).map_or("", |(choice, _)| *choice);
        let of = |choice: &str| votes.get(choice).copied().unwrap_or(0);
        match kind {
            Kind::Compare if 2 * of(best) > all => best.to_owned(),
            Kind::Compare | Kind::Rate => "same".to_owned(),
            Kind::Check if 2 * of(RIGHT) >= all => RIGHT.to_owned(),
            // Most say wrong; the reason is the one that most of them give, the first of the list among equals.
            Kind::Check => {
                let mut reasons = kind.choices().iter().filter(|choice| choice.value != RIGHT);
                let most = votes.iter().filter(|(choice, _)| **choice != RIGHT).map(|(_, count)| *count).max();
                reasons.find(|choice| Some(of(choice.value)) == most).map_or(best, |choice| choice.value).to_owned()
            }
        }
    };
    votes.into_iter().map(|(item, votes)| (item, decide(votes))).collect()
}

fn preference(key: &Key, answers: &BTreeMap<usize, String>) -> Preference {
    let (mut wins, mut same, mut both_wrong) = ([0; 2], 0, 0);
    for (number, choice) in answers {
        let texts = number.checked_sub(1).and_then(|at| key.items.get(at)).map(|item| &item.texts);
        let chosen = match choice.as_str() {
            "a" => texts.and_then(|texts| texts.first()),
            "b" => texts.and_then(|texts| texts.get(1)),
            "same" => {
                same += 1;
                None
            }
            _ => {
                both_wrong += 1;
                None
            }
        };
        if let Some(count) = chosen.and_then(|voice| wins.get_mut(voice.source)) {
            *count += 1;
        }
    }
    Preference::of(wins, same, both_wrong)
}

fn errors(answers: &BTreeMap<usize, String>) -> ErrorRate {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for choice in answers.values().filter(|choice| choice.as_str() != RIGHT) {
        *reasons.entry(choice.clone()).or_default() += 1;
    }
    ErrorRate::of(answers.len(), reasons)
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "page {}, {} pairs: {}", self.page, self.pairs, self.sources.join(" against "))?;
        if let Some(rated) = &self.rated {
            return self.scales(f, rated);
        }
        let everybody = self.majority.iter().map(|figures| ("by majority", figures));
        let rows = self.readers.iter().map(|(name, figures)| (name.as_str(), figures)).chain(everybody);
        for (name, figures) in rows {
            writeln!(f, "{name}:")?;
            match figures {
                Figures::Preference(p) => self.preference(f, p)?,
                Figures::ErrorRate(e) => self.errors(f, e)?,
                Figures::Scales(spreads) => scales::line(f, name, spreads)?,
            }
        }
        if let Some(rate) = self.mean_rate {
            writeln!(f, "mean over readers: {rate:.1} % of all verdicts are \"wrong\"")?;
        }
        Ok(())
    }
}

impl Score {
    fn judged(&self, f: &mut fmt::Formatter<'_>, judged: usize) -> fmt::Result {
        let missing = self.pairs.saturating_sub(judged);
        let left = if missing > 0 { format!(" ({missing} not)") } else { String::new() };
        write!(f, "  {judged} judged{left}: ")
    }

    fn scales(&self, f: &mut fmt::Formatter<'_>, rated: &Rated) -> fmt::Result {
        scales::head(f)?;
        for (name, figures) in &self.readers {
            if let Figures::Scales(spreads) = figures {
                scales::line(f, name, spreads)?;
            }
        }
        write!(f, "{rated}")
    }

    fn preference(&self, f: &mut fmt::Formatter<'_>, p: &Preference) -> fmt::Result {
        let source = |at: usize| self.sources.get(at).map_or("", String::as_str);
        let ([first, second], [low, high]) = (p.wins, p.interval);
        self.judged(f, p.judged)?;
        write!(f, "{} better {first}, {} better {second}, ", source(0), source(1))?;
        writeln!(f, "as good {}, both wrong {}", p.same, p.both_wrong)?;
        if first + second == 0 {
            return writeln!(f, "  no pair is decided");
        }
        write!(f, "  {} preferred in {:.1} % of all, {:.1} % of the decided", source(1), p.share, p.decided_share)?;
        writeln!(f, " (95 %: {low:.1} to {high:.1}); sign test p {}", p_value(p.p))
    }

    fn errors(&self, f: &mut fmt::Formatter<'_>, e: &ErrorRate) -> fmt::Result {
        let [low, high] = e.interval;
        self.judged(f, e.judged)?;
        writeln!(f, "{} wrong, error rate {:.1} % (95 %: {low:.1} to {high:.1})", e.wrong, e.rate)?;
        for choice in Kind::Check.choices() {
            if let Some(count) = e.reasons.get(choice.value) {
                writeln!(f, "    {count} {}", choice.label.to_lowercase())?;
            }
        }
        Ok(())
    }
}
