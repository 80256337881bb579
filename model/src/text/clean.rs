//! Caption cleaning as LAVIS's `blip_caption` processor does it (`lavis/processors/blip_processors.py`).

/// The fewest words that survive; upstream's `max_words`, for texts of 32 tokens.
const MAX_WORDS: usize = 50;

/// The most words that are read of a text of `length` tokens.
pub fn max_words(length: usize) -> usize {
    length.max(MAX_WORDS)
}

/// Lowercases, turns `. ! " ( ) * # : ; ~` into spaces, collapses runs of white space, strips, and keeps the first 50 words: or
/// as many as a text of `length` tokens has room for, where those are more (a word is a token at least).
///
/// It follows upstream's regular expressions to the letter: only runs of *two or more* white-space characters become
/// a space, so a single tab stays a tab (the tokeniser splits on it all the same), and words are what spaces part.
pub fn clean_caption(caption: &str, length: usize) -> String {
    let lower = caption.to_lowercase();
    let mut out = String::with_capacity(lower.len());
    // The white-space character that began the current run, and whether a second one followed.
    let mut run: Option<(char, bool)> = None;
    for c in lower.chars() {
        let c = if matches!(c, '.' | '!' | '"' | '(' | ')' | '*' | '#' | ':' | ';' | '~') { ' ' } else { c };
        if is_python_space(c) {
            run = Some(run.map_or((c, false), |(first, _)| (first, true)));
            continue;
        }
        push_run(&mut out, run.take());
        out.push(c);
    }
    push_run(&mut out, run);
    let stripped = out.trim_end_matches('\n').trim_matches(' ');
    match stripped.match_indices(' ').nth(max_words(length) - 1) {
        Some((end, _)) => stripped.get(..end).unwrap_or(stripped).to_owned(),
        None => stripped.to_owned(),
    }
}

fn push_run(out: &mut String, run: Option<(char, bool)>) {
    match run {
        Some((_, true)) => out.push(' '),
        Some((c, false)) => out.push(c),
        None => {}
    }
}

/// Python's `\s` on `str`: Unicode white space and the four ASCII separators, which Rust leaves out.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values computed with LAVIS's own `pre_caption`.
    #[test]
    fn follows_lavis() {
        for (input, expected) in [
            ("", ""),
            ("   ", ""),
            ("...!!!", ""),
            ("Is the SAME; but: has (long) sleeves!", "is the same but has long sleeves"),
            ("a.b.c", "a b c"),
            ("it's 50% \"off\"~", "it's 50% off"),
            ("a\tb", "a\tb"),
            ("a\t b", "a b"),
            ("a\n\nb\n", "a b"),
            ("x\n", "x"),
            ("x\n ", "x"),
            ("\nx", "\nx"),
            ("ΣΟΦΟΣ", "σοφος"),
            ("İ", "i\u{307}"),
            ("a\u{1c}\u{1d}b", "a b"),
            ("a\u{200b}b", "a\u{200b}b"),
        ] {
            assert_eq!(clean_caption(input, 32), expected, "{input:?}");
        }
    }

    #[test]
    fn keeps_fifty_words_or_as_many_as_the_text_length_has_room_for() {
        let exactly = vec!["w"; 50].join(" ");
        assert_eq!(clean_caption(&exactly, 32), exactly);
        let more = vec!["w"; 51].join(" ");
        assert_eq!(clean_caption(&more, 32), exactly);
        for (length, kept) in [(8, 50), (50, 50), (51, 51), (128, 128)] {
            assert_eq!(clean_caption(&"red . ".repeat(5000), length).split(' ').count(), kept, "{length}");
        }
    }
}
