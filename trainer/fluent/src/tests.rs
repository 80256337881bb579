//! Tests of the collection on a small made-up one: 20 roles, heads, hearts, clocks and faces, drawn as flat blocks.

use super::edits::{Edit, ToneEdit, difference, kind, loosen, targets, wanted};
use super::record::{Age, Gender, Hair, Person, decode, parse};
use super::source::{Raw, key_of};
use super::world::World;
use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const CAREERS: [&str; 8] = ["judge", "cook", "farmer", "pilot", "singer", "artist", "teacher", "student"];
const ACTIVITIES: [&str; 8] =
    ["surfing", "walking", "running", "climbing", "swimming", "dancing", "juggling", "biking"];
const FANTASY: [&str; 4] = ["elf", "fairy", "vampire", "mage"];
const TONE_POINTS: [&str; 5] = ["1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"];

/// (label, hexcode, subgroup, takes tones)
fn entries() -> Vec<(String, String, &'static str, bool)> {
    let mut out = Vec::new();
    let mut code = 0xF000;
    let mut next = || {
        code += 1;
        format!("{code:X}")
    };
    let people = [("woman ", "1F469"), ("man ", "1F468"), ("", "1F9D1")];
    for (roles, subgroup) in
        [(&CAREERS[..], "roles & careers"), (&ACTIVITIES[..], "activities"), (&FANTASY[..], "fantasy")]
    {
        for role in roles {
            let point = next();
            for (who, base) in people {
                let who = if who.is_empty() && subgroup == "activities" { "person " } else { who };
                out.push((format!("{who}{role}"), format!("{base}-200D-{point}"), subgroup, true));
            }
        }
    }
    for (who, base) in [("woman", "1F469"), ("man", "1F468"), ("person", "1F9D1")] {
        out.push((who.to_owned(), base.to_owned(), "people", true));
        for (hair, point) in [("red hair", "1F9B0"), ("bald", "1F9B2")] {
            out.push((format!("{who}: {hair}"), format!("{base}-200D-{point}"), "people", true));
        }
    }
    for sign in ["thumbs up", "thumbs down", "raised fist"] {
        out.push((sign.to_owned(), next(), "fingers closed", true));
    }
    for label in
        ["red heart", "green heart", "blue heart", "yellow heart", "grinning face", "crying face", "angry face"]
    {
        let subgroup = if label.ends_with("heart") { "hearts" } else { "concerned" };
        out.push((label.to_owned(), next(), subgroup, false));
    }
    for hour in ["one", "two", "three", "four", "five", "six"] {
        out.push((format!("{hour} o'clock"), next(), "time", false));
    }
    out
}

fn toned_label(label: &str, tone: &str) -> String {
    match label.split_once(": ") {
        Some((head, rest)) => format!("{head}: {tone} skin tone, {rest}"),
        None => format!("{label}: {tone} skin tone"),
    }
}

fn toned_code(code: &str, point: &str) -> String {
    match code.split_once('-') {
        Some((base, rest)) => format!("{base}-{point}-{rest}"),
        None => format!("{code}-{point}"),
    }
}

fn small() -> World {
    let mut raws = Vec::new();
    let mut push = |label: String, code: String, subgroup: &str| {
        raws.push(Raw {
            key: key_of(&code),
            path: Default::default(),
            tags: vec![label.clone()],
            label,
            group: "group".to_owned(),
            subgroup: subgroup.to_owned(),
            order: 0,
        });
    };
    for (label, code, subgroup, toned) in entries() {
        push(label.clone(), code.clone(), subgroup);
        for (tone, point) in record::TONES.iter().zip(TONE_POINTS).filter(|_| toned) {
            push(toned_label(&label, tone), toned_code(&code, point), subgroup);
        }
    }
    let class: Vec<usize> = (0..raws.len()).collect();
    World::new(raws, &[], &class)
}

fn at(world: &World, title: &str) -> usize {
    world.items.iter().position(|i| i.title == title).unwrap_or_else(|| panic!("no {title}"))
}

fn titles(world: &World, classes: &BTreeSet<usize>) -> Vec<String> {
    classes.iter().map(|c| world.items[*c].title.clone()).collect()
}

