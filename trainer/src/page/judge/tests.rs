//! Draws, keys, pages, results and what they come to.

use super::score::{Figures, score};
use super::*;

fn drawn(count: usize) -> Vec<Drawn> {
    let mut draw = Draw::new(7, count);
    for at in 0..50 {
        draw.offer(&format!("r{at}"), &format!("t{at}"), || vec![format!("human {at}"), format!("machine {at}")]);
    }
    draw.finish()
}

fn key(count: usize) -> Key {
    Key::new(Kind::Compare, 7, vec!["annotated".into(), "made".into()], drawn(count), count).unwrap()
}

fn check_key(count: usize) -> Key {
    let one = drawn(count).into_iter().map(|d| Drawn { texts: d.texts[1..].to_vec(), ..d }).collect();
    Key::new(Kind::Check, 7, vec!["made".into()], one, count).unwrap()
}

fn filled(reader: &str, choices: &[&str]) -> Filled {
    let answers = (1..).zip(choices).filter(|(_, c)| !c.is_empty()).map(|(at, c)| (at, (*c).to_owned())).collect();
    Filled { reader: reader.into(), answers, ..Filled::default() }
}

#[test]
fn a_draw_follows_its_seed_and_not_the_order() {
    let draw = |seed, order: Vec<usize>| {
        let mut draw = Draw::new(seed, 10);
        for at in order {
            draw.offer(&format!("r{at}"), "t", || vec![at.to_string()]);
        }
        draw.finish()
    };
    let forward = draw(1, (0..1000).collect());
    assert_eq!(forward.len(), 10);
    assert_eq!(forward, draw(1, (0..1000).rev().chain(0..1000).collect()), "another order, and every pair twice");
    assert_ne!(forward, draw(2, (0..1000).collect()));
    assert_eq!(draw(1, (0..10).collect()).len(), 10);
    assert!(Draw::new(1, 0).finish().is_empty());
    // Over many draws every pair has its chance: the mean of drawn numbers is near the middle.
    let numbers: Vec<f64> =
        (0..200).flat_map(|seed| draw(seed, (0..100).collect())).map(|d| d.texts[0].parse::<f64>().unwrap()).collect();
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    assert!((mean - 49.5).abs() < 2.5, "{mean}");
}

#[test]
fn a_key_puts_either_source_first_and_notices_changes() {
    let key = key(40);
    let first: Vec<usize> = key.items.iter().map(|item| item.texts[0].source).collect();
    let second = first.iter().filter(|source| **source == 1).count();
    assert!((8..=32).contains(&second), "{first:?}");
    for item in &key.items {
        let of = |source: usize| &item.texts.iter().find(|v| v.source == source).unwrap().text;
        assert!(of(0).starts_with("human") && of(1).starts_with("machine"), "{item:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.key.json");
    key.write(&path).unwrap();
    assert_eq!(Key::read(&path).unwrap(), key);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("human", "machine", 1)).unwrap();
    assert!(Key::read(&path).unwrap_err().to_string().contains("not as it was written"));
    std::fs::write(&path, "{}").unwrap();
    assert!(Key::read(&path).unwrap_err().to_string().contains("not a page's key"));
    let none = Key::new(Kind::Check, 1, vec!["x".into()], Vec::new(), 5);
    assert!(none.unwrap_err().to_string().contains("no pair"));
}

#[test]
fn a_page_shows_the_texts_and_hides_their_sources() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.png");
    image::RgbImage::from_pixel(500, 300, image::Rgb([9, 200, 9])).save(&file).unwrap();
    let mut key = key(3);
    key.items[0].texts[0].text = "<b>\"human\" & more".into();
    let files: HashMap<String, PathBuf> = key.items.iter().map(|item| (item.reference.clone(), file.clone())).collect();
    let html = page(&key, "Which <text>?", &files);
    assert!(html.contains("Which &lt;text&gt;?") && html.contains("&lt;b&gt;&quot;human&quot; &amp; more"));
    assert_eq!(html.matches("<fieldset").count(), 3);
    assert_eq!(html.matches("type=\"radio\"").count(), 12);
    assert_eq!(html.matches("data:image/jpeg;base64,").count(), 3, "one picture a reference");
    assert!(html.contains(&format!("data-page=\"{}\"", key.page)));
    for hidden in ["annotated", "made", "\"source\"", "http://", "https://", &key.items[0].reference] {
        assert!(!html.contains(&format!(">{hidden}")) && !html.contains(&format!("\"{hidden}\"")), "{hidden}");
    }
    let checked = page(&check_key(2), "Right?", &files);
    assert_eq!(checked.matches("type=\"radio\"").count(), 12);
    for choice in Kind::Check.choices() {
        assert!(checked.contains(choice.meaning), "the rule stands on the page: {}", choice.value);
    }
}

