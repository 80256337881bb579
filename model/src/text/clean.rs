//! Caption cleaning as LAVIS's `blip_caption` processor does it (`lavis/processors/blip_processors.py`).

/// Words that survive; upstream's `max_words`.
pub const MAX_WORDS: usize = 50;

/// Lowercases, turns `. ! " ( ) * # : ; ~` into spaces, collapses runs of white space, strips, and keeps the first
/// [`MAX_WORDS`] words.
///
/// It follows upstream's regular expressions to the letter: only runs of *two or more* white-space characters become
/// a space, so a single tab stays a tab (the tokeniser splits on it all the same), and words are what spaces part.
pub fn clean_caption(caption: &str) -> String {
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
    match stripped.match_indices(' ').nth(MAX_WORDS - 1) {
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
            assert_eq!(clean_caption(input), expected, "{input:?}");
        }
    }

    #[test]
    fn keeps_fifty_words() {
        let exactly = vec!["w"; 50].join(" ");
        assert_eq!(clean_caption(&exactly), exactly);
        let more = vec!["w"; 51].join(" ");
        assert_eq!(clean_caption(&more), exactly);
        assert_eq!(clean_caption(&"red . ".repeat(5000)).split(' ').count(), 50);
    }
}