#[test]
fn labels_and_code_points_agree() {
    let person = parse("man: medium-dark skin tone, red hair", "people").unwrap();
    assert_eq!((person.gender, person.hair, person.tone), (Gender::Man, Hair::Red, Some(4)));
    let said = decode("1f468-1f3fe-200d-1f9b0");
    assert_eq!((said.gender, said.hair, said.tone), (Some(Gender::Man), Some(Hair::Red), Some(4)));
    let mermaid = parse("mermaid: dark skin tone", "fantasy").unwrap();
    assert_eq!((mermaid.role.as_str(), mermaid.gender), ("merperson", Gender::Woman));
    let couple = parse("kiss: woman, man, light skin tone", "family").unwrap();
    assert_eq!((couple.gender, couple.tone, couple.several), (Gender::Mixed, Some(1), true));
    assert_eq!(parse("old woman", "people").unwrap().age, Age::Old);
    assert!(parse("family: man, boy", "family").is_none());
    assert!(parse("lemon", "fruit").is_none());
    assert_eq!(key_of("0039-FE0F-20E3"), key_of("39-20e3"));
}

#[derive(serde::Deserialize)]
struct Seen {
    role: String,
    gender: String,
    age: String,
    hair: String,
}

#[derive(serde::Deserialize)]
struct EyeRow {
    label: String,
    subgroup: String,
    seen: Seen,
    label_says_gender: bool,
}

/// Forty images drawn at random and looked at by a person: one label named the wrong gender (mended in `world`).
#[test]
fn parse_matches_what_a_person_saw() {
    let rows: Vec<EyeRow> = serde_json::from_str(include_str!("testdata/eye_check.json")).unwrap();
    assert_eq!(rows.len(), 40);
    let word = |v: serde_json::Value| v.as_str().unwrap_or_default().to_owned();
    let mut wrong = 0;
    for row in &rows {
        let p = parse(&row.label, &row.subgroup).unwrap();
        assert_eq!(p.role, row.seen.role, "{}", row.label);
        assert_eq!(word(serde_json::to_value(p.age).unwrap()), row.seen.age, "{}", row.label);
        assert_eq!(word(serde_json::to_value(p.hair).unwrap()), row.seen.hair, "{}", row.label);
        let same = word(serde_json::to_value(p.gender).unwrap()) == row.seen.gender;
        assert_eq!(same, row.label_says_gender, "{}", row.label);
        wrong += usize::from(!same);
    }
    assert_eq!(wrong, 1);
}

#[test]
fn wishes_find_exactly_the_right_targets() {
    let world = small();
    let judge = at(&world, "woman judge: medium skin tone");
    let find = |edits: &[Edit]| titles(&world, &targets(&world, judge, edits));
    assert_eq!(find(&[Edit::Tone(ToneEdit::Step(1))]), ["woman judge: medium-dark skin tone"]);
    assert_eq!(
        find(&[Edit::Tone(ToneEdit::Lighter)]),
        ["woman judge: light skin tone", "woman judge: medium-light skin tone"]
    );
    assert_eq!(find(&[Edit::NotGender(Gender::Woman)]), ["man judge: medium skin tone", "judge: medium skin tone"]);
    assert_eq!(find(&[Edit::Role("cook".into())]), ["woman cook: medium skin tone"]);
    assert_eq!(
        find(&[Edit::Role("person".into()), Edit::Hair(Hair::Bald), Edit::Gender(Gender::Man)]),
        ["man: medium skin tone, bald"]
    );
    assert!(find(&[Edit::Tone(ToneEdit::To(3))]).is_empty(), "the reference itself is never a target");
    // From the default yellow nothing is "darker".
    let yellow = at(&world, "woman judge");
    assert!(targets(&world, yellow, &[Edit::Tone(ToneEdit::Darker)]).is_empty());
}

