//! What is served under which path: a site's folder as it is, or a bundle with the page's files around it.

use crate::bundle_io::{MANIFEST, files_of, is_bundle, manifest_of};
use crate::error::{Result, TrainerError};
use std::path::{Path, PathBuf};

/// What the page consists of: files and folders that a bundle's preview needs beside the element itself.
const PARTS: [&str; 2] = ["worker.js", "runtime"];
/// The element as modules, with what else it needs; and in one file.
const ELEMENTS: [(&str, &[&str]); 2] = [("this-but.js", &["element", "loader"]), ("this-but.min.js", &[])];
/// How often a missing file is named.
const NAMED: usize = 3;

/// What the preview page is allowed to do, as the element's policy promises that it is enough.
pub const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; \
     connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is served.
#[derive(Debug)]
pub struct Site {
    /// Folders and files by the path under which they are found; the longest path that fits counts.
    mounts: Vec<(String, PathBuf)>,
    /// The page at `/`, where it is not a file.
    page: Option<String>,
}

impl Site {
    /// A folder with `index.html` as it is; a bundle with a page of our own, whose files lie in `page`.
    ///
    /// # Errors
    /// When it is neither, when the bundle lacks files, and when the page's files are not in `page`.
    pub fn of(folder: &Path, page: &Path) -> Result<Self> {
        let refuse =
            |problem: String, mend: &str| Err(TrainerError::settings(folder.display().to_string(), problem, mend));
        if !folder.is_dir() {
            return refuse("is not a folder".into(), "give a bundle's folder, or a site's");
        }
        if folder.join("index.html").is_file() {
            return Ok(Self { mounts: vec![(String::new(), whole(folder)?)], page: None });
        }
        if !is_bundle(folder) {
            return refuse(
                format!("is neither a bundle nor a site: it has no {MANIFEST} and no index.html"),
                "give the folder that 'thisbut index' wrote, or a site's",
            );
        }
        let Some(manifest) = manifest_of(folder) else {
            return refuse(
                format!("its {MANIFEST} is damaged or of another version"),
                "run 'thisbut inspect' on it, or index the photos again",
            );
        };
        let missing = files_of(folder).into_iter().filter(|path| !folder.join(path).is_file());
        let missing: Vec<String> = missing.collect();
        if !missing.is_empty() {
            let named = missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            let problem = format!("lacks {} of its files: {named}", missing.len());
            return refuse(problem, "copy the bundle again, or index the photos again");
        }
        let (script, parts) = page_files(page)?;
        let mut mounts = vec![("bundle/".to_owned(), whole(folder)?)];
        for part in parts.into_iter().chain([script]) {
            let path = page.join(part);
            mounts.push((if path.is_dir() { format!("{part}/") } else { part.to_owned() }, whole(&path)?));
        }
        Ok(Self { mounts, page: Some(preview(&manifest.gallery.title, script)) })
    }

    /// The page at `/`, where it is no file.
    pub fn page(&self) -> Option<&str> {
        self.page.as_deref()
    }

    /// The file or folder of a path, which is relative and decoded; none where there is none that may be seen. No part of the
    /// path may be hidden or lead upwards, and no link leads out of what is served.
    pub fn find(&self, path: &str) -> Option<PathBuf> {
        let plain = |part: &str| !part.starts_with('.') && !part.contains(['\\', '\0', ':']);
        let parts = path.strip_suffix('/').unwrap_or(path);
        if !parts.is_empty() && !parts.split('/').all(|part| !part.is_empty() && plain(part)) {
            return None;
        }
        let fits = |mount: &&(String, PathBuf)| path.starts_with(&mount.0) || path == mount.0.trim_end_matches('/');
        let (prefix, root) = self.mounts.iter().filter(fits).max_by_key(|mount| mount.0.len())?;
        let rest = path.strip_prefix(prefix.as_str()).unwrap_or_default();
        if root.is_file() {
            return rest.is_empty().then(|| root.clone());
        }
        let found = root.join(rest).canonicalize().ok()?;
        let hidden = found.strip_prefix(root).ok()?.iter().any(|part| part.to_string_lossy().starts_with('.'));
        (!hidden).then_some(found)
    }
}

fn whole(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|e| TrainerError::io(path, "read", e, "check the path and its permissions"))
}

/// The element's script in `page`, and what lies beside it.
fn page_files(page: &Path) -> Result<(&'static str, Vec<&'static str>)> {
    let lacks = |(script, parts): &(&'static str, &'static [&'static str])| {
        let all = [*script].into_iter().chain(parts.iter().copied()).chain(PARTS);
        all.filter(|part| !page.join(part).exists()).collect::<Vec<_>>()
    };
    if let Some((script, parts)) = ELEMENTS.iter().find(|element| lacks(element).is_empty()) {
        return Ok((script, parts.iter().copied().chain(PARTS).collect()));
    }
    let missing = lacks(&ELEMENTS[0]).join(", ");
    Err(TrainerError::settings(
        page.display().to_string(),
        format!("the page's files are not there (missing: {missing})"),
        "build the page in the checkout of thisbut: scripts/build-web && scripts/stage-site dist; from another folder name it: \
         --page CHECKOUT/dist",
    ))
}

/// The smallest page that shows a bundle.
fn preview(title: &str, script: &str) -> String {
    let title: String = title
        .chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            c => c.to_string(),
        })
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <meta name=\"color-scheme\" content=\"light dark\" />\n<title>{title}</title>\n\
         <script type=\"module\" src=\"{script}\"></script>\n</head>\n<body>\n\
         <this-but bundle=\"bundle/\"></this-but>\n</body>\n</html>\n"
    )
}
