//! JSON in an answer: what models set around it is taken off, and what they break most often is mended once, by rules.

use serde_json::{Deserializer, Value};

/// Longest answer that is looked at, in bytes.
pub const MOST: usize = 1 << 20;

/// JSON that an answer holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The value; several that follow one another are a list.
    pub value: Value,
    /// Whether it was broken, and mended.
    pub mended: bool,
}

/// The JSON of an answer, from its first bracket on.
///
/// # Errors
/// What is wrong with it, for the model that wrote it.
pub fn find(answer: &str) -> Result<Found, String> {
    let Some(from) = answer.find(['[', '{']) else { return Err("it has no JSON".into()) };
    let text = answer.get(from..).unwrap_or_default();
    let problem = match values(text) {
        Ok(value) => return Ok(Found { value, mended: false }),
        Err(problem) => problem,
    };
    let mended = mend(text);
    let mut candidates = [mended.closed(), mended.shortened()];
    if mended.within {
        // Half a word is worse than none.
        candidates.reverse();
    }
    let value = candidates.iter().find_map(|text| values(text).ok());
    value.map(|value| Found { value, mended: true }).ok_or(problem)
}

/// The values at the beginning of a text, which may go on with something else: a closing remark.
fn values(text: &str) -> Result<Value, String> {
    let (mut found, mut problem) = (Vec::new(), None);
    for value in Deserializer::from_str(text).into_iter::<Value>() {
        match value {
            Ok(value @ (Value::Array(_) | Value::Object(_))) => found.push(value),
            Ok(_) => break,
            Err(e) => {
                problem = Some(e.to_string());
                break;
            }
        }
    }
    match found.len() {
        0 => Err(problem.unwrap_or_else(|| "it has neither a list nor an object".into())),
        1 => Ok(found.remove(0)),
        _ => Ok(Value::Array(found)),
    }
}

/// A text on the way to JSON.
struct Mended {
    text: String,
    /// Brackets that are open at its end.
    open: Vec<char>,
    /// Whether it ends within a string.
    within: bool,
    /// Its length up to the last comma or opening bracket.
    last: usize,
    /// Brackets that were closed behind that place, the last one last.
    closed: Vec<char>,
}

impl Mended {
    /// With what is open closed.
    fn closed(&self) -> String {
        let quote = if self.within { "\"" } else { "" };
        format!("{}{quote}{}", self.text.trim_end().trim_end_matches(','), closing(&self.open))
    }

    /// Without what stands behind the last comma: an answer that ended at its limit of tokens breaks off there.
    fn shortened(&self) -> String {
        let open: Vec<char> = self.open.iter().chain(self.closed.iter().rev()).copied().collect();
        format!("{}{}", self.text.get(..self.last).unwrap_or_default(), closing(&open))
    }

    /// Notes a place where an answer that breaks off may be cut.
    fn mark(&mut self) {
        self.last = self.text.len();
        self.closed.clear();
    }
}

fn closing(open: &[char]) -> String {
    open.iter().rev().map(|bracket| if *bracket == '[' { ']' } else { '}' }).collect()
}

/// Straight quotes for typographic and single ones, line ends within strings as white space, no comma before a closing bracket.
fn mend(text: &str) -> Mended {
    let text_of = String::with_capacity(text.len());
    let mut out = Mended { text: text_of, open: Vec::new(), within: false, last: 0, closed: Vec::new() };
    // What closes the string that is open.
    let (mut close, mut escaped, mut rest) = (None, false, text.chars());
    while let Some(c) = rest.next() {
        match close {
            Some(_) if escaped => {
                escaped = false;
                // JSON has no \'.
                if c == '\'' {
                    out.text.pop();
                }
                out.text.push(c);
            }
            Some(quote) if c == quote && (quote != '\'' || ends_string(rest.as_str())) => {
                out.text.push('"');
                close = None;
            }
            Some(_) => {
                escaped = c == '\\';
                match c {
                    '"' => out.text.push_str("\\\""),
                    c if c.is_control() => out.text.push(' '),
                    c => out.text.push(c),
                }
            }
            None => match c {
                '"' | '“' | '”' | '\'' => {
                    close = Some(if matches!(c, '“' | '”') { '”' } else { c });
                    out.text.push('"');
                }
                ',' if rest.as_str().trim_start().starts_with([']', '}', ',']) => {}
                '[' | '{' => {
                    out.text.push(c);
                    out.open.push(c);
                    out.mark();
                }
                ']' | '}' => {
                    out.text.push(c);
                    out.closed.extend(out.open.pop());
                    if out.open.is_empty() {
                        break;
                    }
                }
                ',' => {
                    out.mark();
                    out.text.push(c);
                }
                c => out.text.push(c),
            },
        }
    }
    out.within = close.is_some();
    out
}

/// Whether a single quote before `rest` closes its string: an apostrophe does not stand before a sign of JSON.
fn ends_string(rest: &str) -> bool {
    rest.trim_start().starts_with([',', ':', ']', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_models_set_around_json_is_taken_off() {
        let value = json!([{"object": "lamp", "descriptors": ["red", "tall"]}]);
        for answer in [
            value.to_string(),
            format!("Here it is:\n```json\n{value}\n```\nI hope that helps."),
            json!({"object": "lamp", "descriptors": ["red", "tall"]}).to_string(),
        ] {
            let found = find(&answer).unwrap();
            assert!(!found.mended && (found.value == value || found.value == value[0]), "{answer}");
        }
        let lines = "{\"a\": [\"x\"]}\n{\"b\": [\"y\"]}\nDone.";
        assert_eq!(find(lines).unwrap(), Found { value: json!([{"a": ["x"]}, {"b": ["y"]}]), mended: false });
    }

    #[test]
    fn what_models_break_is_mended() {
        for (answer, expected) in [
            ("[\"a\", \"b\",]", json!(["a", "b"])),
            ("{\"a\": [\"x\", ], }", json!({"a": ["x"]})),
            ("[“a”, “b \"c\"”]", json!(["a", "b \"c\""])),
            ("['the dog's bed', 'b']", json!(["the dog's bed", "b"])),
            ("['it\\'s red']", json!(["it's red"])),
            ("[\"two\nlines\"]", json!(["two lines"])),
            ("[\"a\", \"b\"", json!(["a", "b"])),
            ("[\"a\", \"b\", ", json!(["a", "b"])),
            ("{\"a\": [\"x\", \"y\"], \"b\": [\"z", json!({"a": ["x", "y"], "b": []})),
            ("[{\"o\": \"a\"}, {\"o\": ", json!([{"o": "a"}])),
        ] {
            assert_eq!(find(answer).map(|found| (found.value, found.mended)), Ok((expected, true)), "{answer}");
        }
    }

    #[test]
    fn what_is_no_json_is_said_and_long_answers_are_quick() {
        assert!(find("a red lamp").unwrap_err().contains("no JSON"));
        assert!(find("[a, b]").unwrap_err().contains("line 1"));
        let started = std::time::Instant::now();
        for part in ["[", "{", "[\"a\", ", "{\"a\": [", "'", "[,", "\"", "[1 ", ", ", "\\"] {
            let _ = find(&format!("[{}", part.repeat(MOST / part.len())));
        }
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
