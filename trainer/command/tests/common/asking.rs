//! A folder with the shapes, a server that answers questions, and commands that ask it.

use super::chat::Chat;
use super::common::{shapes, thisbut};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The key that commands send: no file and no message may have it.
pub const KEY: &str = "sk-not-to-be-seen-1234567890";

/// A folder with the shapes, a server, and captions of all of them.
pub struct World {
    pub folder: tempfile::TempDir,
    pub data: PathBuf,
    pub chat: Chat,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, _) = shapes(folder.path());
        Self { data, folder, chat: Chat::start() }
    }

    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.place(name)).unwrap()
    }

    pub fn rows(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn report(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// `thisbut describe` of the first images over the endpoint.
    pub fn describe(&self, more: &[&str]) -> Command {
        let mut command = thisbut();
        let images = self.data.join("images");
        command.args(["describe", images.to_str().unwrap(), "--out", self.place("c.jsonl").to_str().unwrap()]);
        self.asking(&mut command, more);
        command
    }

    /// `thisbut rewrite` of pairs of titles over the endpoint.
    pub fn rewrite(&self, more: &[&str]) -> Command {
        let mut command = thisbut();
        let place = |name: &str| self.place(name).to_str().unwrap().to_owned();
        let (pairs, captions, out) = (place("pairs.jsonl"), place("captions.jsonl"), place("t.jsonl"));
        command.args(["rewrite", "--pairs", &pairs, "--captions", &captions, "--out", &out]);
        self.asking(&mut command, more);
        command
    }

    fn asking(&self, command: &mut Command, more: &[&str]) {
        command.args(["--endpoint", &self.chat.url, "--model-name", "m", "--pause", "0.01", "--timeout", "20"]);
        command.args(more).env("OPENAI_API_KEY", KEY).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Writes captions of the shapes' titles, and so many pairs.
    pub fn pairs(&self, count: usize) {
        let colours = ["red", "green", "blue", "yellow", "purple", "black"];
        let names: Vec<String> =
            ["square", "circle", "cross", "stripe"].iter().flat_map(|s| colours.map(|c| format!("{c}-{s}"))).collect();
        let captions: String = names
            .iter()
            .map(|n| format!("{{\"image\": \"{n}\", \"caption\": \"a {}\"}}\n", n.replace('-', " ")))
            .collect();
        std::fs::write(self.place("captions.jsonl"), captions).unwrap();
        let pair = |i: usize| {
            format!("{{\"reference\": \"{}\", \"target\": \"{}\"}}\n", names[i % 24], names[(i % 24 + 1 + i / 24) % 24])
        };
        std::fs::write(self.place("pairs.jsonl"), (0..count).map(pair).collect::<String>()).unwrap();
    }
}

/// What a command that succeeds says.
pub fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    said
}

/// What a command that fails says last: one line.
pub fn fails(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    assert!(!said.contains(KEY) && !said.contains("panicked"), "{said}");
    said.trim_end().lines().last().unwrap().to_owned()
}

/// All that a command says.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// No file of the run has the key in it.
pub fn key_is_nowhere(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(KEY.len()).any(|w| w == KEY.as_bytes()), "{}", path.display());
        }
    }
}
