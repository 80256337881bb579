//! Where the built-in collection comes from: two npm packages, fetched by npm or read from a folder.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// The image package and the version that the collection is made from.
pub const IMAGES: (&str, &str) = ("@lobehub/fluent-emoji-3d", "1.1.0");
/// The annotation package and its version.
pub const LABELS: (&str, &str) = ("emojibase-data", "17.0.0");

/// One image file with its annotation as published.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Code points in lower case, joined by `-`, without variation selectors and leading zeros.
    pub key: String,
    /// The image file.
    pub path: PathBuf,
    /// The published label, such as "woman judge: medium skin tone".
    pub label: String,
    /// Search words.
    pub tags: Vec<String>,
    /// Group name, such as "people & body".
    pub group: String,
    /// Subgroup name, such as "roles & careers".
    pub subgroup: String,
    /// The published order, for stable sorting.
    pub order: u32,
}

#[derive(Deserialize)]
struct Entry {
    label: String,
    hexcode: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    order: Option<u32>,
    #[serde(default)]
    group: Option<u32>,
    #[serde(default)]
    subgroup: Option<u32>,
    #[serde(default)]
    skins: Vec<Entry>,
}

#[derive(Deserialize)]
struct Named {
    message: String,
    order: u32,
}

#[derive(Deserialize)]
struct Messages {
    groups: Vec<Named>,
    subgroups: Vec<Named>,
}