#[test]
fn pictures_that_cannot_be_read_leave_their_pairs_out() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("a.png"), folder.path().join("b.png"));
    image::RgbImage::from_pixel(5, 3, image::Rgb([9, 200, 9])).save(&good).unwrap();
    std::fs::write(&bad, b"not a picture").unwrap();
    let pair = |r: &str, t: &str| Drawn { reference: r.into(), target: t.into(), texts: vec!["x".into()] };
    let files = HashMap::from([("a".into(), good.clone()), ("b".into(), bad), ("c".into(), good)]);
    let mut said = Vec::new();
    let pairs = vec![pair("a", "b"), pair("a", "unknown"), pair("b", "c"), pair("a", "c"), pair("c", "a")];
    let left = pictured(pairs, &files, 1, &mut |text| said.push(text));
    assert_eq!(left, [pair("a", "c")]);
    assert!(said.len() == 1 && said[0].contains("b.png"), "{said:?}");
}

#[test]
fn results_are_read_from_json_and_csv_and_refused_with_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anna.json");
    let key = key(5);
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Filled::read(&path, &key)
    };
    let json = |page: &str, answers: &str| {
        format!(
            "{{\"version\": 1, \"page\": \"{page}\", \"kind\": \"compare\", \"reader\": \"\", \"answers\": [{answers}]}}"
        )
    };
    let answer = |item: usize, choice: &str| format!("{{\"item\": {item}, \"choice\": \"{choice}\", \"note\": \"n\"}}");
    let good = read(&json(&key.page, &[answer(2, "b"), answer(5, "same")].join(","))).unwrap();
    assert_eq!(good.reader, "anna", "without a name, the file's");
    assert_eq!(good.answers.into_iter().collect::<Vec<_>>(), [(2, "b".to_owned()), (5, "same".to_owned())]);
    let head = "page,kind,reader,item,choice,note\n";
    let row =
        |item: &str, choice: &str| format!("\"{}\",\"compare\",\"Bo, B.\",\"{item}\",\"{choice}\",\"\"\n", key.page);
    let csv = read(&format!("\u{feff}{head}{}{}", row("1", "a"), row("3", "wrong"))).unwrap();
    assert_eq!((csv.reader.as_str(), csv.answers.len()), ("Bo, B.", 2));
    let cases = [
        (json("other", &answer(1, "a")), "of page 'other'"),
        (json(&key.page, ""), "no answer"),
        (json(&key.page, &answer(6, "a")), "answer 1: there is no pair 6; the page has 5"),
        (json(&key.page, &answer(1, "right")), "'right' is none of a, b, same, wrong"),
        (json(&key.page, &[answer(1, "a"), answer(1, "b")].join(",")), "answered twice"),
        ("{\"version\": 1}".to_owned(), "not what a page saves"),
        (json(&key.page, &answer(1, "a")).replace("\"version\": 1", "\"version\": 9"), "version 9"),
        (String::new(), "no answer"),
        (format!("{head}{}", row("x", "a")), "row 1"),
        (format!("{head}{}", row("1", "A")), "'A' is none of"),
        ("a,b\n1,2\n".to_owned(), "row 1: is not what a page saves"),
    ];
    for (text, words) in cases {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("anna.json") && !error.contains('\n'), "{words}: {error}");
    }
}

