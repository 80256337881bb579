//! What is different between two images, in words: a modification text from two titles.

/// Words that lead a phrase: they go with what follows.
const LEADING: [&str; 14] =
    ["with", "without", "in", "on", "of", "behind", "over", "under", "at", "for", "from", "holding", "wearing", "and"];

/// Words for people, which take an article.
const PEOPLE: [&str; 8] = ["woman", "man", "person", "girl", "boy", "child", "baby", "adult"];

/// Most words of the part that differs.
const MOST: usize = 4;

/// Most letters of a text: it stands on a button.
const LONGEST: usize = 48;

/// How two titles differ. Earlier kinds say more with less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A mark behind the colon: "with dark skin tone".
    Mark,
    /// A word before what both are: "blue".
    Adjective,
    /// A phrase behind it: "with hearts".
    Phrase,
    /// Another end: "a firefighter".
    Noun,
    /// Another thing: "a tiger instead".
    Whole,
    /// A tag that the other has.
    Tag,
}

/// A title in parts: what it names, and the marks behind its colon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Title {
    head: Vec<String>,
    marks: Vec<String>,
}

/// What is known of an image in words.
#[derive(Clone, Debug, Default)]
pub struct About {
    title: Title,
    tags: Vec<String>,
}

impl About {
    /// From a title and tags. In a collection whose titles are `sentences`, a title's first letter is a capital for no reason
    /// of its own.
    pub fn new(title: &str, tags: &[String], sentences: bool) -> Self {
        let title = if sentences { uncapitalised(title) } else { title.to_owned() };
        let (head, marks) = title.split_once(": ").unwrap_or((&title, ""));
        let marks = marks.split(',').map(|mark| mark.trim().to_owned()).filter(|mark| !mark.is_empty()).collect();
        // A lone tag of several words is a list of keywords: no one of them is the difference.
        let keywords = matches!(tags, [lone] if lone.contains(' '));
        let short = |tag: &&String| !keywords && tag.split_whitespace().count() <= 2;
        Self {
            title: Title { head: head.split_whitespace().map(str::to_owned).collect(), marks },
            tags: tags.iter().filter(short).cloned().collect(),
        }
    }

    /// The words of the title's head, in lower case: what tells examples apart.
    pub fn subject(&self) -> impl Iterator<Item = String> {
        self.title.head.iter().map(|word| word.to_lowercase()).filter(|word| !LEADING.contains(&word.as_str()))
    }

    /// The text that makes this image into `to`; none where no few words do.
    pub fn change(&self, to: &Self) -> Option<(Kind, String)> {
        let worth =
            |(_, text): &(Kind, String)| text.chars().count() <= LONGEST && text.split_whitespace().any(is_word);
        self.title.change(&to.title).filter(worth).or_else(|| self.tag(to)).filter(worth)
    }

    /// A tag alone says what differs only between images that share another one: those are the same kind of thing. Between others
    /// it is one difference of many, and "this medal, but sports" asks for nothing.
    fn tag(&self, to: &Self) -> Option<(Kind, String)> {
        if !self.tags.iter().any(|own| to.tags.iter().any(|tag| same(own, tag))) {
            return None;
        }
        let mut fresh = to.tags.iter().filter(|tag| !self.tags.iter().any(|own| same(own, tag)));
        let (tag, more) = (fresh.next()?, fresh.next());
        more.is_none().then(|| (Kind::Tag, tag.clone()))
    }
}

impl Title {
    fn change(&self, to: &Self) -> Option<(Kind, String)> {
        match equal(&self.head, &to.head) {
            true => self.mark(to),
            false if equal(&self.marks, &to.marks) => self.head(to),
            false => None,
        }
    }

