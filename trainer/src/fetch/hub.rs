//! The hub's list of files, and which of them are wanted.

use super::download::Wanted;
use super::http::{Client, Trouble};
use std::path::{Path, PathBuf};
use wildmatch::WildMatch;

/// Pages of a list at most.
const MAX_PAGES: usize = 100;

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its path in the repository, checked to stay inside a folder.
    pub path: String,
    /// Bytes.
    pub size: Option<u64>,
    /// Hex SHA-256; the hub has one of its large files.
    pub sha256: Option<String>,
    /// Hex git object id (SHA-1 over a header and the content); the hub has one of its small files.
    pub git: Option<String>,
}

impl Listed {
    /// The file to download into `dir`.
    pub(super) fn wanted(self, client: &Client, repository: &str, revision: &str, dir: &Path) -> Wanted {
        let segments = repository.split('/').chain(["resolve", revision]).chain(self.path.split('/'));
        Wanted {
            url: client.address(segments).into(),
            path: dir.join(&self.path),
            size: self.size,
            sha256: self.sha256,
            git: self.git,
        }
    }
}

/// `name` as a path that stays inside the folder it is joined to; `None` for any other.
pub fn safe_path(name: &str) -> Option<PathBuf> {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.len() <= 200
            && !part.chars().any(|c| c.is_control() || ['\\', ':', '*', '?', '"', '<', '>', '|'].contains(&c))
    };
    (name.len() <= 1000 && name.split('/').all(plain)).then(|| PathBuf::from(name))
}

/// Whether a text is `count` hexadecimal digits.
pub fn is_hex(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[derive(serde::Deserialize)]
struct Row {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    size: Option<u64>,
    oid: Option<String>,
    lfs: Option<Large>,
}

#[derive(serde::Deserialize)]
struct Large {
    #[serde(alias = "sha256")]
    oid: String,
    size: Option<u64>,
}

/// The files of `repository` at `revision`, from the hub's API.
pub fn list(
    client: &Client,
    repository: &str,
    revision: &str,
    note: &mut dyn FnMut(String),
) -> Result<Vec<Listed>, Trouble> {
    let segments = ["api", "models"].into_iter().chain(repository.split('/')).chain(["tree", revision]);
    let mut url = client.address(segments);
    url.set_query(Some("recursive=true"));
    let mut out = Vec::new();
    for _ in 0..MAX_PAGES {
        let (text, next) = client.text(&url, note)?;
        let rows: Vec<Row> = serde_json::from_str(&text)
            .map_err(|e| Trouble::last(format!("the hub's list of its files cannot be read ({e})")))?;
        for row in rows.into_iter().filter(|row| row.kind == "file") {
            if safe_path(&row.path).is_none() {
                let shown: String = row.path.chars().filter(|c| !c.is_control()).take(120).collect();
                return Err(Trouble::last(format!("it has a file named {shown}, which leads out of its folder")));
            }
            let (sha256, size) = match &row.lfs {
                Some(large) => (Some(large.oid.to_ascii_lowercase()), large.size.or(row.size)),
                None => (None, row.size),
            };
            if sha256.as_ref().is_some_and(|hash| !is_hex(hash, 64)) {
                return Err(Trouble::last(format!("the hub states no SHA-256 of {}", row.path)));
            }
            // Of a large file the id is that of a pointer to it, not of its content.
            let git = row.oid.filter(|oid| row.lfs.is_none() && is_hex(oid, 40)).map(|oid| oid.to_ascii_lowercase());
            out.push(Listed { path: row.path, size, sha256, git });
        }
        match next {
            None => return Ok(out),
            Some(next) if client.is_hub(&next) => url = next,
            Some(_) => return Err(Trouble::last("the hub's list of its files goes on elsewhere")),
        }
    }
    Err(Trouble::last(format!("the hub's list of its files has more than {MAX_PAGES} pages")))
}

/// Those of `files` that match one of `only`; without `only`, the weights in one format (safetensors before PyTorch's), and
/// the JSON and text files beside them.
pub fn selected(files: &[Listed], only: &[String]) -> Vec<Listed> {
    let chosen = |keep: &dyn Fn(&Listed) -> bool| files.iter().filter(|file| keep(file)).cloned().collect::<Vec<_>>();
    if !only.is_empty() {
        let only: Vec<WildMatch> = only.iter().map(|pattern| WildMatch::new(pattern)).collect();
        return chosen(&|file| only.iter().any(|pattern| pattern.matches(&file.path)));
    }
    let ends = |file: &Listed, endings: &[&str]| endings.iter().any(|ending| file.path.ends_with(ending));
    let weights = |file: &Listed| !file.path.contains('/') && ends(file, &[".safetensors", ".bin", ".pth", ".pt"]);
    let safe = files.iter().any(|file| weights(file) && ends(file, &[".safetensors"]));
    chosen(&|file| {
        let of_format = if safe { ends(file, &[".safetensors"]) } else { weights(file) };
        let index = !(safe && file.path.ends_with(".bin.index.json"));
        !file.path.contains('/') && (of_format || (index && ends(file, &[".json", ".txt"])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in
            ["../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "a/.", "C:\\x", "a\\..\\b", "x\0", "a\nb", "x:y"]
        {
            assert_eq!(safe_path(name), None, "{name:?}");
        }
        for name in ["config.json", "a/b.safetensors", "..x", "model-00001-of-00002.safetensors", "é.txt"] {
            assert_eq!(safe_path(name), Some(PathBuf::from(name)));
        }
    }

    #[test]
    fn the_usual_files_are_one_format_of_weights_and_the_texts() {
        let names = [
            ".gitattributes",
            "README.md",
            "config.json",
            "merges.txt",
            "model-00001-of-00002.safetensors",
            "model.safetensors.index.json",
            "onnx/model.onnx",
            "onnx/config.json",
            "pytorch_model-00001-of-00002.bin",
            "pytorch_model.bin.index.json",
            "tf_model.h5",
        ];
        let listed = |names: &[&str]| -> Vec<Listed> {
            names.iter().map(|n| Listed { path: (*n).to_owned(), size: None, sha256: None, git: None }).collect()
        };
        let chosen = |files: &[Listed], only: &[&str]| -> Vec<String> {
            let only: Vec<String> = only.iter().map(|s| (*s).to_owned()).collect();
            selected(files, &only).into_iter().map(|f| f.path).collect()
        };
        let all = listed(&names);
        assert_eq!(chosen(&all, &[]), [names[2], names[3], names[4], names[5]]);
        let old = listed(&["config.json", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"]);
        assert_eq!(chosen(&old, &[]).len(), 3);
        assert_eq!(chosen(&all, &["*.bin", "config.json"]), ["config.json", "pytorch_model-00001-of-00002.bin"]);
        assert_eq!(chosen(&all, &["onnx/*"]).len(), 2);
        assert_eq!(chosen(&all, &["model-0000?-of-*"]).len(), 1);
        assert!(chosen(&all, &["model", "json"]).is_empty());
    }
}