#[test]
fn preferences_are_counted_by_source() {
    let key = key(20);
    // Everybody finds the machine's text better in the first nine pairs, a person's in the tenth.
    let machine = |at: usize| if key.items[at].texts[0].source == 1 { "a" } else { "b" };
    let human = |at: usize| if key.items[at].texts[0].source == 0 { "a" } else { "b" };
    let mut choices: Vec<&str> = (0..9).map(machine).collect();
    choices.extend([human(9), "same", "wrong", "wrong"]);
    let one = score(&key, &[filled("anna", &choices)]).unwrap();
    let Figures::Preference(p) = &one.readers[0].1 else { panic!() };
    assert_eq!((p.judged, p.wins, p.same, p.both_wrong), (13, [1, 9], 1, 2));
    assert!((p.decided_share - 90.0).abs() < 1e-9 && (p.share - 900.0 / 13.0).abs() < 1e-9);
    assert!((p.p - 22.0 / 1024.0).abs() < 1e-12);
    assert!((p.interval[0] - 59.58).abs() < 0.01 && (p.interval[1] - 98.21).abs() < 0.01, "{:?}", p.interval);
    assert!(one.majority.is_none());
    let text = one.to_string();
    assert!(
        text.contains("annotated against made") && text.contains("13 judged (7 not)") && text.contains("p = 0.021")
    );
    // Three people: a majority decides a pair, and a split one is a tie.
    let people = [filled("a", &[machine(0), machine(1), "same"]), filled("b", &[machine(0), human(1), "wrong"])];
    let two = score(&key, &people).unwrap();
    let Some(Figures::Preference(p)) = &two.majority else { panic!() };
    assert_eq!((p.wins, p.same, p.judged), ([0, 1], 2, 3));
    let twice = score(&key, &[filled("a", &["a"]), filled("a", &["b"])]);
    assert!(twice.unwrap_err().to_string().contains("reader 'a'"));
    assert!(score(&key, &[]).is_err());
    let none = score(&key, &[filled("a", &["same"])]).unwrap();
    assert!(none.to_string().contains("no pair is decided"));
}

#[test]
fn error_rates_have_intervals_and_reasons() {
    let key = check_key(10);
    let mut choices = vec![RIGHT; 8];
    choices.extend(["attribute", "unclear"]);
    let one = score(&key, &[filled("anna", &choices)]).unwrap();
    let Figures::ErrorRate(e) = &one.readers[0].1 else { panic!() };
    assert_eq!((e.judged, e.wrong), (10, 2));
    // Wilson's interval of 2 in 10.
    assert!((e.interval[0] - 5.668).abs() < 0.01 && (e.interval[1] - 50.984).abs() < 0.01, "{:?}", e.interval);
    let text = one.to_string();
    assert!(text.contains("error rate 20.0 % (95 %: 5.7 to 51.0)") && text.contains("1 not understandable"), "{text}");
    let people = [
        filled("a", &[RIGHT, "attribute", "no-change"]),
        filled("b", &[RIGHT, "way-back", RIGHT]),
        filled("c", &["other", "way-back", RIGHT]),
    ];
    let three = score(&key, &people).unwrap();
    let Some(Figures::ErrorRate(e)) = &three.majority else { panic!() };
    assert_eq!((e.judged, e.wrong, e.reasons.get("way-back")), (3, 1, Some(&1)));
    assert!((three.mean_rate.unwrap() - 500.0 / 9.0).abs() < 1e-9);
}

fn rate_key(count: usize) -> Key {
    let one = drawn(count).into_iter().map(|d| Drawn { texts: d.texts[1..].to_vec(), ..d }).collect();
    Key::new(Kind::Rate, 7, vec!["made".into()], one, count).unwrap()
}

#[test]
fn a_page_of_scales_asks_for_three_numbers_a_pair() {
    let html = page(&rate_key(3), "How good?", &HashMap::new());
    assert_eq!(html.matches("class=\"card\"").count(), 3);
    assert_eq!(html.matches("type=\"radio\"").count(), 3 * 3 * 5);
    for scale in scales::SCALES {
        assert!(
            html.contains(scale.question) && html.contains(scale.low) && html.contains(scale.high),
            "{}",
            scale.name
        );
        assert_eq!(html.matches(&format!("name=\"pair-2-{}\"", scale.name)).count(), 5);
    }
    assert!(html.contains("<kbd>1</kbd> to <kbd>5</kbd> choose") && html.contains("data-kind=\"rate\""));
}