    /// Other marks of the same thing.
    fn mark(&self, to: &Self) -> Option<(Kind, String)> {
        let lacks = |marks: &[String], mark: &&String| !marks.iter().any(|own| same(own, mark));
        let fresh: Vec<&String> = to.marks.iter().filter(|mark| lacks(&self.marks, mark)).collect();
        let gone = self.marks.iter().filter(|mark| lacks(&to.marks, mark)).count();
        if fresh.is_empty() || fresh.len() > 2 || gone > fresh.len() {
            return None;
        }
        let named = fresh.iter().any(|mark| mark.starts_with(char::is_uppercase));
        let said: Vec<String> = fresh.into_iter().map(|mark| person(mark).unwrap_or_else(|| mark.clone())).collect();
        let said = said.join(" and ");
        Some((Kind::Mark, if named { said } else { format!("with {said}") }))
    }

    /// Another thing, or the same one in other words.
    fn head(&self, to: &Self) -> Option<(Kind, String)> {
        let (a, b) = (&self.head, &to.head);
        let most = a.len().min(b.len());
        let before = (0..most).take_while(|i| same(&a[*i], &b[*i])).count();
        let behind = (0..most - before).take_while(|i| same(&a[a.len() - 1 - i], &b[b.len() - 1 - i])).count();
        let (gone, fresh) = (&a[before..a.len() - behind], &b[before..b.len() - behind]);
        let shared = a[..before].iter().chain(&a[a.len() - behind..]).any(|word| !is_leading(word));
        if fresh.is_empty() {
            let without = gone.first().is_some_and(|word| same(word, "with")) && gone.len() > 1;
            return without.then(|| (Kind::Phrase, format!("without {}", gone[1..].join(" "))));
        }
        if fresh.len() > MOST {
            return None;
        }
        if !shared {
            let few = b.len() < MOST;
            return few.then(|| (Kind::Whole, format!("{} instead", with_article(&b.join(" ")))));
        }
        // "with hearts" of "face with hearts": the word before the difference leads it.
        let led = behind == 0 && before > 0 && is_leading(&b[before - 1]);
        let from = if led { before - 1 } else { before };
        let words = b[from..b.len() - behind].join(" ");
        Some(match () {
            () if led || is_leading(&fresh[0]) => (Kind::Phrase, words),
            () if behind > 0 => (Kind::Adjective, person(&words).unwrap_or(words)),
            // "rowing boat" of "woman rowing boat" is what she does, and no thing.
            () if is_doing(&fresh[0]) => (Kind::Noun, words),
            () => (Kind::Noun, with_article(&words)),
        })
    }
}

/// Whether a collection's titles begin with capitals as sentences do.
pub fn are_sentences<'a>(titles: impl Iterator<Item = &'a str>) -> bool {
    let (mut capitals, mut all) = (0, 0);
    for first in titles.filter_map(|title| title.chars().find(|c| c.is_alphabetic())) {
        all += 1;
        capitals += usize::from(first.is_uppercase());
    }
    capitals * 5 > all * 4
}

/// The same with a small first letter, unless the first word is an abbreviation.
fn uncapitalised(title: &str) -> String {
    let mut letters = title.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => title.to_owned(),
    }
}