#[test]
fn a_difference_leads_back_to_its_target() {
    let world = small();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let people: Vec<(usize, &Person)> =
        world.items.iter().enumerate().filter_map(|(i, item)| Some((i, item.person.as_ref()?))).collect();
    for (i, from) in people.iter().step_by(7) {
        for (j, to) in people.iter().step_by(11).filter(|(j, to)| j != i && to.hand == from.hand) {
            let mut edits = difference(&world, from, to);
            assert!(wanted(&world, from, &edits).contains(to), "{from:?} → {to:?} by {edits:?}");
            loosen(&mut rng, from, &mut edits);
            assert!(targets(&world, *i, &edits).contains(j), "{from:?} → {to:?} by {edits:?}");
            assert!(!kind(from, &edits).is_empty());
        }
    }
}

#[test]
fn texts_are_whole_and_varied() {
    let world = small();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (a, b) = (at(&world, "woman judge: light skin tone"), at(&world, "man cook: dark skin tone"));
    let (from, to) = (world.items[a].person.clone().unwrap(), world.items[b].person.clone().unwrap());
    let all = difference(&world, &from, &to);
    assert_eq!(all.len(), 3);
    for edits in [&all[..1], &all[1..2], &all[2..], &all[..2], &all[..]] {
        let texts: BTreeSet<String> =
            (0..400).map(|_| grammar::people::modifier(&mut rng, &from, &to, edits)).collect();
        assert!(texts.len() > 60, "{} phrasings of {edits:?}", texts.len());
        for text in &texts {
            assert!(!text.contains(['{', '}']) && !text.contains("  ") && !text.is_empty(), "{text:?}");
        }
    }
    assert_eq!(grammar::article("elf"), "an elf");
    assert_eq!(grammar::article("university"), "a university");
    assert_eq!(grammar::things::noun("grapes"), "grapes");
    assert_eq!(grammar::things::noun("lemon"), "a lemon");
    assert_eq!(grammar::things::noun("flag: France"), "the flag of France");
}

#[test]
fn clocks_go_forward_and_back() {
    let world = small();
    let edges = relations::relations(&world);
    let (one, two) = (at(&world, "one o'clock"), at(&world, "two o'clock"));
    let says = |from: usize, to: usize, text: &str| {
        let edge = edges.iter().find(|e| e.from == from && e.to == to).unwrap();
        edge.forms.contains(&grammar::Form::Whole(text.to_owned()))
    };
    assert!(says(one, two, "one hour later") && says(two, one, "one hour earlier"));
    assert!(!says(two, one, "one hour later"));
    let (red, blue) = (at(&world, "red heart"), at(&world, "blue heart"));
    assert!(says(red, blue, "paint it blue"));
}

#[test]
fn look_alikes_join_only_when_all_of_them_are_alike() {
    let flat = |level: u8| {
        let picture = image::RgbaImage::from_pixel(64, 64, image::Rgba([level, level, level, 255]));
        pixels::Look { coarse: pixels::reduce(&picture, pixels::GRID), fine: pixels::reduce(&picture, 128) }
    };
    // 0–12 and 12–24 are alike, 0–24 are not: a chain must not join all three.
    let class = pixels::classes(&[flat(100), flat(112), flat(124), flat(240)]);
    assert_eq!(class[0], class[1]);
    assert_ne!(class[1], class[2]);
    assert_eq!(class[3], 3);
    // A transparent picture is compared over white.
    let clear = image::RgbaImage::from_pixel(64, 64, image::Rgba([0, 0, 0, 0]));
    let white = image::RgbaImage::from_pixel(64, 64, image::Rgba([255, 255, 255, 255]));
    assert_eq!(pixels::reduce(&clear, 32).difference(&pixels::reduce(&white, 32)), 0.0);
    // The order of tones is the order of brightness.
    let files = [230, 150, 190, 100, 60].map(flat);
    assert_eq!(pixels::tone_order(files.each_ref()), Some([1, 3, 2, 4, 5]));
    assert_eq!(pixels::tone_order([230, 150, 150, 100, 60].map(flat).each_ref()), None);
}