/// The folder that holds both packages: `from` when given, otherwise `cache/node_modules`, filled by npm when needed.
///
/// # Errors
/// [`TrainerError::Settings`] when `from` lacks a package, [`TrainerError::Program`] when npm is missing or fails.
pub fn locate(from: Option<&Path>, cache: &Path, report: &mut dyn FnMut(String)) -> Result<PathBuf> {
    if let Some(folder) = from {
        let inner = folder.join("node_modules");
        let found = [folder, inner.as_path()].into_iter().find(|f| complete(f)).map(Path::to_path_buf);
        for (name, wanted) in [IMAGES, LABELS] {
            if let Some(version) = found.as_deref().and_then(|f| version(f, name)).filter(|v| v != wanted) {
                report(format!("{name} is version {version}; the published numbers are for {wanted}"));
            }
        }
        return found.ok_or_else(|| {
            TrainerError::settings(
                format!("--from {}", folder.display()),
                format!("the folder does not hold {} and {}", IMAGES.0, LABELS.0),
                "give a node_modules folder with both packages, or leave the option out to fetch them with npm",
            )
        });
    }
    let modules = cache.join("node_modules");
    let current = [IMAGES, LABELS].iter().all(|(name, wanted)| version(&modules, name).as_deref() == Some(*wanted));
    if complete(&modules) && current {
        return Ok(modules);
    }
    fsx::create_dir(cache)?;
    report(format!("fetching {}@{} and {}@{} with npm", IMAGES.0, IMAGES.1, LABELS.0, LABELS.1));
    let arguments = [
        "install".to_owned(),
        "--prefix".to_owned(),
        cache.display().to_string(),
        "--ignore-scripts".to_owned(),
        "--no-save".to_owned(),
        "--no-audit".to_owned(),
        "--no-fund".to_owned(),
        format!("{}@{}", IMAGES.0, IMAGES.1),
        format!("{}@{}", LABELS.0, LABELS.1),
    ];
    let program = format!("npm {}", arguments.join(" "));
    let fail = |problem: String| TrainerError::Program {
        program: program.clone(),
        problem,
        mend: "install Node.js with npm and check the network, or download both packages elsewhere and give their \
               folder with --from"
            .to_owned(),
    };
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(npm)
        .args(&arguments)
        .output()
        .map_err(|e| fail(format!("the program cannot be started ({e})")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().find(|l| l.contains("ERR") || l.contains("error")).unwrap_or("no message").trim();
        return Err(fail(format!("it failed with {} ({line})", output.status)));
    }
    if complete(&modules) { Ok(modules) } else { Err(fail("it ended well but the packages are not there".to_owned())) }
}

fn complete(modules: &Path) -> bool {
    modules.join(IMAGES.0).join("assets").is_dir() && modules.join(LABELS.0).join("en/data.json").is_file()
}

/// The version in a package's own `package.json`.
fn version(modules: &Path, name: &str) -> Option<String> {
    let text = fsx::read_text(&modules.join(name).join("package.json"), fsx::SMALL).ok()?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(json.get("version")?.as_str()?.to_owned())
}

/// Code points without variation selectors and leading zeros: the two packages spell them differently.
pub fn key_of(hexcode: &str) -> String {
    let lower = hexcode.to_lowercase().replace('_', "-");
    let parts = lower.split('-').map(|p| p.trim_start_matches('0')).filter(|p| !matches!(*p, "fe0f" | "fe0e" | ""));
    parts.collect::<Vec<_>>().join("-")
}

/// Reads the annotations: key → (label, tags, group, subgroup, order).
///
/// # Errors
/// [`TrainerError::Data`] when a JSON file is broken.
pub fn annotations(data: &str, messages: &str, place: &Path) -> Result<BTreeMap<String, Raw>> {
    let broken = |file: &str, e: serde_json::Error| {
        TrainerError::data(place.join(file).display().to_string(), format!("not the expected JSON ({e})"), {
            format!("fetch {} {} again", LABELS.0, LABELS.1)
        })
    };
    let entries: Vec<Entry> = serde_json::from_str(data).map_err(|e| broken("en/data.json", e))?;
    let names: Messages = serde_json::from_str(messages).map_err(|e| broken("en/messages.json", e))?;
    let name = |list: &[Named], order: Option<u32>| {
        list.iter().find(|n| Some(n.order) == order).map_or_else(|| "none".to_owned(), |n| n.message.clone())
    };
    let mut all = BTreeMap::new();
    for entry in entries {
        let group = name(&names.groups, entry.group);
        let subgroup = name(&names.subgroups, entry.subgroup);
        let mut add = |e: &Entry, tags: &[String]| {
            let key = key_of(&e.hexcode);
            all.insert(
                key.clone(),
                Raw {
                    key,
                    path: PathBuf::new(),
                    label: e.label.replace('’', "'").replace(['“', '”'], ""),
                    tags: tags.to_vec(),
                    group: group.clone(),
                    subgroup: subgroup.clone(),
                    order: e.order.unwrap_or(u32::MAX),
                },
            );
        };
        add(&entry, &entry.tags);
        for skin in &entry.skins {
            add(skin, &entry.tags);
        }
    }
    Ok(all)
}

/// Every image file that has an annotation, in published order, and the names of those that have none.
///
/// # Errors
/// [`TrainerError::Io`] and [`TrainerError::Data`] name the file.
pub fn load(modules: &Path) -> Result<(Vec<Raw>, Vec<String>)> {
    let labels = modules.join(LABELS.0);
    let all = annotations(
        &fsx::read_text(&labels.join("en/data.json"), fsx::MIDDLE)?,
        &fsx::read_text(&labels.join("en/messages.json"), fsx::MIDDLE)?,
        &labels,
    )?;
    let assets = modules.join(IMAGES.0).join("assets");
    let listing =
        std::fs::read_dir(&assets).map_err(|e| TrainerError::io(&assets, "read", e, "check the folder given"))?;
    let mut files = Vec::new();
    for entry in listing {
        let path = entry.map_err(|e| TrainerError::io(&assets, "read", e, "check the folder given"))?.path();
        if path.extension().is_some_and(|e| e == "webp") {
            files.push(path);
        }
    }
    files.sort();
    let (mut raws, mut unknown) = (Vec::new(), Vec::new());
    for path in files {
        let Some(stem) = path.file_stem().map(|s| s.to_string_lossy().into_owned()) else { continue };
        match all.get(&key_of(&stem)) {
            Some(raw) => raws.push(Raw { path, ..raw.clone() }),
            None => unknown.push(stem),
        }
    }
    raws.sort_by(|a, b| (a.order, &a.key, &a.path).cmp(&(b.order, &b.key, &b.path)));
    if raws.is_empty() {
        return Err(TrainerError::data(
            assets.display().to_string(),
            "no image with a known code point name",
            format!("fetch {} {} again", IMAGES.0, IMAGES.1),
        ));
    }
    Ok((raws, unknown))
}
