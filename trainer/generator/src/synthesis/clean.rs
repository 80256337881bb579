//! Answers made into texts, and what makes an answer unusable.

use super::prompts::{Form, Prompt};
use super::{answer_json, joined, objects};
use crate::filters::{hollow, loops};
use crate::overlap::words;
use serde::{Deserialize, Serialize};

/// Why an answer is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It has nothing.
    Empty,
    /// The model says that it cannot, or speaks of itself.
    Refusal,
    /// It has more words than the prompt allows.
    TooLong,
    /// It ended at its limit of tokens, in the middle of its first sentence.
    CutOff,
    /// It says the same one to four words three times running.
    Loop,
    /// It is no words: signs, code, one endless word, or what a template left.
    Nonsense,
    /// It repeats what the prompt says.
    Echo,
    /// A modification text that is one of the captions it was made from.
    Copied,
    /// A modification text that names no change.
    NoChange,
    /// It is not the JSON that was asked for, and cannot be mended.
    WrongJson,
    /// It is shorter than the prompt asks for.
    TooShort,
}

/// An answer made into texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Them.
    pub texts: Vec<String>,
    /// Whether its JSON was broken, and mended.
    pub mended: bool,
}

impl Fault {
    /// The word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Refusal => "refusal",
            Self::TooLong => "too-long",
            Self::CutOff => "cut-off",
            Self::Loop => "loop",
            Self::Nonsense => "nonsense",
            Self::Echo => "echo",
            Self::Copied => "copied",
            Self::NoChange => "no-change",
            Self::WrongJson => "wrong-json",
            Self::TooShort => "too-short",
        }
    }
}

/// Words in a row that no answer shares with its prompt by chance.
const ECHO: usize = 6;
/// Longest word, in characters.
const LONG_WORD: usize = 40;

/// How refusals begin, or what they have, in lower case with plain apostrophes.
const REFUSALS: [&str; 14] = [
    "i'm sorry",
    "i am sorry",
    "sorry,",
    "i cannot",
    "i can't",
    "i can not",
    "i'm unable",
    "i am unable",
    "i'm not able",
    "i am not able",
    "as an ai",
    "as a language model",
    "unfortunately, i",
    "i do not have access",
];

/// Labels that models set before an answer.
const LABELS: [&str; 9] =
    ["instruction", "answer", "caption", "description", "request", "change", "output", "response", "modification"];

/// The texts of an answer to `prompt`; `cut` says that it ended at its limit of tokens. Where [`Form::is_several`] says so there may be
/// several, the single ones first; otherwise there is one. `captions` are what a modification text was made from.
///
/// # Errors
/// The fault that makes the answer unusable. Of several texts those with a fault are left out while one is good.
pub fn read(answer: &str, prompt: &Prompt, cut: bool, captions: &[&str]) -> Result<Answer, Fault> {
    if answer.len() > answer_json::MOST {
        return Err(Fault::TooLong);
    }
    let mut lines = lines(answer);
    if lines.is_empty() {
        return Err(Fault::Empty);
    }
    if refuses(&lines[0]) {
        return Err(Fault::Refusal);
    }
    if answer.trim().chars().count() < prompt.least {
        return Err(Fault::TooShort);
    }
    if prompt.form.is_json() {
        let said = objects::read(without_thoughts(answer), prompt.form).map_err(|_| Fault::WrongJson)?;
        return match said.lines.is_empty() {
            true => Err(Fault::Empty),
            false => of_lines(said.lines, prompt, captions).map(|texts| Answer { texts, mended: said.mended }),
        };
    }
    if cut {
        match prompt.form {
            // The last line is not whole.
            Form::List | Form::Texts if lines.len() > 1 => drop(lines.pop()),
            Form::Text => lines = vec![whole_sentences(&lines.join(" ")).ok_or(Fault::CutOff)?],
            _ => return Err(Fault::CutOff),
        }
    }
    of_lines(lines, prompt, captions).map(|texts| Answer { texts, mended: false })
}