/// Writes both packages in small: block pictures whose right half darkens with the tone. The files of the two middle
/// light tones stand under each other's names for every role but the judge, as in the real package.
fn packages(folder: &Path) {
    let (mut rows, mut files) = (Vec::new(), Vec::new());
    let subgroups: BTreeMap<&str, usize> =
        entries().iter().map(|e| e.2).collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
    for (n, (label, code, subgroup, toned)) in entries().into_iter().enumerate() {
        let mut skins = Vec::new();
        files.push((code.clone(), n, 0));
        for (t, point) in TONE_POINTS.iter().enumerate().filter(|_| toned) {
            let shown = match t + 1 {
                2 if !label.contains("judge") => 3,
                3 if !label.contains("judge") => 2,
                tone => tone,
            };
            let code = toned_code(&code, point);
            files.push((code.clone(), n, shown));
            skins.push(serde_json::json!({"label": toned_label(&label, record::TONES[t]), "hexcode": code, "order": n * 10 + t}));
        }
        rows.push(serde_json::json!({"label": label, "hexcode": code, "tags": ["a", label], "order": n * 10 + 9,
            "group": 1, "subgroup": subgroups[subgroup], "skins": skins}));
    }
    let names: Vec<_> = subgroups.iter().map(|(s, n)| serde_json::json!({"message": s, "order": n})).collect();
    let messages = serde_json::json!({"groups": [{"message": "people & body", "order": 1}], "subgroups": names});
    let labels = folder.join(source::LABELS.0).join("en");
    let assets = folder.join(source::IMAGES.0).join("assets");
    std::fs::create_dir_all(&labels).unwrap();
    std::fs::create_dir_all(&assets).unwrap();
    std::fs::write(labels.join("data.json"), serde_json::to_string(&rows).unwrap()).unwrap();
    std::fs::write(labels.join("messages.json"), messages.to_string()).unwrap();
    for (code, n, shown) in files {
        let picture = image::RgbaImage::from_fn(32, 32, |x, y| {
            let bits = (n as u32 + 1).wrapping_mul(0x9E37_79B9) >> ((x / 4 + y / 8 * 4) % 24);
            let level = if x < 16 { (bits & 1) as u8 * 255 } else { 245 - 40 * shown as u8 };
            image::Rgba([level, level, if shown == 0 { 40 } else { level }, 255])
        });
        picture.save(assets.join(format!("{}.webp", code.to_lowercase()))).unwrap();
    }
}

fn options(folder: &Path, out: &str) -> FluentOptions {
    FluentOptions {
        out: folder.join(out),
        from: Some(folder.to_path_buf()),
        cache: folder.join("cache"),
        seed: 7,
        train_triplets: 700,
        val_queries: 35,
        test_queries: 70,
    }
}

fn files_of(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|e| e.unwrap())
        .filter(|e| e.file_type().is_file())
        .map(|e| (e.path().strip_prefix(folder).unwrap().to_path_buf(), std::fs::read(e.path()).unwrap()))
        .collect()
}

