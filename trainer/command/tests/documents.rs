//! The documents: every relative link leads somewhere, and every `thisbut` line in a code block is one that the command
//! understands.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Folders with documents, from the checkout's root.
const FOLDERS: [&str; 6] = ["docs", "bench", "recipes", "www", "tests/fuzz", "tests/golden"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Every document: its path from the root, and its text.
fn documents() -> BTreeMap<PathBuf, String> {
    let root = root();
    let mut found = BTreeMap::new();
    collect(&root, Path::new(""), false, &mut found);
    FOLDERS.iter().for_each(|folder| collect(&root, Path::new(folder), true, &mut found));
    assert!(found.contains_key(Path::new("README.md")) && found.len() > 20, "{:?}", found.keys());
    found
}

/// Documents in `folder`, and with `deep` in the folders inside it but for those that tools make.
fn collect(root: &Path, folder: &Path, deep: bool, found: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = folder.join(&name);
        let made = name.starts_with('.') || ["node_modules", "target", "corpus", "artifacts"].contains(&name.as_str());
        if entry.file_type().unwrap().is_dir() && deep && !made {
            collect(root, &path, deep, found);
        } else if name.ends_with(".md") {
            found.insert(path, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// Lines with their numbers from 1.
type Lines<'a> = Vec<(usize, &'a str)>;

/// A document's lines outside and inside its code blocks.
fn split(text: &str) -> (Lines<'_>, Lines<'_>) {
    let (mut prose, mut code, mut inside) = (Vec::new(), Vec::new(), false);
    for (at, line) in text.lines().enumerate() {
        match line.starts_with("```") {
            true => inside = !inside,
            false if inside => code.push((at + 1, line)),
            false => prose.push((at + 1, line)),
        }
    }
    (prose, code)
}

/// The targets of a line's links.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// The name by which a heading is linked to: as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> Vec<String> {
    let headings = split(text).0.into_iter().filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, line)| anchor(line.trim_start_matches('#').trim())).collect()
}

/// `link` from the document `from`, as a path from the root.
fn resolve(from: &Path, link: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in from.parent().unwrap().join(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{}: {link} leaves the repository", from.display()),
            other => path.push(other),
        }
    }
    path
}

#[test]
fn every_relative_link_leads_somewhere() {
    let (root, documents) = (root(), documents());
    let mut broken = Vec::new();
    for (document, text) in &documents {
        for (at, line) in split(text).0 {
            for link in links(line).filter(|link| !link.contains("://")) {
                let (path, heading) = link.split_once('#').unwrap_or((link, ""));
                let target = if path.is_empty() { document.clone() } else { resolve(document, path) };
                let known = documents.get(&target).map(|text| anchors(text));
                if !root.join(&target).exists()
                    || known.is_some_and(|a| !heading.is_empty() && !a.contains(&heading.into()))
                {
                    broken.push(format!("{}:{at}: {link}", document.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Words of a shell line: quotes and a comment at the end are understood, nothing is expanded.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            ('#', None) if word.is_none() => break,
            (' ', None) => words.extend(word.take()),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A command's arguments. `…` stands for an option's value, or for something left out.
fn arguments(command: Vec<String>) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    for word in command.into_iter().skip(1).filter(|word| !word.starts_with('$')) {
        match word.contains('…') {
            true if arguments.last().is_some_and(|last| last.starts_with("--")) => arguments.push("1".into()),
            true => {}
            false => arguments.push(word),
        }
    }
    arguments
}

/// Arguments of the `thisbut` commands in a document's code blocks, each with its line. `…` stands for what a reader puts
/// there: an option's value, or something left out.
fn commands(text: &str) -> Vec<(usize, Vec<String>)> {
    let (mut found, mut whole) = (Vec::new(), String::new());
    for (at, line) in split(text).1 {
        if let Some(begun) = line.strip_suffix('\\') {
            whole.push_str(begun);
            continue;
        }
        whole.push_str(line);
        for command in whole.split(" && ").map(words).filter(|words| words.first().is_some_and(|w| w == "thisbut")) {
            let arguments = arguments(command);
            found.push((at, arguments));
        }
        whole.clear();
    }
    found
}

/// The commands that stand inside a document's sentences, as [`commands`] gives those of its code blocks.
fn mentioned(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (at, line) in split(text).0 {
        let spans = line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("thisbut "));
        found.extend(spans.map(|span| (at, arguments(words(span)))));
    }
    found
}

#[test]
fn every_command_line_is_understood() {
    let (mut count, mut wrong) = (0, Vec::new());
    for (document, text) in documents() {
        for (at, arguments) in commands(&text).into_iter().chain(mentioned(&text)) {
            count += 1;
            // With --help at its end the command reads the arguments before it, complains about them, and does nothing.
            let out = Command::new(env!("CARGO_BIN_EXE_thisbut")).args(&arguments).arg("--help").output().unwrap();
            if !out.status.success() {
                let complaint = String::from_utf8_lossy(&out.stderr).lines().next().unwrap_or_default().to_owned();
                wrong.push(format!("{}:{at}: thisbut {}: {complaint}", document.display(), arguments.join(" ")));
            }
        }
    }
    assert!(count > 50, "only {count} command lines were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every Rust file under `folder`.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !["target", "node_modules", "thumbs"].contains(&name.as_str()) && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_tables_of_the_papers_name_tests_that_are_there() {
    let root = root();
    let mut code = Vec::new();
    ["model", "trainer", "tests"].iter().for_each(|folder| sources(&root.join(folder), &mut code));
    let table = |name: &str| std::fs::read_to_string(root.join("docs/reference").join(name)).unwrap();
    let tables = [table("papers.md"), table("papers-data.md")];
    let (mut named, mut lacking) = (0, Vec::new());
    for row in tables.iter().flat_map(|table| table.lines()).filter(|line| line.starts_with("| ")) {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap();
        for name in tests.split('`').skip(1).step_by(2) {
            named += 1;
            let test = format!("#[test]\nfn {name}(");
            let there = root.join(format!("tests/tests/{name}.rs")).is_file()
                || code.iter().any(|text| text.replace("\n    ", "\n").contains(&test));
            if !there {
                lacking.push(name.to_owned());
            }
        }
    }
    assert!(named > 60 && lacking.is_empty(), "{named} tests are named, of which there are no {lacking:?}");
}

#[test]
fn what_the_tests_look_for_is_found() {
    let text = "# A `b`: c-d\n[x](y.md#z) and [u](v)\n```sh\nthisbut query --text \"but a man\" …  # no\n\
                thisbut export … \\\n  --out … && thisbut config\n```\n";
    assert_eq!(anchors(text), ["a-b-c-d"]);
    assert_eq!(links(text.lines().nth(1).unwrap()).collect::<Vec<_>>(), ["y.md#z", "v"]);
    let found: Vec<String> =
        commands(text).into_iter().map(|(at, words)| format!("{at}: {}", words.join("|"))).collect();
    assert_eq!(found, ["4: query|--text|but a man", "6: export|--out|1", "6: config"]);
}
