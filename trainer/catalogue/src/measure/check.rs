//! Guesses beside pictures for people to look at, and the corrections that they make.

use super::{Guess, Measure};
use crate::source::Source;
use crate::write::{field, remove};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use thisbut_trainer::data::Complaint;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;
use thisbut_trainer::listed::Pictures;
use thisbut_trainer::sheet::Sheet;

/// The page's name in the data set's folder.
pub const PAGE: &str = "check.html";
/// The name of the table of guesses there.
pub const TABLE: &str = "measured.csv";
/// What says in a correction that nothing can be told.
pub const UNKNOWN: &str = "?";

/// Fills what a source lacks with guesses; a correction counts more than the table, and the table more than a guess.
///
/// # Errors
/// When the corrections cannot be read, or correct what is not measured.
pub fn fill(
    source: &mut Source,
    guesses: &BTreeMap<String, Guess>,
    measures: &[Measure],
    corrections: Option<&Path>,
) -> Result<()> {
    let corrected = match corrections {
        Some(path) => read(path, source, measures)?,
        None => BTreeMap::new(),
    };
    for measure in measures {
        let known = source.columns.iter().position(|name| name == measure.name());
        let at = known.unwrap_or_else(|| {
            source.columns.push(measure.name().to_owned());
            source.pictures.iter_mut().for_each(|picture| picture.values.push(Vec::new()));
            source.columns.len() - 1
        });
        let (mut guessed, mut mended) = (0, 0);
        for picture in &mut source.pictures {
            let Some(values) = picture.values.get_mut(at) else { continue };
            if let Some(value) = corrected.get(&(picture.id.clone(), *measure)) {
                *values = if value == UNKNOWN { Vec::new() } else { vec![value.clone()] };
                mended += 1;
            } else if values.is_empty() {
                let guess = guesses.get(&picture.id).and_then(|guess| guess.value(*measure));
                values.extend(guess.map(str::to_owned));
                guessed += usize::from(guess.is_some());
            }
        }
        source.notes.push(format!(
            "{}: guessed from {guessed} of {} pictures, {mended} corrected; look at {PAGE}",
            measure.name(),
            source.pictures.len()
        ));
    }
    Ok(())
}

/// Corrections by picture and measure.
fn read(path: &Path, source: &mut Source, measures: &[Measure]) -> Result<BTreeMap<(String, Measure), String>> {
    let (sheet, place) = (Sheet::read(path)?, path.display().to_string());
    let Some(file) = sheet.column(&["file"]) else {
        let problem = format!("there is no column 'file' (columns: {})", sheet.columns());
        return Err(TrainerError::data(
            format!("{place}, line 1"),
            problem,
            "begin with the line that check.html writes",
        ));
    };
    let columns: Vec<(usize, Measure)> =
        measures.iter().filter_map(|measure| Some((sheet.column(&[measure.name()])?, *measure))).collect();
    if columns.is_empty() {
        let problem = format!("corrects nothing that is measured (columns: {})", sheet.columns());
        return Err(TrainerError::data(format!("{place}, line 1"), problem, "name what it corrects: --measure colour"));
    }
    let names: Vec<String> = source.pictures.iter().map(|picture| picture.id.clone()).collect();
    let (pictures, mut out) = (Pictures::of(names.iter().map(String::as_str)), BTreeMap::new());
    for (line, row) in &sheet.rows {
        let at = match pictures.find(row.get(file).unwrap_or_default()) {
            Ok(at) => at,
            Err(problem) => {
                let problem = format!("{problem}; the correction is left out");
                source.complaints.push(Complaint { place: format!("{place}, line {line}"), problem });
                continue;
            }
        };
        for (column, measure) in &columns {
            let value = row.get(*column).unwrap_or_default().trim();
            if !value.is_empty() {
                out.insert((names[at].clone(), *measure), value.to_lowercase());
            }
        }
    }
    Ok(out)
}

/// Writes the table of guesses and the page, for pictures by name with the values that count.
///
/// # Errors
/// When a file cannot be written.
pub fn write(out: &Path, measures: &[Measure], rows: &[(&str, Vec<Option<&str>>, &Guess)]) -> Result<()> {
    let heads: Vec<&str> = measures.iter().map(|measure| measure.name()).collect();
    let mut table = format!("file,{},object,colours\n", heads.join(","));
    for (name, values, guess) in rows {
        let values: Vec<&str> = values.iter().map(|value| value.unwrap_or("")).collect();
        let colours: Vec<String> = guess.colours.iter().map(|(share, name)| format!("{name} {share:.2}")).collect();
        let (name, values) = (field(name), values.join(","));
        let _ = writeln!(table, "{name},{values},{:.2},{}", guess.object, colours.join("|"));
    }
    fsx::write_atomic(&out.join(TABLE), table.as_bytes())?;
    fsx::write_atomic(&out.join(PAGE), page(measures, rows).as_bytes())
}

