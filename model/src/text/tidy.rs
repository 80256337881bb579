//! A text as CLIP's tokenizer saw its training texts: OpenAI's `basic_clean` and `whitespace_clean`, then lower case.
//!
//! OpenAI's first step is `ftfy.fix_text`. All of it is here but for its search for text that was decoded with the wrong
//! encoding ("sÃ³" for "só"): a text that someone types has no such accident behind it. Of HTML 5's names, those of
//! HTML 4 are known.

use super::clip_tables::{ENTITIES, WIDTHS};
use unicode_normalization::UnicodeNormalization;

/// What Windows-1252 has at 0x80 to 0x9f; HTML and ftfy read C1 control characters so. 0 stands for "nothing there".
const C1: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0, 0x17d, 0, 0,
    0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0, 0x17e, 0x178,
];

/// First of the characters that [`WIDTHS`] is about.
const FIRST_WIDE: u32 = 0xff01;
/// Longest name of a character without a semicolon that is looked for, in bytes (Python's `html.unescape`).
const LONGEST_NAME: usize = 32;

/// The text cleaned, in lower case, its words parted by single spaces.
pub(super) fn tidy(text: &str) -> String {
    let fixed = fix(text);
    let plain = unescape(&unescape(&fixed));
    let words: Vec<&str> = plain.split(is_space).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_lowercase()
}

/// Python's white space: Unicode's and the four ASCII separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `ftfy.fix_text`, line by line. From the first line with a `<` on, entities stay: the text is HTML, and taking its markup apart
/// is not ftfy's.
fn fix(text: &str) -> String {
    let mut plain = true;
    let fixed = text.split_inclusive('\n').map(|line| {
        plain = plain && !line.contains('<');
        fix_line(line, plain)
    });
    fixed.collect()
}

fn fix_line(line: &str, entities: bool) -> String {
    let mut line = line.to_owned();
    // Each round that changes anything but the last shortens an escape or ends in normal form.
    loop {
        let unescaped = if entities { unescape_whole(&line) } else { line.clone() };
        let spelled: String = unescaped.chars().flat_map(respell).collect();
        let fixed: String = without_escapes(&spelled).chars().filter(|c| !is_control(*c)).nfc().collect();
        if fixed == line {
            return fixed;
        }
        line = fixed;
    }
}

/// ftfy's `fix_c1_controls`, `fix_latin_ligatures`, `fix_character_width` and `uncurl_quotes`, for one character.
fn respell(c: char) -> impl Iterator<Item = char> {
    let c = match c {
        '\u{80}'..='\u{9f}' => windows(c as u32).unwrap_or(c),
        c => c,
    };
    let pair = match c {
        'Ĳ' => ['I', 'J'],
        'ĳ' => ['i', 'j'],
        'ŉ' => ['\'', 'n'],
        'Ǳ' => ['D', 'Z'],
        'ǲ' => ['D', 'z'],
        'ǳ' => ['d', 'z'],
        'Ǆ' => ['D', 'Ž'],
        'ǅ' => ['D', 'ž'],
        'ǆ' => ['d', 'ž'],
        'Ǉ' => ['L', 'J'],
        'ǈ' => ['L', 'j'],
        'ǉ' => ['l', 'j'],
        'Ǌ' => ['N', 'J'],
        'ǋ' => ['N', 'j'],
        'ǌ' => ['n', 'j'],
        'ﬀ' | 'ﬃ' | 'ﬄ' => ['f', 'f'],
        'ﬁ' => ['f', 'i'],
        'ﬂ' => ['f', 'l'],
        'ﬅ' => ['ſ', 't'],
        'ﬆ' => ['s', 't'],
        '\u{ffe3}' => [' ', '\u{304}'],
        '\u{3000}' => [' ', '\0'],
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => ['\'', '\0'],
        '\u{201c}'..='\u{201f}' => ['"', '\0'],
        c => [usual_width(c), '\0'],
    };
    let third = match c {
        'ﬃ' => 'i',
        'ﬄ' => 'l',
        _ => '\0',
    };
    // A NUL is a control character: the next step drops it.
    [pair[0], pair[1], third].into_iter().filter(|c| *c != '\0')
}

fn usual_width(c: char) -> char {
    let usual = (c as u32).checked_sub(FIRST_WIDE).and_then(|at| WIDTHS.get(at as usize)).filter(|usual| **usual != 0);
    usual.and_then(|usual| char::from_u32(u32::from(*usual))).unwrap_or(c)
}

fn windows(code: u32) -> Option<char> {
    let usual = code.checked_sub(0x80).and_then(|at| C1.get(at as usize)).filter(|usual| **usual != 0)?;
    char::from_u32(u32::from(*usual))
}

/// ftfy's `remove_control_chars`.
fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}')
}

/// ftfy's `remove_terminal_escapes`: `ESC [ digits and semicolons letter`.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = match end.strip_prefix(|c: char| c.is_ascii_alphabetic()) {
            Some(rest) => rest,
            None => {
                out.push_str("\u{1b}[");
                after
            }
        };
    }
    out.push_str(rest);
    out
}

