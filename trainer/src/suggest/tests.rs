//! Suggestions of a model that reads titles: what is offered, and what is shown.

use super::*;

const COLOURS: [&str; 4] = ["red", "blue", "green", "white"];
const SHAPES: [&str; 3] = ["ring", "square", "star"];

/// Knows an image by its title, and answers a text by the words in it.
struct Reader {
    titles: Vec<String>,
}

impl Reader {
    /// Shared words, less what is not.
    fn ranked(&self, own: u32, wanted: &[&str], k: usize) -> Vec<Hit> {
        let score = |title: &str| wanted.iter().filter(|word| title.split(' ').any(|one| one == **word)).count() as f32;
        let mut hits: Vec<Hit> = (0..).zip(&self.titles).map(|(index, t)| Hit { index, score: score(t) }).collect();
        hits.retain(|hit| hit.index != own);
        hits.sort_by(Hit::rank);
        hits.truncate(k);
        hits
    }
}

impl Answers for Reader {
    fn like(&self, index: u32, k: usize) -> Result<Vec<Hit>> {
        Ok(self.ranked(index, &self.titles[index as usize].split(' ').collect::<Vec<_>>(), k))
    }

    fn reads(&self, text: &str) -> bool {
        text != "white"
    }

    fn say(&self, texts: &[&str]) -> Result<Vec<Option<f32>>> {
        let asked: Vec<Vec<&str>> = texts.iter().map(|text| text.split(' ').collect()).collect();
        let best = |words: &Vec<&str>| self.ranked(u32::MAX, words, 1).first().map(|hit| hit.score);
        Ok(asked.iter().map(best).collect())
    }

    fn ask(&self, images: &[u32], texts: &[Vec<&str>], k: usize) -> Result<Vec<Vec<Vec<Hit>>>> {
        let answer = |(index, own): (&u32, &Vec<&str>)| -> Vec<Vec<Hit>> {
            let of = |text: &&str| {
                let asked: Vec<&str> = text.split(' ').collect();
                let kinds: [&[&str]; 2] = [&COLOURS, &SHAPES];
                let said = |kind: &[&str]| asked.iter().copied().find(|word| kind.contains(word));
                let title = &self.titles[*index as usize];
                let kept = |kind: &[&str]| title.split(' ').find(|word| kind.contains(word)).map(str::to_owned);
                let words: Vec<String> =
                    kinds.into_iter().filter_map(|kind| said(kind).map(str::to_owned).or_else(|| kept(kind))).collect();
                self.ranked(*index, &words.iter().map(String::as_str).collect::<Vec<_>>(), k)
            };
            own.iter().map(of).collect()
        };
        Ok(images.iter().zip(texts).map(answer).collect())
    }
}

fn gallery() -> (Reader, Vec<ImageMeta>) {
    let titles: Vec<String> =
        COLOURS.iter().flat_map(|colour| SHAPES.map(|shape| format!("{colour} {shape}"))).collect();
    let meta = |title: &String| ImageMeta {
        id: title.clone(),
        title: title.clone(),
        tags: Vec::new(),
        changes: Vec::new(),
        extra: Default::default(),
        thumb: "t.png".into(),
        width: 8,
        height: 8,
        reference: None,
    };
    (Reader { titles: titles.clone() }, titles.iter().map(meta).collect())
}

fn found(options: Options) -> (Found, Outcome, Vec<Example>) {
    let (reader, images) = gallery();
    let (mut found, outcome) = ask_all(&reader, &images, options, &mut |_, _| ()).unwrap();
    let examples = show(&reader, &images, std::mem::take(&mut found.shows), options.examples).unwrap();
    (found, outcome, examples)
}

#[test]
fn every_picture_offers_what_the_model_answers() {
    let (found, outcome, examples) = found(Options { changes: 4, examples: 2 });
    let (_, images) = gallery();
    assert_eq!((outcome.images, outcome.offering, outcome.first), (12, 12, outcome.texts));
    for (image, changes) in images.iter().zip(&found.changes) {
        assert!((3..=4).contains(&changes.len()), "{}: {changes:?}", image.title);
        let own: Vec<&str> = image.title.split(' ').collect();
        assert!(changes.iter().all(|text| !own.contains(&text.as_str())), "{}: {changes:?}", image.title);
        assert!(!changes.contains(&"white".into()), "the model does not read it");
    }
    assert!((1..=2).contains(&examples.len()));
    for example in &examples {
        let (from, to) = (&example.from.title, &example.hits[0].image.title);
        assert!(from != to && example.hits.len() == images.len() - 1, "{example:?}");
        assert!(to.contains(example.text.trim_start_matches("a ")), "{example:?}");
    }
}

#[test]
fn what_words_alone_reach_is_measured_with_each_title_once() {
    let (reader, mut images) = gallery();
    images.push(images[0].clone());
    images[1].title = "no such thing".into();
    let mut reached = said(&reader, &images).unwrap();
    reached.sort_by(f32::total_cmp);
    assert_eq!(reached, [&[0.0][..], &[2.0; 11]].concat(), "two words of a title are found, and nothing of another");
    let scores = |count: usize| (0..count).map(|at| at as f32 / 1000.0).collect::<Vec<f32>>();
    assert_eq!(closeness(scores(200), scores(200), scores(200)).unwrap().words, Some(0.01));
    assert_eq!(closeness(scores(200), scores(200), scores(99)).unwrap().words, None, "too few");
    assert!(closeness(scores(99), scores(200), scores(200)).is_none());
}

#[test]
fn nothing_is_asked_where_nothing_is_wanted() {
    let (found, outcome, examples) = found(Options { changes: 0, examples: 0 });
    assert_eq!(outcome, Outcome { images: 12, ..Outcome::default() });
    assert!(examples.is_empty() && found.changes.len() == 12 && found.changes.iter().all(Vec::is_empty));
}
