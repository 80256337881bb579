//! The page's HTML. Its style and script are files of their own; nothing in it says whose a text is.

use super::scales::{POINTS, SCALES};
use super::{Choice, Key, Kind, RIGHT};
use crate::page::html::escape;
use crate::page::pictures::Pictures;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;

const STYLE: &str = include_str!("judge.css");
const SCRIPT: &str = include_str!("judge.js");
/// Longest side of a picture in pixels.
const SIDE: u32 = 384;

/// The page of a key. `files` gives image files by name.
pub fn page(key: &Key, title: &str, files: &HashMap<String, PathBuf>) -> String {
    let names: Vec<&str> = key.items.iter().flat_map(|item| [item.reference.as_str(), item.target.as_str()]).collect();
    let pictures = Pictures::sized(&names, files, SIDE);
    let (title, kind, all) = (escape(title), key.kind.name(), key.items.len());
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<style>\n{STYLE}{}</style></head>\n\
         <body data-page=\"{}\" data-kind=\"{kind}\">\n<header><h1>{title}</h1>\n",
        pictures.styles(),
        key.page
    );
    out.push_str(&rule(key.kind, all));
    out.push_str("</header>\n<main>\n");
    for item in &key.items {
        card(&mut out, key.kind, item, all, &pictures);
    }
    let _ = write!(
        out,
        "</main>\n<div class=\"bar\" role=\"region\" aria-label=\"Progress and saving\">\
         <p class=\"count\"><progress max=\"{all}\" value=\"0\" aria-label=\"Pairs judged\"></progress>\
         <output aria-live=\"polite\">0 of {all}</output></p>\
         <label class=\"reader\"><span>Your name</span> <input id=\"reader\" autocomplete=\"name\" maxlength=\"80\" \
         placeholder=\"Your name\"></label>\
         <p class=\"save\"><button type=\"button\" data-save=\"json\">Save results</button>\
         <button type=\"button\" class=\"quiet\" data-save=\"csv\">as CSV</button></p></div>\n\
         <noscript><p class=\"rule\">This page needs JavaScript to keep and save the answers.</p></noscript>\n\
         <script>\n{SCRIPT}</script></body></html>\n"
    );
    out
}

/// What is asked and what counts, as the person reads it before the first pair.
fn rule(kind: Kind, all: usize) -> String {
    let mut out = String::from("<div class=\"rule\">\n");
    out.push_str(match kind {
        Kind::Compare => {
            "<p>Each pair has a <b>reference</b> and a <b>target</b>, and two texts that should say how to get from the one to \
             the other. Which text does it better? Judge what it says, not how long or elegant it is: a text that names \
             something untrue is worse than one that leaves something out.</p>\n"
        }
        Kind::Check => {
            "<p>Each pair has a <b>reference</b> and a <b>target</b>, and a text that should say how to get from the one to the \
             other. Is the text right? It need not name every change, and clumsy grammar is no error as long as it can be \
             understood. If several errors fit, choose the first of this list.</p>\n"
        }
        Kind::Rate => {
            "<p>Each pair has a <b>reference</b> and a <b>target</b>, and a text that should say how to get from the one to the \
             other. How good is the text? Give it a number from 1 (worst) to 5 (best) on each of three scales. Judge each scale by \
             itself: a vague text may be faithful and yet say little.</p>\n"
        }
    });
    out.push_str("<dl>\n");
    for (number, choice) in (1..).zip(kind.choices()) {
        let Choice { label, meaning, .. } = choice;
        let _ = writeln!(out, "<div><dt><kbd>{number}</kbd> {label}</dt><dd>{meaning}</dd></div>");
    }
    for scale in SCALES.iter().filter(|_| kind == Kind::Rate) {
        let _ = writeln!(
            out,
            "<div><dt>{}</dt><dd>{} <kbd>{}</kbd> {}, <kbd>{}</kbd> {}.</dd></div>",
            scale.label,
            scale.question,
            POINTS.start(),
            scale.low,
            POINTS.end(),
            scale.high
        );
    }
    let keys = if kind == Kind::Rate { usize::from(*POINTS.end()) } else { kind.choices().len() };
    let _ = write!(
        out,
        "</dl>\n<p class=\"keys\">Keys: <kbd>1</kbd> to <kbd>{keys}</kbd> choose and go on, <kbd>J</kbd> and <kbd>K</kbd> step, \
         <kbd>0</kbd> takes a choice back.</p>\n<p class=\"quiet\">{all} pairs. Answers stay in this browser until you save them \
         as a file.</p></div>\n"
    );
    out
}

fn card(out: &mut String, kind: Kind, item: &super::Item, all: usize, pictures: &Pictures) {
    let number = item.item;
    let _ = write!(
        out,
        "<fieldset class=\"card\" id=\"pair-{number}\" data-item=\"{number}\" tabindex=\"-1\">\
         <legend>Pair {number} <span>of {all}</span></legend>\n<div class=\"pair\">"
    );
    for (role, name) in [("Reference", &item.reference), ("Target", &item.target)] {
        let class = pictures.class(name).unwrap_or_default();
        let _ = write!(
            out,
            "<figure><div class=\"pic {class}\" role=\"img\" aria-label=\"{role} picture\"></div>\
             <figcaption>{role}</figcaption></figure>"
        );
    }
    out.push_str("</div>\n<div class=\"texts\">");
    for (letter, voice) in ["A", "B"].into_iter().zip(&item.texts) {
        let letter = if kind == Kind::Compare { format!("<b>{letter}</b>") } else { String::new() };
        let _ = write!(out, "<p>{letter}<q dir=\"auto\">{}</q></p>", escape(&voice.text));
    }
    if kind == Kind::Rate {
        out.push_str("</div>\n<div class=\"scales\">");
        scales(out, number);
        out.push_str("</div>\n");
    } else {
        out.push_str("</div>\n<div class=\"choices\">");
        choices(out, kind, number);
        out.push_str("</div>\n");
    }
    let _ = writeln!(
        out,
        "<label class=\"note\">Note <input maxlength=\"500\" placeholder=\"optional\"></label></fieldset>"
    );
}

/// What can be chosen for a pair.
fn choices(out: &mut String, kind: Kind, number: usize) {
    for (at, choice) in (1..).zip(kind.choices()) {
        let Choice { value, label, .. } = choice;
        let class = if kind == Kind::Check && *value != RIGHT { " class=\"error\"" } else { "" };
        let _ = write!(
            out,
            "<label{class}><input type=\"radio\" name=\"pair-{number}\" value=\"{value}\"><span>{label}</span>\
             <kbd aria-hidden=\"true\">{at}</kbd></label>"
        );
    }
}

/// A pair's scales.
fn scales(out: &mut String, number: usize) {
    for scale in &SCALES {
        let (name, label) = (scale.name, scale.label);
        let _ = write!(
            out,
            "<div class=\"scale\" role=\"radiogroup\" aria-label=\"{label}\" data-scale=\"{name}\"><b aria-hidden=\"true\">{label}</b>\
             <div class=\"choices\">"
        );
        for point in POINTS {
            let _ = write!(
                out,
                "<label><input type=\"radio\" name=\"pair-{number}-{name}\" value=\"{point}\"><span>{point}</span></label>"
            );
        }
        out.push_str("</div></div>");
    }
}
