//! What roles and hand signs are called.

use super::super::record::Gender;
use super::role_table::{GENDERED, MORE, ROLES};
use super::{Form, article};

/// How a list of names stands in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// "a judge".
    Noun,
    /// "surfing".
    Doing,
    /// "in a tuxedo".
    Adjunct,
}
use Manner::{Adjunct, Doing, Noun};

fn entry(role: &str) -> Option<&'static (&'static str, Manner, &'static [&'static str], &'static [&'static str])> {
    ROLES.iter().chain(MORE).find(|(r, ..)| *r == role)
}

/// The manner of a role.
pub fn manner(role: &str) -> Manner {
    entry(role).map_or(Noun, |(_, m, ..)| *m)
}

/// Names without article, in the role's manner.
pub fn names(role: &str) -> Vec<&'static str> {
    entry(role).map(|(_, _, n, _)| n.to_vec()).unwrap_or_default()
}

/// Adjuncts that describe the role's drawing.
pub fn props(role: &str) -> &'static [&'static str] {
    entry(role).map_or(&[], |(.., p)| p)
}

/// Names that already say the gender.
pub fn gendered(role: &str, gender: Gender) -> &'static [&'static str] {
    let found = GENDERED.iter().find(|(r, ..)| *r == role);
    match (gender, found) {
        (Gender::Woman, Some((_, w, _))) => w,
        (Gender::Man, Some((_, _, m))) => m,
        _ => &[],
    }
}

/// Every way to name a person role. With a known gender the gendered names come too (they say no more than the image).
pub fn forms(role: &str, gender: Option<Gender>) -> Vec<Form> {
    let mut out: Vec<Form> = Vec::new();
    let manner = manner(role);
    for name in names(role) {
        out.push(match manner {
            Noun => Form::Noun(article(name)),
            Doing => Form::Doing(name.to_owned()),
            Adjunct => Form::Adjunct(name.to_owned()),
        });
    }
    // The first, most common name weighs more.
    if let Some(first) = out.first().cloned() {
        out.push(first.clone());
        out.push(first);
    }
    out.extend(props(role).iter().map(|p| Form::Adjunct((*p).to_owned())));
    if let Some(g) = gender {
        for name in gendered(role, g) {
            let proper = name.starts_with("Mrs") || name.ends_with("Christmas") || name.starts_with("Santa");
            out.push(Form::Noun(if proper { (*name).to_owned() } else { article(name) }));
        }
    }
    out
}
