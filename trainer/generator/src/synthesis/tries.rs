//! Where a question stands, from the tries that the journal knows.

use super::clean;
use super::journal::{Journal, Key, Try};
use super::prompts::Prompt;

/// Of a question that went out before a run was killed, and whose answer nobody has.
pub const UNDER_WAY: &str = "under-way";

/// Where a question stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It has an answer: its texts.
    Done(Vec<String>),
    /// It is to be asked, as this try.
    Ask(u32),
    /// It has none, and is not to be asked again.
    Rejected(Rejected),
}

/// Why a question has no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// The last fault.
    pub reason: String,
    /// What was found last.
    pub said: String,
    /// How often it was asked.
    pub tries: u32,
}

/// Which tries a run may make.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Times that a question is asked at most.
    pub tries: u32,
    /// Ask again what earlier runs were given no answer to.
    pub resend: bool,
}

/// Where the question `key` stands, and the faults of its tries. `captions` are what a modification text was made from.
pub fn stand(journal: &Journal, key: &Key, limits: Limits, of: (&Prompt, &[&str])) -> (Stand, Vec<String>) {
    let before = journal.before(key);
    let first = if limits.resend { before } else { 0 };
    let end = first + limits.tries;
    let (mut faults, mut found, mut under_way) = (Vec::new(), Rejected::default(), false);
    for number in 0..end.max(before) {
        let (fault, said, last) = match journal.get(key, number) {
            None if (first..end).contains(&number) && !under_way => return (Stand::Ask(number), faults),
            None | Some(Try::Back) => continue,
            Some(Try::Text { text, cut, .. }) => match clean::texts(&text, of.0, cut, of.1) {
                Ok(texts) => return (Stand::Done(texts), faults),
                Err(fault) => (fault.name().to_owned(), text, false),
            },
            Some(Try::Useless { kind, said, last, .. }) => (kind, said, last && number >= first),
            Some(Try::Sent) => {
                under_way = !limits.resend;
                (UNDER_WAY.to_owned(), String::new(), false)
            }
        };
        faults.push(fault.clone());
        found = Rejected { reason: fault, said, tries: number + 1 };
        if last {
            break;
        }
    }
    (Stand::Rejected(found), faults)
}

#[cfg(test)]
mod tests {
    use super::super::journal::Usage;
    use super::super::prompts::Prompts;
    use super::*;

    #[test]
    fn a_question_is_asked_as_often_as_the_limits_say() {
        let prompt = Prompts::find("syncir").unwrap().rewrite.remove(0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let key = "k".to_owned();
        let at = |resend| {
            let journal = Journal::open(&path).unwrap();
            stand(&journal, &key, Limits { tries: 2, resend }, (&prompt, &["a hat"]))
        };
        let add = |number, was: Try| Journal::open(&path).unwrap().add(&key, number, was).unwrap();
        let text = |text: &str| Try::Text { text: text.into(), cut: false, usage: Usage::default() };
        let rejected = |reason: &str, said: &str, tries| {
            Stand::Rejected(Rejected { reason: reason.into(), said: said.into(), tries })
        };

        assert_eq!(at(false), (Stand::Ask(0), vec![]));
        // Under way when a run was killed: not asked again, unless that is wished.
        add(0, Try::Sent);
        assert_eq!(at(false).0, rejected(UNDER_WAY, "", 1));
        assert_eq!(at(true).0, Stand::Ask(1));
        add(0, text("a hat"));
        assert_eq!(at(false), (Stand::Ask(1), vec!["copied".to_owned()]));
        let useless = |kind: &str, said: &str, last| {
            let (kind, said, usage) = (kind.to_owned(), said.to_owned(), Usage::default());
            Try::Useless { kind, said, last, usage }
        };
        add(1, useless("no-json", "<p>", false));
        assert_eq!(at(false).0, rejected("no-json", "<p>", 2));
        assert_eq!(at(true), (Stand::Ask(2), vec!["copied".to_owned(), "no-json".to_owned()]));
        add(2, text("make it red"));
        for resend in [false, true] {
            assert_eq!(at(resend).0, Stand::Done(vec!["make it red".into()]), "an answer of a later try counts");
        }
        std::fs::remove_file(&path).unwrap();
        add(0, useless("content-filter", "no", true));
        assert_eq!(at(false).0, rejected("content-filter", "no", 1));
        assert_eq!(at(true).0, Stand::Ask(1));
    }
}