/// Removes the table and the page of an earlier run: their guesses count no more.
///
/// # Errors
/// When a file will not go.
pub fn forget(out: &Path) -> Result<()> {
    [TABLE, PAGE].iter().try_for_each(|name| remove(&out.join(name)))
}

const STYLE: &str = "
:root{color-scheme:light dark}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem}
section{display:flex;flex-wrap:wrap;gap:.6rem}
figure{margin:0;width:9rem}
img{width:9rem;height:9rem;object-fit:contain;background:#fff;border:1px solid #8884;border-radius:4px}
figcaption{font-size:.7rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;color:#888}
select{width:100%}
.changed{outline:3px solid #c60}
header{position:sticky;top:0;background:Canvas;padding:.5rem 0}
";

const SCRIPT: &str = "
const changed = new Map();
document.addEventListener('change', (event) => {
  const box = event.target, figure = box.closest('figure');
  if (!figure) return;
  const row = changed.get(figure.dataset.file) ?? {};
  row[box.dataset.of] = box.value === '' ? '?' : box.value;
  changed.set(figure.dataset.file, row);
  figure.classList.add('changed');
  document.getElementById('count').textContent = String(changed.size);
});
document.getElementById('save').addEventListener('click', () => {
  const heads = document.body.dataset.of.split(',');
  const field = (text) => (/[\",\\n]/.test(text) ? '\"' + text.replaceAll('\"', '\"\"') + '\"' : text);
  const lines = [['file', ...heads].join(',')];
  for (const [file, row] of changed) lines.push([file, ...heads.map((head) => row[head] ?? '')].map(field).join(','));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([lines.join('\\n') + '\\n'], { type: 'text/csv' }));
  link.download = 'corrections.csv';
  link.click();
});
";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The characters of a path that an address gives another meaning.
fn address(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// One page with every picture, those of one guess together: a wrong one among them meets the eye.
fn page(measures: &[Measure], rows: &[(&str, Vec<Option<&str>>, &Guess)]) -> String {
    let heads: Vec<&str> = measures.iter().map(|measure| measure.name()).collect();
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Guesses</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head>\n\
         <body data-of=\"{}\"><h1>Guesses beside pictures</h1>\n\
         <header>Change what is wrong, then <button id=\"save\" type=\"button\">save corrections.csv</button> \
         (<span id=\"count\">0</span> changed) and prepare again with <code>--corrections corrections.csv</code>.</header>\n",
        heads.join(",")
    );
    let mut sections: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (n, (_, values, _)) in rows.iter().enumerate() {
        sections.entry(values.first().copied().flatten().unwrap_or("")).or_default().push(n);
    }
    for (value, members) in sections {
        let heading = if value.is_empty() { "not told" } else { value };
        let _ = writeln!(out, "<h2>{}: {}</h2><section>", escape(heading), members.len());
        for n in members {
            figure(&mut out, measures, &rows[n]);
        }
        out.push_str("</section>\n");
    }
    let _ = writeln!(out, "<script>{SCRIPT}</script></body></html>");
    out
}

fn figure(out: &mut String, measures: &[Measure], (name, values, _): &(&str, Vec<Option<&str>>, &Guess)) {
    let shown = escape(name);
    let _ = write!(
        out,
        "<figure data-file=\"{shown}\"><img loading=\"lazy\" src=\"images/{}\" alt=\"{shown}\">",
        address(name)
    );
    for (measure, value) in measures.iter().zip(values) {
        let _ = write!(out, "<select data-of=\"{0}\" aria-label=\"{0} of {shown}\">", measure.name());
        let mut offered = measure.values();
        offered.extend(value.filter(|value| !offered.contains(value)));
        let _ = write!(out, "<option value=\"\">?</option>");
        for option in offered {
            let chosen = if *value == Some(option) { " selected" } else { "" };
            let _ = write!(out, "<option{chosen}>{}</option>", escape(option));
        }
        out.push_str("</select>");
    }
    let _ = writeln!(out, "<figcaption title=\"{shown}\">{shown}</figcaption></figure>");
}
