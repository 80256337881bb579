//! The page from made-up answers.

use super::*;

fn answer(id: u64, rank: Option<usize>, lead: f32) -> Answer {
    Answer {
        id,
        reference: "a".into(),
        text: format!("<b>\"query\" {id} & more"),
        targets: ["t1", "t2", "t3", "t4"].map(str::to_owned).to_vec(),
        group: Some("dress".into()),
        rank,
        top: vec![("t1".into(), 0.5 + lead), ("gone".into(), 0.5), ("third".into(), 0.25)],
        ..Answer::default()
    }
}

fn run(name: &str, answers: Vec<Answer>) -> Run {
    Run { name: name.into(), answers }
}

const OPTIONS: Options = Options { title: "Model <x>", count: 2, top: 2, reasons: None };

#[test]
fn one_run_shows_its_worst_and_best_with_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.png");
    image::RgbaImage::from_pixel(300, 200, image::Rgba([200, 0, 0, 128])).save(&file).unwrap();
    let files = HashMap::from([("a".to_owned(), file.clone()), ("t1".to_owned(), folder.path().join("no.png"))]);
    let answers = vec![
        answer(1, Some(0), 0.1),
        answer(2, Some(70), 0.1),
        answer(3, Some(0), 0.3),
        answer(4, Some(9), 0.1),
        answer(5, None, 0.1),
    ];
    let html = page(&[run("first", answers)], &files, &OPTIONS).unwrap();
    let order: Vec<&str> = html
        .match_indices("&quot;query&quot; ")
        .filter_map(|(at, m)| html.get(at + m.len()..at + m.len() + 1))
        .collect();
    assert_eq!(order, ["2", "4", "3", "1"], "worst first, then best; a query without a target is neither");
    assert!(
        html.contains("target at rank 71") && html.contains("and 1 more targets") && html.contains("Model &lt;x&gt;")
    );
    assert!(!html.contains("<b>") && !html.contains("third"), "escaped, and two images a ranking");
    assert_eq!(html.matches("data:image/jpeg;base64,/9j/").count(), 1, "the reference's picture stands once");
    assert_eq!(html.matches("<div class=\"pic p0\"").count(), 4, "and is worn by each query");
    assert!(html.contains("<div class=\"pic\">gone</div>") && html.contains("<td>50.00 %</td>"));
    assert!(!html.contains("http"), "nothing from outside");
}

#[test]
fn what_counted_stands_with_its_query() {
    let answers = vec![answer(1, Some(0), 0.1), answer(2, Some(5), 0.1)];
    let runs = [run("first", answers)];
    assert_eq!(shown(&runs, 1).unwrap().iter().map(|answer| answer.id).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(shown(&runs, 2).unwrap().len(), 2, "each query once");
    let pictures = vec![("a <b> phrase: mostly the top".to_owned(), b"foobar".to_vec())];
    let reasons = HashMap::from([(2, Reasons { words: "red 75 %".into(), pictures })]);
    let html = page(&runs, &HashMap::new(), &Options { reasons: Some(&reasons), count: 1, ..OPTIONS }).unwrap();
    assert_eq!(html.matches("what counted, by attention: red 75 %").count(), 1);
    assert!(html.contains("url(data:image/png;base64,Zm9vYmFy)") && html.contains("a &lt;b&gt; phrase"), "{html}");
}

#[test]
fn two_runs_stand_side_by_side() {
    let first = run(
        "old",
        vec![answer(1, Some(9), 0.1), answer(2, Some(800), 0.1), answer(3, Some(0), 0.1), answer(4, Some(3), 0.1)],
    );
    let second = run(
        "new",
        vec![
            answer(3, Some(5), 0.1),
            answer(2, Some(700), 0.1),
            answer(1, Some(0), 0.1),
            answer(4, Some(3), 0.1),
            answer(9, Some(1), 0.1),
        ],
    );
    let html = page(&[first.clone(), second], &HashMap::new(), &OPTIONS).unwrap();
    let better = html.find("new answers better than old").unwrap();
    let worse = html.find("new answers worse than old").unwrap();
    let at = |text: &str| html.find(text).unwrap();
    assert!(better < at("query 1 dress") && at("query 1 dress") < at("query 2 dress") && at("query 2 dress") < worse);
    assert!(worse < at("query 3 dress") && !html.contains("query 4 dress") && !html.contains("query 9 dress"));
    assert!(html.contains("old: target at rank 10") && html.contains("new: target at rank 1<"));
    let other = run("other", vec![answer(77, Some(1), 0.1)]);
    assert!(
        page(&[first.clone(), other], &HashMap::new(), &OPTIONS).unwrap_err().to_string().contains("share no query")
    );
    assert!(page(&[], &HashMap::new(), &OPTIONS).is_err());
}

#[test]
fn runs_are_read_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web-s.jsonl");
    let line = serde_json::to_string(&answer(1, Some(3), 0.1)).unwrap();
    std::fs::write(&path, format!("{line}\noops\n")).unwrap();
    let (run, complaints) = Run::read(&path).unwrap();
    assert_eq!((run.name.as_str(), run.answers.len(), run.answers[0].rank), ("web-s", 1, Some(3)));
    assert!(complaints[0].to_string().contains("web-s.jsonl, line 2"), "{complaints:?}");
    std::fs::write(&path, "").unwrap();
    assert!(Run::read(&path).unwrap_err().to_string().contains("the file is empty"));
}

#[test]
fn queries_are_those_of_the_split_that_is_named() {
    use crate::data::table::{ImageEntry, Triplet};
    let image = |name: &str| ImageEntry { name: name.into(), path: PathBuf::new() };
    let triplet = |id: u64| Triplet { id, reference: 0, targets: vec![1], text: "in red".into(), ..Triplet::default() };
    let images = ["a", "t1", "t2", "t3", "t4"].map(image).to_vec();
    let table = Table { images, triplets: vec![triplet(1), triplet(2)], ..Table::default() };
    let asked = |ids: &[u64]| run("x", ids.iter().map(|id| answer(*id, Some(0), 0.1)).collect());
    asked(&[1, 2]).check(&table, "val").unwrap();
    let said = asked(&[1, 7, 8]).check(&table, "val").unwrap_err().to_string();
    assert!(said.contains("2 of 3 queries are none of val (query 7"), "{said}");
    // Pictures alone are numbered as they are found.
    let alone = Answer { text: String::new(), ..answer(9, Some(0), 0.1) };
    run("x", vec![alone]).check(&table, "val").unwrap();
    let other = Answer { reference: "z".into(), ..answer(1, Some(0), 0.1) };
    assert!(run("x", vec![other]).check(&table, "val").unwrap_err().to_string().contains("('z')"));
}
