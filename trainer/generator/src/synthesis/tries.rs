//! Where a question stands, from the tries that the journal knows.

use super::clean::{self, Answer};
use super::journal::{Journal, Key, Try};
use super::prompts::Prompt;

/// Of a question that went out before a run was killed, and whose answer nobody has.
pub const UNDER_WAY: &str = "under-way";

/// Where a question stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It has an answer.
    Done(Answer),
    /// It is to be asked, as this try; with what is wrong with the JSON of the try before.
    Ask(u32, Option<String>),
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
    let wrong = |faults: &[String], found: &Rejected| {
        let broken = faults.last().is_some_and(|fault| fault == clean::Fault::WrongJson.name());
        broken.then(|| clean::wrong_json(&found.said, of.0)).flatten()
    };
    for number in 0..end.max(before) {
        let (fault, said, last) = match journal.get(key, number) {
            None if (first..end).contains(&number) && !under_way => {
                return (Stand::Ask(number, wrong(&faults, &found)), faults);
            }
            None | Some(Try::Back) => continue,
            Some(Try::Text { text, cut, .. }) => match clean::read(&text, of.0, cut, of.1) {
                Ok(answer) => return (Stand::Done(answer), faults),
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

        assert_eq!(at(false), (Stand::Ask(0, None), vec![]));
        // Under way when a run was killed: not asked again, unless that is wished.
        add(0, Try::Sent);
        assert_eq!(at(false).0, rejected(UNDER_WAY, "", 1));
        assert_eq!(at(true).0, Stand::Ask(1, None));
        add(0, text("a hat"));
        assert_eq!(at(false), (Stand::Ask(1, None), vec!["copied".to_owned()]));
        let useless = |kind: &str, said: &str, last| {
            let (kind, said, usage) = (kind.to_owned(), said.to_owned(), Usage::default());
            Try::Useless { kind, said, last, usage }
        };
        add(1, useless("no-json", "<p>", false));
        assert_eq!(at(false).0, rejected("no-json", "<p>", 2));
        assert_eq!(at(true), (Stand::Ask(2, None), vec!["copied".to_owned(), "no-json".to_owned()]));
        add(2, text("make it red"));
        for resend in [false, true] {
            let answer = Answer { texts: vec!["make it red".into()], mended: false };
            assert_eq!(at(resend).0, Stand::Done(answer), "an answer of a later try counts");
        }
        std::fs::remove_file(&path).unwrap();
        add(0, useless("content-filter", "no", true));
        assert_eq!(at(false).0, rejected("content-filter", "no", 1));
        assert_eq!(at(true).0, Stand::Ask(1, None));
    }

    #[test]
    fn a_model_is_told_what_is_wrong_with_its_json() {
        let prompt = Prompts::find("good4cir").unwrap().describe;
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal")).unwrap();
        let key = "k".to_owned();
        let text = Try::Text { text: "a lamp".into(), cut: false, usage: Usage::default() };
        journal.add(&key, 0, text).unwrap();
        let limits = Limits { tries: 2, resend: false };
        let (stand, faults) = stand(&journal, &key, limits, (&prompt, &[]));
        assert_eq!((stand, faults), (Stand::Ask(1, Some("it has no JSON".into())), vec!["wrong-json".to_owned()]));
    }
}