/// What is wrong with the JSON of an answer to `prompt`, for the model that wrote it; none where it is not asked for, or right.
pub fn wrong_json(answer: &str, prompt: &Prompt) -> Option<String> {
    let looked_at = prompt.form.is_json() && answer.len() <= answer_json::MOST;
    looked_at.then(|| objects::read(without_thoughts(answer), prompt.form).err()).flatten()
}

/// The texts of an answer's lines.
fn of_lines(lines: Vec<String>, prompt: &Prompt, captions: &[&str]) -> Result<Vec<String>, Fault> {
    let checked = |text: String| check(&text, prompt, prompt.words, captions).map(|()| text);
    match prompt.form {
        Form::Text => Ok(vec![checked(unquoted(&lines.join(" ")).to_owned())?]),
        Form::List | Form::Objects => Ok(vec![checked(lines.join("\n"))?]),
        Form::Texts | Form::Differences => {
            let (mut good, mut first) = (Vec::new(), Fault::Empty);
            for (at, line) in lines.into_iter().enumerate() {
                match checked(unquoted(&line).to_owned()) {
                    Ok(text) => good.push(text),
                    Err(fault) if at == 0 => first = fault,
                    Err(_) => {}
                }
            }
            if good.is_empty() {
                return Err(first);
            }
            let joined = joined::texts(&good, &prompt.joined).into_iter();
            let joined = joined.filter(|text| check(text, prompt, prompt.words * 16, captions).is_ok());
            good.extend(joined.collect::<Vec<_>>());
            Ok(good)
        }
    }
}

/// The lines of an answer with something in them, without thoughts, fences, bullets, lead-ins and labels.
fn lines(answer: &str) -> Vec<String> {
    let answer = without_thoughts(answer);
    let mut lines: Vec<String> = answer
        .lines()
        .map(|line| bare(line).split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty() && !line.starts_with("```"))
        .collect();
    // "Here is the instruction:" before the answer itself.
    if lines.len() > 1 && lines[0].ends_with(':') {
        lines.remove(0);
    }
    lines
}

/// What stands behind the last `</think>`.
fn without_thoughts(answer: &str) -> &str {
    answer.rsplit_once("</think>").map_or(answer, |(_, after)| after)
}

/// A line without a bullet, a number, emphasis or a label at its start.
fn bare(line: &str) -> &str {
    let line = line.trim().trim_matches('*').trim();
    let line = line.strip_prefix(['-', '•', '–']).unwrap_or(line).trim_start();
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let numbered = line.get(digits..).and_then(|rest| rest.strip_prefix(['.', ')']));
    let line = numbered.filter(|rest| (1..=2).contains(&digits) && rest.starts_with(' ')).unwrap_or(line).trim();
    match line.split_once(':') {
        Some((label, rest)) if LABELS.contains(&label.trim().trim_matches('*').to_lowercase().as_str()) => {
            rest.trim_start_matches('*').trim()
        }
        _ => line,
    }
}

/// A text without quotes around the whole of it.
fn unquoted(text: &str) -> &str {
    for (open, close) in [('"', '"'), ('“', '”'), ('\'', '\''), ('`', '`')] {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(inner) = inner.filter(|inner| !inner.contains([open, close])) {
            return inner.trim();
        }
    }
    text.trim()
}

fn refuses(line: &str) -> bool {
    let lower = line.to_lowercase().replace('’', "'");
    REFUSALS.iter().any(|words| lower.starts_with(words)) || lower.contains("as an ai language model")
}

/// The text up to the end of its last whole sentence.
fn whole_sentences(text: &str) -> Option<String> {
    let mut ends = text.char_indices().filter(|(at, c)| {
        let after = text.get(at + c.len_utf8()..).unwrap_or_default();
        matches!(c, '.' | '!' | '?') && (after.is_empty() || after.starts_with(char::is_whitespace))
    });
    ends.next_back().and_then(|(at, c)| text.get(..at + c.len_utf8())).map(str::to_owned)
}

