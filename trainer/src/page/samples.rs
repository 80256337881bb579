//! A page of generated texts: both pictures, a person's text, the generated one.

use super::html::{STYLE, escape, figure};
use super::pictures::Pictures;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;

/// One pair with its texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The reference's name.
    pub reference: String,
    /// The target's name.
    pub target: String,
    /// A person's text.
    pub original: String,
    /// The generated text.
    pub generated: String,
    /// ROUGE-1 of both.
    pub rouge1: f64,
    /// METEOR of both, by exact match alone.
    pub meteor_exact: f64,
}

/// The page. `files` gives image files by name; an image without a usable file is shown by its name.
pub fn samples(title: &str, rows: &[Sample], files: &HashMap<String, PathBuf>) -> String {
    let names: Vec<&str> = rows.iter().flat_map(|row| [row.reference.as_str(), row.target.as_str()]).collect();
    let pictures = Pictures::new(&names, files);
    let title = escape(title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}{}</style></head>\n<body><h1>{title}</h1>\n",
        pictures.styles()
    );
    for row in rows {
        let _ = writeln!(
            out,
            "<article><p class=\"text\">{}</p><p class=\"about\">a person: {} · ROUGE-1 {:.2} · METEOR (exact match) {:.2}</p>\
             <div class=\"strip\">",
            escape(&row.generated),
            escape(&row.original),
            row.rouge1,
            row.meteor_exact
        );
        figure(&mut out, &pictures, &row.reference, "reference", false);
        figure(&mut out, &pictures, &row.target, "target", true);
        out.push_str("</div></article>\n");
    }
    out.push_str("</body></html>\n");
    out
}
