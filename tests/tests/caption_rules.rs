//! SynCir's rules in language space over a file of triplets, with the real sentence encoder.

use burn::tensor::Device;
use serde_json::{Value, json};
use thisbut_generator::filters::captions::CaptionRules;
use thisbut_generator::filters::file::{Pass, Rules};
use thisbut_tests::upstream::{Outcome, SMALL, real_weights};
use thisbut_trainer::sentences::Sentences;

/// Reference caption, text, target caption.
const ROWS: [(&str, &str, &str); 5] = [
    ("a red dress with long sleeves", "make it blue", "a blue dress with long sleeves"),
    ("A dog on grass.", "remove the dog", "a dog  on grass"),
    ("a red dress with long sleeves", "a blue dress", "a blue dress with long sleeves"),
    ("a bowl of soup on a table", "add a spoon", "three airplanes parked at an airport at night"),
    ("a man in a red hat", "quantum chromodynamics lecture", "two cups of coffee"),
];

#[test]
fn equal_captions_and_texts_that_lead_elsewhere_are_left_out_and_counted() -> Outcome {
    let Some(path) = real_weights(&["minilm.safetensors"], SMALL)? else { return Ok(()) };
    let weights = path.parent().ok_or("the weights lie in a folder")?;
    let folder = tempfile::tempdir()?;
    let (file, out) = (folder.path().join("t.jsonl"), folder.path().join("kept.jsonl"));
    let line = |(at, (from, text, to)): (usize, &(&str, &str, &str))| {
        let row = json!({"reference": format!("r{at}"), "target": format!("t{at}"), "modifier_generated": text,
            "reference_caption": from, "target_caption": to, "more": at});
        format!("{row}\n")
    };
    let mut lines: String = ROWS.iter().enumerate().map(line).collect();
    lines.push_str(
        "{\"reference\": \"a\", \"target\": \"b\", \"modifier_generated\": \"x\", \"target_caption\": \"y\"}\n",
    );
    std::fs::write(&file, &lines)?;
    let pass = |threshold: f32| {
        let sentences = Sentences::load(weights, &Device::flex())?;
        let rules = Rules { captions: Some(CaptionRules::new(sentences, threshold)), round_trip: None };
        Pass::open(rules, &out)?.run(&file, &mut |_| ())
    };
    let (found, complaints) = pass(0.7)?;
    assert_eq!((found.triplets, found.kept, found.unusable), (5, 2, 1));
    assert_eq!((found.left_out["equal-captions"], found.left_out["similarity"]), (1, 2));
    assert!(complaints.first[0].problem.contains("there is no reference_caption"), "{}", complaints.first[0]);
    let kept = std::fs::read_to_string(&out)?;
    assert!(kept.lines().all(|line| lines.contains(line)) && kept.lines().count() == 2, "byte for byte");
    let left = std::fs::read_to_string(folder.path().join("kept.left-out.jsonl"))?;
    let left: Vec<Value> = left.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(left.iter().map(|row| &row["more"]).collect::<Vec<_>>(), [&json!(1), &json!(3), &json!(4)]);
    assert!(left[0]["rule"] == "equal-captions" && left[0].get("similarity").is_none());

    // The similarity is the cosine of the sum and the target.
    let mut sentences = Sentences::load(weights, &Device::flex())?;
    for row in &left[1..] {
        let (from, text, to) = ROWS[row["more"].as_u64().ok_or("a number")? as usize];
        let vectors = sentences.encode(&[from, text, to])?;
        let sum: Vec<f32> = vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a + b).collect();
        let dot: f32 = sum.iter().zip(&vectors[2]).map(|(a, b)| a * b).sum();
        let cosine = dot / sum.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((row["similarity"].as_f64().ok_or("a number")? - f64::from(cosine)).abs() < 1e-4, "{row}");
    }

    // What was found of the four that differ is kept, and no other threshold asks for it again.
    let journal = || std::fs::read_to_string(folder.path().join("kept.journal.jsonl"));
    assert_eq!(journal()?.lines().count(), 4);

    // The report says what other thresholds would keep, and they do.
    let kept_at = found.captions.ok_or("the rules of captions")?.kept_at;
    for at in [kept_at[0], kept_at[8]] {
        assert_eq!(pass(at.similarity)?.0.kept, at.kept, "{}", at.similarity);
    }
    assert_eq!(journal()?.lines().count(), 4);
    Ok(())
}
