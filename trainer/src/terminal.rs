//! Text that is shown to a terminal: names, titles and texts come from files, and must not steer it or forge a line.

/// Characters that steer a terminal, or make it show something else than what is there: control codes, line and paragraph
/// separators, and marks that turn the direction of writing.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn shown(text: &str, kept: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && !kept.contains(&c) {
            // As JSON writes them, so that an answer in JSON stays what it is.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Text of several lines: line breaks and tabs stay, everything else that steers a terminal becomes visible (`\u001b`).
pub fn text(text: &str) -> String {
    shown(text, &['\n', '\t'])
}

/// Text within a line, such as a name or a title: line breaks and tabs become visible too.
pub fn line(text: &str) -> String {
    shown(text, &[])
}

/// A message: what it says on further lines is set in, so that no name in it begins a line.
pub fn message(message: &str) -> String {
    text(message).trim_end().replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        let forged = "hat\u{1b}[2K\r\n   1  0.999  Forged\t[x]\u{9b}31m\u{202e}gnp.\u{7f}";
        assert_eq!(
            line(forged),
            "hat\\u001b[2K\\u000d\\u000a   1  0.999  Forged\\u0009[x]\\u009b31m\\u202egnp.\\u007f"
        );
        assert_eq!(text("a\tb\nc\u{8}"), "a\tb\nc\\u0008");
        assert_eq!(message("x.json: broken\nthisbut: forged\n"), "x.json: broken\n  thisbut: forged");
        for plain in ["Béret 帽子 🧢", "a’b — “c”", "لكن"] {
            assert_eq!((text(plain), line(plain)), (plain.to_owned(), plain.to_owned()));
        }
        for c in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| c.is_control()) {
            assert!(!line(&c.to_string()).chars().any(char::is_control), "{:x}", u32::from(c));
        }
        // JSON that holds such characters means the same afterwards.
        let json = serde_json::to_string(&[forged]).unwrap();
        assert_eq!(serde_json::from_str::<Vec<String>>(&text(&json)).unwrap(), [forged]);
    }
}
