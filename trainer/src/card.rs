//! The model card that lies in an exported bundle's folder: what the model is, how it was trained, what was measured, and what
//! it is not for.

use crate::train::checkpoint::Header;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use thisbut_model::bundle::Manifest;

/// The card's file name.
pub const NAME: &str = "model-card.md";

/// What a bundle was made from.
pub struct Made<'a> {
    /// The checkpoint.
    pub checkpoint: &'a Path,
    /// Its SHA-256.
    pub sha256: &'a str,
    /// What it says of itself.
    pub header: &'a Header,
    /// The data set whose images became the gallery.
    pub gallery: &'a Path,
    /// The bundle.
    pub manifest: &'a Manifest,
}

/// The card, in Markdown.
pub fn card(made: &Made) -> String {
    let Made { checkpoint, sha256, header, gallery, manifest } = made;
    let (config, settings) = (&header.config, &header.settings);
    let family = config.method.family();
    let mut out = String::new();
    let title = if manifest.gallery.title.is_empty() { &config.name } else { &manifest.gallery.title };
    let rows = |out: &mut String, rows: &[(&str, String)]| {
        out.push_str("| | |\n|---|---|\n");
        for (name, value) in rows {
            let _ = writeln!(out, "| {name} | {} |", cell(value));
        }
    };
    let _ = writeln!(
        out,
        "# {}\n\nA composed image retrieval model: an image and a text of what should be different find the \
        images that match. Made with thisbut {}.\n\n## Model\n",
        cell(title),
        manifest.product_version
    );
    let weights: u64 = manifest.weights.iter().map(|entry| entry.file.bytes).sum();
    let store = manifest.weights.first().map_or_else(String::new, |entry| entry.code_width.to_string());
    rows(
        &mut out,
        &[
            ("architecture", format!("{}: {}, {}", config.name, family.name(), family.summary())),
            ("target tokens", format!("{} of {} dimensions", manifest.gallery.tokens, config.projection)),
            ("weights", format!("{:.1} MB, {store}", weights as f64 / 1e6)),
            ("form", manifest.form.name().to_owned()),
            (
                "understands",
                Some(manifest.understands.clone()).filter(|said| !said.is_empty()).unwrap_or("not stated".into()),
            ),
            ("checkpoint", format!("{}, SHA-256 {sha256}", checkpoint.display())),
            (
                "vocabulary",
                header.vocabulary.clone().map_or_else(|| "not recorded".to_owned(), |hash| format!("SHA-256 {hash}")),
            ),
        ],
    );
    out.push_str("\n## Training\n\n");
    if header.step == 0 {
        out.push_str("The weights were imported; nothing was trained here.\n");
    } else {
        rows(&mut out, &training(header));
        let _ =
            writeln!(out, "\nEvery setting:\n\n```json\n{}\n```", serde_json::to_string(settings).unwrap_or_default());
    }
    let images = format!("{} images of {}", manifest.gallery.count, gallery.display());
    let licence = if manifest.gallery.licence.is_empty() { "not stated" } else { &manifest.gallery.licence };
    out.push_str("\n## Gallery\n\n");
    rows(&mut out, &[("images", images), ("licence and origin", licence.to_owned())]);
    out.push_str("\n## Measured\n\n");
    out.push_str(&measured(&manifest.measured));
    out.push_str(
        "\n## Limits\n\n- It ranks the images of a gallery and makes none. There is always a first image, however little it fits.\n\
         - What it knows of words and images is what its training data show. Other domains and languages were not measured.\n\
         - It is not for recognising people, nor for decisions about them.\n",
    );
    out
}

fn training(header: &Header) -> Vec<(&'static str, String)> {
    let settings = &header.settings;
    let mut rows = vec![
        ("steps", format!("{} of {}, {} rows each", header.step, settings.steps, settings.batch)),
        ("learning rate", format!("{} at its peak", settings.learning_rate)),
        ("seed", settings.seed.to_string()),
        ("device", format!("{:?}", settings.device).to_lowercase()),
        ("training data", format!("fingerprint {}", header.data)),
    ];
    if let Some((score, step)) = header.best {
        rows.push(("best validation", format!("{score:.2} at step {step}")));
    }
    rows
}

/// R@1 and R@10 of each recorded evaluation.
fn measured(found: &Value) -> String {
    let mut out = String::new();
    for (name, report) in found.as_object().into_iter().flatten() {
        let Some(section) = report["sections"].get(0) else { continue };
        for row in section["rows"].as_array().into_iter().flatten() {
            let figure = |key: &str| row["recall"][key].as_f64().map_or_else(|| "–".into(), |v| format!("{v:.2}"));
            let method = row["method"].as_str().unwrap_or_default();
            let cells = [name.as_str(), report["title"].as_str().unwrap_or_default(), method].map(cell);
            let _ = writeln!(out, "| {} | {} | {} |", cells.join(" | "), figure("r1"), figure("r10"));
        }
    }
    match out.is_empty() {
        true => "Nothing was recorded yet: `thisbut evaluate DATASET --bundle FOLDER --record NAME` does, and `thisbut export` \
            writes this card anew.\n"
            .to_owned(),
        false => format!("| name | of | query | R@1 | R@10 |\n|---|---|---|---|---|\n{out}"),
    }
}

/// A table's cell: one line, without what would end it.
fn cell(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use serde_json::json;

    #[test]
    fn a_card_says_what_was_trained_and_measured() {
        let text = include_str!("../../tests/golden/version-0.1/bundle.json");
        let mut manifest = Manifest::parse(text.as_bytes()).unwrap();
        manifest.gallery.title = "Shop | one\nline".into();
        manifest.measured = json!({"q8": {"title": "on test", "sections": [{"name": "all", "rows": [
            {"method": "composed", "recall": {"r1": 12.345, "r10": 50.0}}]}]}});
        let mut header: Header = serde_json::from_str(include_str!("train/checkpoint-header.json")).unwrap();
        header.vocabulary = Some("abc".into());
        let checkpoint = Path::new("runs/final.safetensors");
        let made = |header: &Header| {
            card(&Made { checkpoint, sha256: "123", header, gallery: Path::new("data"), manifest: &manifest })
        };
        let said = made(&header);
        for part in [
            "# Shop \\| one line\n",
            "SHA-256 123",
            "SHA-256 abc",
            "| seed | 1 |",
            "24 of",
            "37.50 at step 24",
            "| q8 | on test | composed | 12.35 | 50.00 |",
            "two-pass",
            "## Limits",
        ] {
            assert!(said.contains(part), "{part} in\n{said}");
        }
        header.step = 0;
        assert!(made(&header).contains("imported"), "nothing was trained");
    }
}