fn check(text: &str, prompt: &Prompt, most: usize, captions: &[&str]) -> Result<(), Fault> {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let seen = text.chars().filter(|c| !c.is_whitespace()).count();
    let parts: Vec<&str> = text.split_whitespace().collect();
    if seen == 0 {
        Err(Fault::Empty)
    } else if 2 * letters < seen
        || text.contains(['\u{fffd}', '{', '}', '<', '>'])
        || text.contains(|c: char| c.is_control() && c != '\n')
        || parts.iter().any(|word| word.chars().count() > LONG_WORD)
    {
        Err(Fault::Nonsense)
    } else if parts.len() > most {
        Err(Fault::TooLong)
    } else if loops(&words(text)) {
        Err(Fault::Loop)
    } else if echoes(text, prompt) {
        Err(Fault::Echo)
    } else if captions.iter().any(|caption| same(caption, text)) {
        Err(Fault::Copied)
    } else if !captions.is_empty() && hollow(&words(text), text) {
        Err(Fault::NoChange)
    } else {
        Ok(())
    }
}

/// Whether a text has six words in a row of the prompt's own; what stands in its slots is not its own.
fn echoes(text: &str, prompt: &Prompt) -> bool {
    let own: Vec<String> = prompt.prompt.lines().flat_map(words).collect();
    words(text).windows(ECHO).any(|run| own.windows(ECHO).any(|window| window == run))
}

/// Whether two texts say the same in the same words: letters' case, white space and a stop at the end aside.
pub fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        let text = text.trim().trim_end_matches('.').to_lowercase();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    plain(a) == plain(b)
}

#[cfg(test)]
mod tests {
    use super::super::prompts::Prompts;
    use super::*;

    fn texts(answer: &str, prompt: &Prompt, cut: bool, captions: &[&str]) -> Result<Vec<String>, Fault> {
        read(answer, prompt, cut, captions).map(|answer| answer.texts)
    }

    fn prompt(form: Form, words: usize) -> Prompt {
        let mut prompt = Prompts::find("syncir").unwrap().rewrite.remove(0);
        (prompt.form, prompt.words) = (form, words);
        prompt
    }

    #[test]
    fn answers_lose_what_models_set_around_them() {
        let text = |answer: &str| texts(answer, &prompt(Form::Text, 12), false, &[]).unwrap().remove(0);
        for (answer, expected) in [
            ("  \"Make the sky dark.\"\n", "Make the sky dark."),
            ("Here is the instruction:\n\n**Instruction:** add two dogs", "add two dogs"),
            ("<think>A has one dog.\nB two.</think>\nadd a dog", "add a dog"),
            ("```\nremove the   hat\n```", "remove the hat"),
            ("1. make it red", "make it red"),
            ("2 dogs instead of one", "2 dogs instead of one"),
            ("the dog's \"new\" collar", "the dog's \"new\" collar"),
            ("“больше собак”", "больше собак"),
        ] {
            assert_eq!(text(answer), expected, "{answer}");
        }
    }

    #[test]
    fn every_fault_is_found() {
        let captions = ["a red hat", "A blue hat on a chair."];
        for (answer, cut, fault) in [
            (" \n", false, Fault::Empty),
            ("```\n```", false, Fault::Empty),
            ("I’m sorry, but I cannot see pictures.", false, Fault::Refusal),
            ("As an AI language model, I do not see.", false, Fault::Refusal),
            ("one two three four five six seven eight nine ten eleven twelve thirteen", false, Fault::TooLong),
            ("make the hat", true, Fault::CutOff),
            ("add a dog a dog a dog", false, Fault::Loop),
            ("{reference}", false, Fault::Nonsense),
            ("<div>add</div>", false, Fault::Nonsense),
            ("=== 12 34 ===", false, Fault::Nonsense),
            ("make it \u{1b}[31mred", false, Fault::Nonsense),
            (&"x".repeat(80), false, Fault::Nonsense),
            ("A person looks at picture A and wants picture B.", false, Fault::Echo),
            ("a blue hat on a chair", false, Fault::Copied),
            ("Change the image to the other image.", false, Fault::NoChange),
        ] {
            assert_eq!(texts(answer, &prompt(Form::Text, 12), cut, &captions), Err(fault), "{answer}");
        }
        let cut = texts("Make it blue. Then put the", &prompt(Form::Text, 12), true, &captions).unwrap();
        assert_eq!(cut, ["Make it blue."]);
    }