#[test]
fn prepares_a_whole_data_set_the_same_way_twice() {
    let folder = tempfile::tempdir().unwrap();
    packages(folder.path());
    let report = prepare(&options(folder.path(), "one"), &mut |_| {}).unwrap();
    prepare(&options(folder.path(), "two"), &mut |_| {}).unwrap();
    let (one, two) = (files_of(&folder.path().join("one")), files_of(&folder.path().join("two")));
    assert!(one.len() > 300 && one == two, "the same seed gives the same bytes");
    let other = FluentOptions { seed: 8, ..options(folder.path(), "two") };
    prepare(&other, &mut |_| {}).unwrap();
    let captions = std::path::PathBuf::from("captions/cap.rc2.train.json");
    assert_ne!(files_of(&other.out)[&captions], one[&captions], "another seed gives others");

    // The tones: swapped files are found, unswapped ones left alone.
    assert_eq!(report.audit.wrong, Vec::<String>::new());
    let swapped = entries().iter().filter(|e| e.3 && !e.0.contains("judge")).count() * 2;
    assert_eq!(report.audit.tone_mended, swapped);

    // Held-out roles and combinations.
    let root = folder.path().join("one");
    let rows = |name: &str| -> Vec<serde_json::Value> {
        serde_json::from_slice(&one[Path::new(&format!("captions/cap.rc2.{name}.json"))]).unwrap()
    };
    let split = |name: &str| -> BTreeMap<String, String> {
        serde_json::from_slice(&one[Path::new(&format!("image_splits/split.rc2.{name}.json"))]).unwrap()
    };
    let images: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&one[Path::new("images.json")]).unwrap();
    let role = |v: &serde_json::Value| images[v.as_str().unwrap()]["attributes"]["role"].as_str().map(str::to_owned);
    let (train, test) = (rows("train"), rows("test1"));
    let trained = split("train");
    assert!(trained.len() < split("test1").len());
    assert!(!report.roles_test.is_empty() && report.roles_test.iter().all(|r| !report.roles_val.contains(r)));
    let held: BTreeSet<&String> = report.roles_test.iter().chain(&report.roles_val).collect();
    let mut pairs = BTreeSet::new();
    for row in &train {
        pairs.insert((row["reference"].to_string(), row["target_hard"].to_string()));
        for end in [&row["reference"], &row["target_hard"]] {
            assert!(role(end).is_none_or(|r| !held.contains(&r)), "{row}");
        }
        assert!(row["target_soft"].as_object().unwrap().keys().all(|k| trained.contains_key(k)));
    }
    for row in &test {
        assert!(!pairs.contains(&(row["reference"].to_string(), row["target_hard"].to_string())), "{row}");
        let (target, members) = (row["target_hard"].as_str().unwrap(), row["img_set"]["members"].as_array().unwrap());
        assert_eq!(members.iter().map(|m| m.to_string()).collect::<BTreeSet<_>>().len(), 6);
        let soft = row["target_soft"].as_object().unwrap();
        assert!(soft.contains_key(target) && !soft.contains_key(row["reference"].as_str().unwrap()));
        assert_eq!(members.iter().filter(|m| soft.contains_key(m.as_str().unwrap())).count(), 1);
        match row["group"].as_str().unwrap() {
            "unseen-role" => assert!(
                report.roles_test.contains(&role(&row["target_hard"]).unwrap())
                    && role(&row["reference"]) == role(&row["target_hard"])
            ),
            "unseen-combination" => assert!(!trained.contains_key(target)),
            group => assert!(group == "seen" && trained.contains_key(target)),
        }
    }
    assert_eq!(report.splits["train"].all.triplets, train.len());

    // And CIRR's loader reads it.
    for (split, count) in
        [(thisbut_trainer::data::Split::Train, train.len()), (thisbut_trainer::data::Split::Test, test.len())]
    {
        let (table, complaints) = thisbut_trainer::data::cirr::load(&root, split, &Default::default()).unwrap();
        assert!(complaints.is_empty());
        assert_eq!(table.triplets.len(), count);
    }
}

#[test]
fn bad_input_gets_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let missing = prepare(&options(folder.path(), "out"), &mut |_| {}).unwrap_err().to_string();
    assert!(missing.contains("--from") && missing.contains("emojibase-data"), "{missing}");
    packages(folder.path());
    let none = FluentOptions { train_triplets: 0, ..options(folder.path(), "out") };
    assert!(prepare(&none, &mut |_| {}).unwrap_err().to_string().contains("--train"));
    let data = folder.path().join(source::LABELS.0).join("en/data.json");
    let whole = std::fs::read(&data).unwrap();
    std::fs::write(&data, &whole[..whole.len() / 2]).unwrap();
    let broken = prepare(&options(folder.path(), "out"), &mut |_| {}).unwrap_err().to_string();
    assert!(broken.contains("data.json") && broken.contains("fetch"), "{broken}");
    std::fs::write(&data, whole).unwrap();
    let assets = folder.path().join(source::IMAGES.0).join("assets");
    let first = std::fs::read_dir(&assets).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&first, b"not a picture").unwrap();
    let image = prepare(&options(folder.path(), "out"), &mut |_| {}).unwrap_err().to_string();
    assert!(image.contains(".webp") && image.contains("decoded"), "{image}");
    assert!(!folder.path().join("out").exists(), "nothing half-written");
}
