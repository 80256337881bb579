//! good4cir's answers: objects with descriptors, and differences, both as JSON.

use super::answer_json;
use super::prompts::Form;
use serde_json::{Map, Value};

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Objects, "name: descriptor, descriptor", or differences.
    pub lines: Vec<String>,
    /// Whether its JSON was broken, and mended.
    pub mended: bool,
}

/// Reads an answer of `form`, which is [`Form::Objects`] or [`Form::Differences`]. What stands there twice counts once.
///
/// # Errors
/// What is wrong with it, for the model that wrote it.
pub fn read(answer: &str, form: Form) -> Result<Said, String> {
    let found = answer_json::find(answer)?;
    let lines = match form {
        Form::Objects => objects(&found.value),
        _ => differences(&found.value),
    };
    let mut lines = lines.ok_or_else(|| expected(form).to_owned())?;
    let mut known = std::collections::HashSet::new();
    lines.retain(|line| !line.is_empty() && known.insert(line.to_lowercase()));
    Ok(Said { lines, mended: found.mended })
}

fn expected(form: Form) -> &'static str {
    match form {
        Form::Objects => "it is no list of objects, each with a name and a list of descriptors",
        _ => "it is no list of texts",
    }
}

/// One line of a value's text: white space is one blank.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `{"lamp": ["red"]}`, or a list of `{"object": "lamp", "descriptors": ["red"]}` or of `{"lamp": ["red"]}`, or an object around one.
fn objects(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(all) => all.iter().map(object).collect::<Option<Vec<_>>>().map(|lines| lines.concat()),
        Value::Object(fields) => match only(fields) {
            Some(inner @ Value::Object(_)) => objects(inner),
            Some(inner @ Value::Array(all)) if all.is_empty() || all.iter().any(Value::is_object) => objects(inner),
            _ => object(value),
        },
        _ => None,
    }
}

/// The value of an object that has one field.
fn only(fields: &Map<String, Value>) -> Option<&Value> {
    fields.values().next().filter(|_| fields.len() == 1)
}

/// The lines of an element: one, or one for each field that is a name.
fn object(value: &Value) -> Option<Vec<String>> {
    let fields = value.as_object()?;
    let names: Vec<&str> = fields.values().filter_map(Value::as_str).collect();
    let lists: Vec<&Value> = fields.values().filter(|value| value.is_array()).collect();
    match (names.as_slice(), lists.as_slice()) {
        ([name], [list]) if fields.len() == 2 => Some(vec![described(name, list)?]),
        _ => fields.iter().map(|(name, list)| described(name, list)).collect(),
    }
}

/// "lamp: red, tall".
fn described(name: &str, descriptors: &Value) -> Option<String> {
    let descriptors: Vec<String> = match descriptors {
        Value::String(one) => vec![line(one)],
        Value::Array(all) => all.iter().map(|one| one.as_str().map(line)).collect::<Option<_>>()?,
        _ => return None,
    };
    let descriptors: Vec<String> = descriptors.into_iter().filter(|one| !one.is_empty()).collect();
    let name = line(name);
    match (name.is_empty(), descriptors.is_empty()) {
        (true, _) => Some(String::new()),
        (false, true) => Some(name),
        (false, false) => Some(format!("{name}: {}", descriptors.join(", "))),
    }
}

/// A list of texts, or of objects with one text each, or an object around one.
fn differences(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(all) => all.iter().map(difference).collect(),
        Value::Object(fields) => only(fields).filter(|inner| inner.is_array()).and_then(differences),
        _ => None,
    }
}

fn difference(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(line(text)),
        Value::Object(fields) => only(fields)?.as_str().map(line),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(answer: &str, form: Form) -> Result<Vec<String>, String> {
        read(answer, form).map(|said| said.lines)
    }

    #[test]
    fn objects_are_read_in_the_spellings_that_models_use() {
        let expected = vec!["lamp: red, tall".to_owned(), "bed".to_owned()];
        for answer in [
            "[{\"object\": \"lamp\", \"descriptors\": [\"red\", \"tall\"]}, {\"object\": \"bed\", \"descriptors\": []}]",
            "{\"objects\": [{\"name\": \"lamp\", \"descriptors\": [\"red\", \" tall\\n\"]}, {\"bed\": []}]}",
            "[{\"lamp\": [\"red\", \"tall\"]}, {\"bed\": []}, {\"Bed\": [\"\"]}]",
        ] {
            assert_eq!(lines(answer, Form::Objects), Ok(expected.clone()), "{answer}");
        }
        assert_eq!(lines("{\"lamp\": [\"red\", \"tall\"]}", Form::Objects), Ok(expected[..1].to_vec()));
        assert_eq!(lines("{\"a\": \"red\", \"b\": \"tall\"}", Form::Objects).unwrap(), ["a: red", "b: tall"]);
        for answer in ["[]", "{}", "{\"objects\": []}"] {
            assert_eq!(lines(answer, Form::Objects), Ok(vec![]), "{answer}");
        }
        for answer in ["[\"lamp\"]", "[{\"lamp\": 3}]", "[[]]", "[{\"lamp\": [{}]}]"] {
            assert!(lines(answer, Form::Objects).unwrap_err().contains("list of objects"), "{answer}");
        }
    }

    #[test]
    fn differences_are_texts() {
        for answer in [
            "[\"add a lamp\", \"remove  the bed\", \"Add a lamp\"]",
            "{\"differences\": [\"add a lamp\", \"remove the bed\"]}",
            "[{\"difference\": \"add a lamp\"}, {\"difference\": \"remove the bed\"}]",
        ] {
            assert_eq!(lines(answer, Form::Differences).unwrap(), ["add a lamp", "remove the bed"], "{answer}");
        }
        for answer in ["[1]", "{\"a\": \"b\"}", "[[\"add\"]]", "{\"a\": [], \"b\": []}"] {
            assert!(lines(answer, Form::Differences).unwrap_err().contains("list of texts"), "{answer}");
        }
    }
}