fn same(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

fn equal(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn is_leading(word: &str) -> bool {
    LEADING.iter().any(|leading| same(leading, word))
}

/// Whether a word says what is done, "swimming"; a ring and a king are things.
fn is_doing(word: &str) -> bool {
    let stem = word.strip_suffix("ing").unwrap_or_default();
    stem.contains(['a', 'e', 'i', 'o', 'u', 'y'])
}

/// A word that says something: two letters, and no number.
fn is_word(word: &str) -> bool {
    word.chars().filter(|c| c.is_alphabetic()).count() > 1
}

/// "a man" where the words are a word for people.
fn person(words: &str) -> Option<String> {
    PEOPLE.iter().any(|one| same(one, words)).then(|| format!("a {words}"))
}

/// The words with the article that they take, if they take one.
fn with_article(words: &str) -> String {
    let lower = words.to_lowercase();
    let last = lower.rsplit(' ').next().unwrap_or_default();
    let many = last.ends_with('s') && !["ss", "us", "is"].iter().any(|end| last.ends_with(end));
    let bare = many || is_doing(last) || !lower.starts_with(|c: char| c.is_alphabetic());
    if bare
        || words.starts_with(char::is_uppercase)
        || ["a ", "an ", "the ", "two ", "three "].iter().any(|one| lower.starts_with(one))
    {
        return words.to_owned();
    }
    let vowel = lower.starts_with(['a', 'e', 'i', 'o', 'u']) && !lower.starts_with("uni") && !lower.starts_with("eu");
    format!("{} {words}", if vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(from: &str, to: &str) -> Option<(Kind, String)> {
        About::new(from, &[], false).change(&About::new(to, &[], false))
    }

    #[test]
    fn titles_differ_in_few_words() {
        for (from, to, kind, text) in [
            ("woman: dark skin tone", "woman: light skin tone", Kind::Mark, "with light skin tone"),
            ("woman", "woman: dark skin tone, curly hair", Kind::Mark, "with dark skin tone and curly hair"),
            ("flag: Chad", "flag: Peru", Kind::Mark, "Peru"),
            ("kiss: man, man", "kiss: woman, man", Kind::Mark, "with a woman"),
            ("red heart", "blue heart", Kind::Adjective, "blue"),
            ("woman judge: dark skin tone", "man judge: dark skin tone", Kind::Adjective, "a man"),
            ("smiling face with heart-eyes", "smiling face with hearts", Kind::Phrase, "with hearts"),
            ("bell with slash", "bell", Kind::Phrase, "without slash"),
            ("bell", "bell with slash", Kind::Phrase, "with slash"),
            ("sun behind cloud", "sun behind large cloud", Kind::Adjective, "large"),
            ("woman judge", "woman astronaut", Kind::Noun, "an astronaut"),
            ("person golfing", "person swimming", Kind::Noun, "swimming"),
            ("woman judge", "woman rowing boat", Kind::Noun, "rowing boat"),
            ("man shrugging", "man gesturing NO", Kind::Noun, "gesturing NO"),
            ("gold bracelet", "gold ring", Kind::Noun, "a ring"),
            ("cat", "tiger", Kind::Whole, "a tiger instead"),
            ("cat", "glasses", Kind::Whole, "glasses instead"),
        ] {
            assert_eq!(change(from, to), Some((kind, text.to_owned())), "{from} → {to}");
        }
        for (from, to) in [
            ("woman: dark skin tone", "woman"),
            ("woman: dark skin tone, red hair", "woman: light skin tone"),
            ("woman judge: dark skin tone", "man astronaut: light skin tone"),
            ("photo 01", "photo 02"),
            ("cat", "a very long title of five words"),
            ("red heart", "heart"),
            ("cat", "cat"),
        ] {
            assert_eq!(change(from, to), None, "{from} → {to}");
        }
    }

    #[test]
    fn capitals_of_sentences_are_none_of_their_words() {
        assert!(are_sentences(["Red dress", "Blue dress", "Hats"].into_iter()));
        assert!(!are_sentences(["red dress", "blue dress", "Paris"].into_iter()));
        let [red, blue, tv] = ["Red dress", "Blue dress", "TV set"].map(|title| About::new(title, &[], true));
        assert_eq!(red.change(&blue), Some((Kind::Adjective, "blue".into())));
        assert_eq!(red.change(&tv), Some((Kind::Whole, "TV set instead".into())));
    }

    #[test]
    fn tags_tell_where_titles_do_not() {
        let about = |title: &str, tags: &[&str]| {
            About::new(title, &tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>(), true)
        };
        let (from, to) = (about("Photo 01", &["dresses"]), about("Photo 02", &["dresses", "cotton"]));
        assert_eq!(from.change(&to), Some((Kind::Tag, "cotton".into())));
        assert_eq!(to.change(&from), None);
        assert_eq!(from.change(&about("Photo 03", &["cotton", "wool"])), None, "two things at once");
        assert_eq!(from.change(&about("Photo 04", &["gardener rancher"])), None, "keywords");
        assert_eq!(from.change(&about("Photo 05", &["cotton"])), None, "nothing that both are");
        let medals = [about("1st place medal", &["1st first gold medal place"]), about("Running shirt", &["sports"])];
        let whole = (Kind::Whole, "a running shirt instead".into());
        assert_eq!(medals[0].change(&medals[1]), Some(whole), "not: this medal, but sports");
    }
}