#[test]
fn numbers_on_scales_are_read_from_json_and_csv_and_refused_with_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anna.json");
    let key = rate_key(5);
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Filled::read(&path, &key)
    };
    let json = |answers: &str| {
        format!(
            "{{\"version\": 1, \"page\": \"{}\", \"kind\": \"rate\", \"reader\": \"A\", \"answers\": [{answers}]}}",
            key.page
        )
    };
    let answer = |item: usize, scores: &str| format!("{{\"item\": {item}, \"scores\": {{{scores}}}, \"note\": \"\"}}");
    let some =
        [answer(2, "\"faithfulness\": 5, \"details\": 1, \"saliency\": 3"), answer(4, "\"details\": 2")].join(",");
    let good = read(&json(&some)).unwrap();
    let expected = [(2, [Some(5), Some(1), Some(3)]), (4, [None, Some(2), None])];
    assert_eq!(good.ratings.into_iter().collect::<Vec<_>>(), expected, "what is answered in part counts too");
    let row = |cells: &str| {
        format!("page,kind,reader,item,faithfulness,details,saliency,note\n{},rate,A,{cells}\n", key.page)
    };
    assert_eq!(read(&row("2,5,1,3,")).unwrap().ratings[&2], expected[0].1);
    assert_eq!(read(&row("4,,2,,")).unwrap().ratings[&4], expected[1].1);
    for (text, words) in [
        (json(&answer(1, "\"details\": 6")), "details is 6, not between 1 and 5"),
        (json(&answer(1, "\"details\": 0")), "details is 0"),
        (json(&answer(1, "\"details\": 4.5")), "is not what a page saves"),
        (json(&answer(1, "\"beauty\": 4")), "'beauty' is none of faithfulness, details, saliency"),
        (json(&answer(1, "")), "has no answer"),
        (json(&answer(9, "\"details\": 4")), "there is no pair 9"),
        (json(&[answer(1, "\"details\": 4"), answer(1, "\"saliency\": 4")].join(",")), "answered twice"),
        (json("{\"item\": 1, \"choice\": \"right\"}"), "has no number of faithfulness, details, saliency"),
        (row("2,,,,"), "has no number of"),
        (row("2,x,,,"), "row 1: is not what a page saves"),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("anna.json") && !error.contains('\n'), "{words}: {error}");
    }
}

#[test]
fn means_deviations_and_agreement_of_scales() {
    let key = rate_key(4);
    let rated = |reader: &str, numbers: &[(usize, scales::Ratings)]| Filled {
        reader: reader.into(),
        ratings: numbers.iter().copied().collect(),
        ..Filled::default()
    };
    let one =
        rated("a", &[(1, [Some(5), Some(2), Some(3)]), (2, [Some(3), Some(2), None]), (3, [Some(4), Some(2), None])]);
    let alone = score(&key, std::slice::from_ref(&one)).unwrap();
    let Figures::Scales(spreads) = &alone.readers[0].1 else { panic!() };
    assert_eq!((spreads[0].verdicts, spreads[0].mean, spreads[0].deviation), (3, 4.0, 1.0));
    assert_eq!((spreads[2].verdicts, spreads[2].deviation), (1, 0.0));
    assert!(alone.rated.unwrap().agreement.is_empty() && alone.majority.is_none());
    let two = rated("b", &[(1, [Some(5), Some(2), None]), (2, [Some(2), Some(2), None])]);
    let both = score(&key, &[one, two]).unwrap();
    let together = both.rated.as_ref().unwrap();
    assert_eq!((together.verdicts[0].verdicts, together.texts[0].verdicts), (5, 3));
    assert!((together.verdicts[0].mean - 3.8).abs() < 1e-12 && (together.texts[0].mean - 11.5 / 3.0).abs() < 1e-12);
    let agreement = together.agreement[0];
    assert_eq!((agreement.things, agreement.same, agreement.within_one), (2, 50.0, 100.0));
    assert_eq!(together.agreement[1].alpha, None, "every verdict is the same");
    let text = both.to_string();
    for words in
        ["page ", "Faithfulness", "4.00 ± 1.00 (3)", "all verdicts", "Krippendorff's α, ordinal", "from 1 (worst) to 5"]
    {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert!(
        !serde_json::to_string(&score(&check_key(2), &[filled("a", &[RIGHT])]).unwrap()).unwrap().contains("rated")
    );
}