/// ftfy's `unescape_html`: whole entities alone, those of lower case in upper case too.
fn unescape_whole(text: &str) -> String {
    replace(text, |rest| {
        let inside = rest.strip_prefix('#').unwrap_or(rest);
        let (name, after) = inside.split_once(';')?;
        if !(1..=24).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        if inside.len() < rest.len() {
            let (made, left) = numeric(inside)?;
            return (left.len() == after.len()).then_some((made, after));
        }
        let upper = || {
            let lower = name.to_ascii_lowercase();
            let folded = name.bytes().all(|b| !b.is_ascii_lowercase()) && legacy_prefix(name).is_none();
            entity(&lower).filter(|_| folded).map(|(made, _)| made.to_uppercase().collect::<String>())
        };
        let made = entity(name).map(|(made, _)| made.to_string()).or_else(upper)?;
        Some((made, after))
    })
}

/// Python's `html.unescape`.
fn unescape(text: &str) -> String {
    replace(text, |rest| {
        if let Some(inside) = rest.strip_prefix('#') {
            return numeric(inside);
        }
        let ends = |c: char| matches!(c, '\t' | '\n' | '\u{c}' | ' ' | '<' | '&' | '#' | ';');
        let end = rest.find(ends).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if let (Some((made, _)), Some(after)) = (entity(name), after.strip_prefix(';')) {
            return Some((made.to_string(), after));
        }
        let (made, known) = legacy_prefix(name)?;
        Some((made.to_string(), rest.get(known..)?))
    })
}

/// Replaces what follows each `&`, where `read` finds something there: what it stands for, and the rest of the text.
fn replace(text: &str, read: impl Fn(&str) -> Option<(String, &str)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        rest = match read(after) {
            Some((made, left)) => {
                out.push_str(&made);
                left
            }
            None => {
                out.push('&');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

/// The character of a name, and whether the name needs no semicolon.
fn entity(name: &str) -> Option<(char, bool)> {
    let at = ENTITIES.binary_search_by(|(known, ..)| (*known).cmp(name)).ok()?;
    let (_, code, legacy) = ENTITIES.get(at)?;
    Some((char::from_u32(*code)?, *legacy))
}

/// The longest beginning of `name` that needs no semicolon: its character and its bytes.
fn legacy_prefix(name: &str) -> Option<(char, usize)> {
    let longest = name.len().min(LONGEST_NAME);
    (2..=longest).rev().find_map(|end| match entity(name.get(..end)?) {
        Some((made, true)) => Some((made, end)),
        _ => None,
    })
}

/// The character of a number behind `&#`, and the text after it and its semicolon.
fn numeric(text: &str) -> Option<(String, &str)> {
    let hexadecimal = text.strip_prefix(['x', 'X']);
    let (digits, radix) = hexadecimal.map_or((text, 10), |digits| (digits, 16));
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (number, after) = digits.split_at(end);
    if number.is_empty() {
        return None;
    }
    let after = after.strip_prefix(';').unwrap_or(after);
    let code = u32::from_str_radix(number, radix).unwrap_or(u32::MAX);
    Some((numbered(code).map(String::from).unwrap_or_default(), after))
}

/// What Python's `html` reads a number as; nothing for the numbers that HTML forbids.
fn numbered(code: u32) -> Option<char> {
    match code {
        0 | 0xd800..=0xdfff | 0x11_0000.. => Some('\u{fffd}'),
        0x80..=0x9f => windows(code).or(char::from_u32(code)),
        0x1..=0x8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef => None,
        code if code & 0xfffe == 0xfffe => None,
        code => char::from_u32(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values computed with OpenAI's own functions.
    #[test]
    fn follows_openai() {
        for (text, expected) in [
            ("", ""),
            (" \t\r\n ", ""),
            ("A  red\u{3000}DRESS ", "a red dress"),
            ("It’s “so”", "it's \"so\""),
            ("&amp;amp;lt;", "<"),
            ("a<b &rsquo;", "a<b ’"),
            ("P&EACUTE;REZ &copy2020 &notit;", "pérez ©2020 ¬it;"),
            ("&#128;&#x150;&#0;&#xD800;&#31;x", "€ő\u{fffd}\u{fffd}x"),
            ("AT&T R&D &; &#; &#x;", "at&t r&d &; &#; &#x;"),
            ("\u{1b}[1;31mred\u{1b}[0m \u{1b}[", "red ["),
            ("e\u{301} ﬃ ＡＢ ｶ\u{ff9e}", "é ffi ab ガ"),
        ] {
            assert_eq!(tidy(text), expected, "{text:?}");
        }
    }

    #[test]
    fn nested_escapes_end() {
        let started = std::time::Instant::now();
        let text = format!("&{}lt;", "amp;".repeat(500));
        assert_eq!(tidy(&text), "<");
        assert_eq!(tidy(&"&#x26;".repeat(300)), "&".repeat(300));
        assert_eq!(tidy(&"&".repeat(2000)), "&".repeat(2000));
        assert!(started.elapsed().as_millis() < 1000, "{:?}", started.elapsed());
    }
}
