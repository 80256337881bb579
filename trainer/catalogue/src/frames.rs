//! Pieces of modification texts and the sentences that they stand in.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// A piece of text and how it can stand in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A noun phrase: "a woman judge".
    Noun(String),
    /// Something had: "dark skin".
    With(String),
    /// An adjective: "darker".
    Adjective(String),
    /// Something done: "surfing".
    Doing(String),
    /// An adjunct: "in a tuxedo".
    Adjunct(String),
    /// A whole clause: "make her a judge".
    Whole(String),
}

/// Words that stand for the reference.
#[derive(Clone, Debug)]
pub struct Deictic {
    /// "him", "her", "them", "it".
    pub object: &'static str,
    /// "person", "woman", "judge", "one".
    pub subject: String,
    /// Two people.
    pub several: bool,
}

/// One of a list; empty text from an empty list.
pub fn pick<'a>(rng: &mut ChaCha8Rng, list: &[&'a str]) -> &'a str {
    list.choose(rng).copied().unwrap_or("")
}

/// "a" or "an" before a phrase.
pub fn article(phrase: &str) -> String {
    let lower = phrase.to_lowercase();
    let vowel = lower.starts_with(['a', 'e', 'i', 'o', 'u']);
    let except = ["uni", "eu", "one", "us", "uk", "ut"].iter().any(|p| lower.starts_with(p));
    let hour = lower.starts_with("hour") || lower.starts_with("x-ray") || lower.starts_with("8");
    if (vowel && !except) || hour { format!("an {phrase}") } else { format!("a {phrase}") }
}

const NOUN: [&str; 34] = [
    "{x}",
    "{x}",
    "as {x}",
    "but {x}",
    "but as {x}",
    "make {o} {x}",
    "make it {x}",
    "turn {o} into {x}",
    "turn into {x}",
    "change to {x}",
    "change {o} to {x}",
    "{x} instead",
    "{x} rather than this",
    "same but {x}",
    "the same, but {x}",
    "{x} this time",
    "swap for {x}",
    "swap the {s} for {x}",
    "show me {x}",
    "show {x}",
    "should be {x}",
    "it should be {x}",
    "now {x}",
    "I want {x}",
    "I'd rather have {x}",
    "replace with {x}",
    "replace the {s} with {x}",
    "let it be {x}",
    "how about {x}?",
    "what about {x}?",
    "could it be {x}?",
    "needs to be {x}",
    "is {x}",
    "{x} please",
];
const WITH: [&str; 26] = [
    "{x}",
    "{x}",
    "with {x}",
    "with {x}",
    "but with {x}",
    "give {o} {x}",
    "same {s} with {x}",
    "the same {s} but with {x}",
    "same, {x}",
    "same but {x}",
    "now with {x}",
    "should have {x}",
    "the {s} should have {x}",
    "{x} instead",
    "the one with {x}",
    "a version with {x}",
    "change to {x}",
    "has {x}",
    "{x} please",
    "I want {x}",
    "this {s}, just with {x}",
    "can I see {o} with {x}?",
    "make it {x}",
    "switch to {x}",
    "needs {x}",
    "show {o} with {x}",
];
const ADJECTIVE: [&str; 20] = [
    "{x}",
    "{x}",
    "but {x}",
    "make {o} {x}",
    "make it {x}",
    "make the {s} {x}",
    "same but {x}",
    "same {s}, {x}",
    "the same {s} but {x}",
    "now {x}",
    "should be {x}",
    "{x} version",
    "the {x} one",
    "a {x} one",
    "just {x}",
    "is {x}",
    "I want {o} {x}",
    "{x} please",
    "can {o} be {x}?",
    "{x}, otherwise the same",
];
const DOING: [&str; 19] = [
    "{x}",
    "{x}",
    "now {x}",
    "but {x}",
    "{x} instead",
    "same {s} but {x}",
    "the same {s}, {x}",
    "{p} {x}",
    "{p} {x}",
    "show {o} {x}",
    "is {x}",
    "should be {x}",
    "{p} who {is} {x}",
    "same {s}, but {x} now",
    "{x} rather than this",
    "I want {o} {x}",
    "have {o} {x}",
    "change to {x}",
    "this {s} {x}",
];
const ADJUNCT: [&str; 14] = [
    "{x}",
    "{x}",
    "but {x}",
    "now {x}",
    "same {s} but {x}",
    "the same {s} {x}",
    "{p} {x}",
    "{p} {x}",
    "{x} instead",
    "show {o} {x}",
    "should be {x}",
    "{p} {x}",
    "I want {o} {x}",
    "this {s}, {x}",
];

/// Puts a piece into a sentence frame.
pub fn framed(rng: &mut ChaCha8Rng, form: &Form, d: &Deictic) -> String {
    let (frames, x): (&[&str], &str) = match form {
        Form::Noun(x) => (&NOUN, x),
        Form::With(x) => (&WITH, x),
        Form::Adjective(x) => (&ADJECTIVE, x),
        Form::Doing(x) => (&DOING, x),
        Form::Adjunct(x) => (&ADJUNCT, x),
        Form::Whole(x) => (&["{x}", "{x}", "{x}", "{x}", "{x}", "{x} please", "but {x}", "{x}, otherwise the same"], x),
    };
    let (who, is) = match d.several {
        true => (pick(rng, &["two people", "a couple", "a pair"]), "are"),
        false => (pick(rng, &["someone", "a person", "somebody"]), "is"),
    };
    let text = pick(rng, frames).replace("{p}", who).replace("{is}", is);
    let text = text.replace("{o}", d.object).replace("{s}", &d.subject).replace("{x}", x);
    // "can him be darker?" is the price of one frame list; mend the pronoun.
    text.replace("can him be", "can he be").replace("can her be", "can she be").replace("can them be", "can they be")
}

/// A piece as a later clause of a sentence.
pub fn bare(rng: &mut ChaCha8Rng, form: &Form) -> String {
    match form {
        Form::With(x) if rng.random_bool(0.6) => format!("with {x}"),
        Form::Noun(x) if rng.random_bool(0.3) => format!("as {x}"),
        Form::Noun(x) | Form::With(x) | Form::Adjective(x) | Form::Doing(x) | Form::Adjunct(x) | Form::Whole(x) => {
            x.clone()
        }
    }
}
