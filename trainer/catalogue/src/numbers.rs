//! Numbers as people write them in a table: with a decimal point or a decimal comma, in groups of three, with a sign of money.

/// How the numbers of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// `1234.5`.
    Point,
    /// `1,234.5`.
    Thousands,
    /// `1234,5` and `1.234,5`.
    Comma,
}

impl Numbers {
    /// How all of `values` are written; none where one of them is no number so.
    pub fn of<'a>(values: impl Iterator<Item = &'a String> + Clone) -> Option<Self> {
        let ways = [Self::Point, Self::Thousands, Self::Comma];
        ways.into_iter().find(|way| values.clone().all(|value| way.read(value).is_some()))
    }

    /// The number that `value` is.
    pub fn read(self, value: &str) -> Option<f64> {
        let (mark, group) = match self {
            Self::Point => ('.', None),
            Self::Thousands => ('.', Some(',')),
            Self::Comma => (',', Some('.')),
        };
        let plain = value.trim_matches(|c: char| matches!(c, '€' | '$' | '£') || c.is_whitespace());
        let number = match plain.split_once(mark) {
            Some((whole, part)) => format!("{}.{part}", joined(whole, group)?),
            None => joined(plain, group)?,
        };
        number.parse::<f64>().ok().filter(|number| number.is_finite())
    }
}

/// A whole number without what groups its digits in threes: spaces, and `group`.
fn joined(whole: &str, group: Option<char>) -> Option<String> {
    let mut parts = whole.split(|c: char| c.is_whitespace() || Some(c) == group);
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let leads = || {
        let digits = first.strip_prefix(['-', '+']).unwrap_or(first);
        (1..=3).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let three = |part: &&str| part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit());
    let whole = rest.is_empty() || (leads() && rest.iter().all(three));
    whole.then(|| [vec![first], rest].concat().concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_read_as_its_numbers_are_written() {
        let read = |values: &[&str]| {
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            let way = Numbers::of(values.iter())?;
            Some((way, values.iter().filter_map(|value| way.read(value)).collect::<Vec<_>>()))
        };
        for (values, way, numbers) in [
            (&["12.50", "-3", "$4"][..], Numbers::Point, &[12.5, -3.0, 4.0][..]),
            (&["12,50 €", "3"], Numbers::Comma, &[12.5, 3.0]),
            (&["0,250", "1,250"], Numbers::Comma, &[0.25, 1.25]),
            (&["1.234,50", "12"], Numbers::Comma, &[1234.5, 12.0]),
            (&["1,234", "12,000.5"], Numbers::Thousands, &[1234.0, 12000.5]),
            (&["1 234,5", "1\u{a0}000\u{202f}000"], Numbers::Comma, &[1234.5, 1e6]),
            (&["1 234", "7"], Numbers::Point, &[1234.0, 7.0]),
        ] {
            assert_eq!(read(values), Some((way, numbers.to_vec())), "{values:?}");
        }
        for values in [&["12.50", "12,50"][..], &["38 40"], &["1,2,3"], &["M", "1"], &["inf"], &[","], &["1.23,4"]] {
            assert_eq!(read(values), None, "{values:?}");
        }
    }
}