    #[test]
    fn json_is_checked_mended_and_counted() {
        let good4cir = Prompts::find("good4cir").unwrap();
        let objects = &good4cir.describe;
        let good = "[{\"object\": \"lamp\", \"descriptors\": [\"red\", \"tall\"]}, {\"object\": \"bed\", \"descriptors\": []}]";
        let expected = Answer { texts: vec!["lamp: red, tall\nbed".into()], mended: false };
        assert_eq!(read(good, objects, false, &[]), Ok(expected.clone()));
        // Cut off at its limit of tokens: what is whole counts.
        let cut = &good[..good.len() - 20];
        assert_eq!(read(cut, objects, true, &[]), Ok(Answer { mended: true, ..expected }));
        let many: Vec<String> =
            (0..200_000).map(|n| format!("{{\"object\": \"thing {n}\", \"descriptors\": [\"red\"]}}")).collect();
        for (answer, fault) in [
            ("- a red lamp\n- a bed", Fault::WrongJson),
            ("[]", Fault::Empty),
            ("[{\"object\": \" \", \"descriptors\": [\"red\"]}]", Fault::Empty),
            ("I cannot see a picture.", Fault::Refusal),
            (&"[".repeat(300_000), Fault::WrongJson),
            (&format!("[{}]", many.join(",")), Fault::TooLong),
            (&format!("[{}]", many[..2000].join(",")), Fault::TooLong),
            ("[{\"object\": \"<b>lamp</b>\", \"descriptors\": []}]", Fault::Nonsense),
        ] {
            assert_eq!(read(answer, objects, false, &[]), Err(fault), "{:.80}", answer);
        }
        let mut change = good4cir.rewrite.last().unwrap().clone();
        assert_eq!(read("[\"add a lamp\"]", &change, false, &["x"]), Err(Fault::TooShort), "at least 100 letters");
        change.least = 0;
        let answer = "[\"Remove the lamp.\", \"add a third chair\", \"remove the lamp.\", \"a bed\", 3]";
        assert_eq!(read(answer, &change, false, &["x"]), Err(Fault::WrongJson));
        assert!(wrong_json(answer, &change).unwrap().contains("no list of texts"));
        let found = texts(&answer.replace(", 3", ""), &change, false, &["a bed"]).unwrap();
        assert_eq!(found, ["Remove the lamp.", "add a third chair", "Remove the lamp, and add a third chair"]);
    }

    #[test]
    fn lists_stay_together_and_lines_become_texts() {
        let list = texts("Objects:\n- two red chairs\n- a lamp", &prompt(Form::List, 12), false, &[]).unwrap();
        assert_eq!(list, ["two red chairs\na lamp"]);
        let mut several = prompt(Form::Texts, 6);
        several.joined = vec![2];
        let answer = "1. remove the lamp\n2. add a third chair\n3. a very long line that says more than six words do\n4. paint it gr";
        assert_eq!(
            texts(answer, &several, true, &["x"]).unwrap(),
            ["remove the lamp", "add a third chair", "remove the lamp, and add a third chair"]
        );
        assert_eq!(texts("{}\n{}", &several, false, &["x"]), Err(Fault::Nonsense));
    }
}
