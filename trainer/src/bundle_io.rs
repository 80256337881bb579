//! Bundle folders: read with every file checked against `bundle.json`, and written so that a reader sees the old bundle
//! or the whole new one. The formats themselves are the model crate's (`docs/reference/formats.md`).

use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use crate::export::distinct_ids;
use crate::lock::Lock;
use crate::{fsx, partial};
use burn::tensor::Device;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use thisbut_model::bundle::{FORMAT, FileEntry, Form, MAX_BYTES, Manifest};
use thisbut_model::engine::Engine;
use thisbut_model::gallery::{Chunk, Gallery, ImageMeta, MAX_METADATA_BYTES, largest_reference, parse_metadata};
use thisbut_model::quant::StoredWeights;
use thisbut_model::{ModelError, RetrievalConfig};

/// The manifest's file name.
pub const MANIFEST: &str = "bundle.json";

/// Files of more bytes are hashed before they are read.
const LARGE: u64 = 64 << 20;

/// A bundle in memory, every file verified.
#[derive(Debug)]
pub struct Bundle {
    /// Its folder.
    pub root: PathBuf,
    /// `bundle.json`.
    pub manifest: Manifest,
    /// The architecture, from the manifest.
    pub config: RetrievalConfig,
    /// The weight files, in load order.
    pub weights: Vec<Vec<u8>>,
    /// The vocabulary, one token a line.
    pub vocab: String,
    /// Gallery chunks with the number of their first image.
    pub chunks: Vec<(u32, Chunk)>,
    /// What is shown with each image.
    pub metadata: Vec<ImageMeta>,
}

impl Bundle {
    /// Reads the bundle in `root`. Fails with the file's name when one is missing, cut short or altered, and when the
    /// format is another version's. Thumbnails and the images' files of tokens are not read.
    pub fn read(root: &Path) -> Result<Self> {
        let mut bundle = Self::read_model(root)?;
        (bundle.chunks, bundle.metadata) = gallery_of(root, &bundle.manifest)?;
        Ok(bundle)
    }

    /// The file of an image's tokens, checked; [`Bundle::read`] leaves it where it is.
    pub fn reference(&self, entry: &FileEntry) -> Result<Vec<u8>> {
        let most = largest_reference(self.config.image_tokens(), self.config.image_width());
        if entry.bytes > most {
            let problem = format!("has {} bytes, an image's tokens have at most {most}", entry.bytes);
            let place = self.root.join(&entry.path).display().to_string();
            return Err(TrainerError::data(place, problem, "export or index the bundle again"));
        }
        verified(&self.root, entry)
    }

    /// As [`Bundle::read`], without the gallery: all that indexing other images needs.
    pub fn read_model(root: &Path) -> Result<Self> {
        let path = root.join(MANIFEST);
        if !path.is_file() {
            return Err(TrainerError::data(
                root.display().to_string(),
                format!("is not a bundle: it has no {MANIFEST}"),
                "give the folder that 'thisbut export' or 'thisbut index' wrote",
            ));
        }
        let manifest = Manifest::parse(&fsx::read(&path, MAX_BYTES as u64)?)?;
        let config = manifest.retrieval_config(&path.display().to_string())?;
        let weights = manifest.weights.iter().map(|w| verified(root, &w.file)).collect::<Result<_>>()?;
        let vocab = String::from_utf8(verified(root, &manifest.vocab.file)?).map_err(|e| {
            let place = root.join(&manifest.vocab.file.path).display().to_string();
            TrainerError::data(place, format!("not UTF-8 text ({e})"), "export the bundle again")
        })?;
        let (chunks, metadata) = (Vec::new(), Vec::new());
        Ok(Self { root: root.to_path_buf(), manifest, config, weights, vocab, chunks, metadata })
    }

    /// The engine on `device`, with as much of the gallery as was read.
    pub fn engine(&self, device: &Device) -> Result<Engine> {
        let mut weights = StoredWeights::default();
        for (entry, bytes) in self.manifest.weights.iter().zip(&self.weights) {
            weights.add(bytes).map_err(|e| at(&self.root, &entry.file, e))?;
        }
        let vocabulary = &self.manifest.vocab.file;
        let mut engine = Engine::from_bundle(&self.manifest, weights, &self.vocab, device).map_err(|e| match e {
            ModelError::Format { ref place, .. } if place == self.config.text.vocabulary_file() => {
                at(&self.root, vocabulary, e)
            }
            ModelError::Weights { place, problem, .. } => {
                let mend = "copy the bundle again, or export or index it again";
                TrainerError::data(format!("{}: {place}", self.root.display()), problem, mend)
            }
            other => other.into(),
        })?;
        engine.set_gallery(self.gallery()?);
        Ok(engine)
    }

    /// The number in the gallery of each image of a table's gallery, for a bundle that was read with its own; `None` when
    /// it lacks one, or has one for two of them.
    pub fn numbers(&self, table: &Table) -> Option<Vec<u32>> {
        let known: HashMap<&str, u32> = self.metadata.iter().map(|image| image.id.as_str()).zip(0..).collect();
        let ids = distinct_ids(table, table.gallery.iter().copied()).ok()?;
        ids.iter().map(|id| known.get(id.as_str()).copied()).collect()
    }

    /// The gallery, ready to search.
    pub fn gallery(&self) -> Result<Gallery> {
        let mut gallery = Gallery::new();
        for (first, chunk) in &self.chunks {
            gallery.insert(*first, chunk.clone())?;
        }
        Ok(gallery)
    }
}

/// Chunks, each with the number of its first image.
type Chunks = Vec<(u32, Chunk)>;

/// The gallery of the bundle in `root`, every file verified: its chunks, and what is shown with the images.
pub(crate) fn gallery_of(root: &Path, manifest: &Manifest) -> Result<(Chunks, Vec<ImageMeta>)> {
    let (gallery, mut chunks, mut metadata) = (&manifest.gallery, Vec::new(), Vec::new());
    for entry in &gallery.chunks {
        let chunk = Chunk::parse(&verified(root, &entry.file)?).map_err(|e| at(root, &entry.file, e))?;
        let (shape, promised) = ((chunk.count(), chunk.tokens(), chunk.width()), entry.count as usize);
        if shape != (promised, gallery.tokens, gallery.width) {
            return Err(TrainerError::data(
                root.join(&entry.file.path).display().to_string(),
                format!("holds {shape:?} (images, tokens, width), {MANIFEST} promises another shape"),
                "export or index the bundle again",
            ));
        }
        chunks.push((entry.first, chunk));
    }
    for entry in &gallery.metadata {
        let bytes = verified(root, &entry.file)?;
        metadata.extend(parse_metadata(&bytes, entry.count as usize).map_err(|e| at(root, &entry.file, e))?);
    }
    if manifest.form == Form::GalleryReference
        && let Some(image) = metadata.iter().find(|image| image.reference.is_none())
    {
        return Err(TrainerError::data(
            root.display().to_string(),
            format!("the gallery's image '{}' has no file of tokens, and there is no image encoder", image.id),
            "export or index the bundle again",
        ));
    }
    Ok((chunks, metadata))
}

/// Reads one file of a bundle and checks its size and SHA-256, the size before anything is read. A large file is hashed
/// first, piece by piece: one that is not what the bundle promises never lies in memory.
fn verified(root: &Path, entry: &FileEntry) -> Result<Vec<u8>> {
    let path = root.join(&entry.path);
    let (_, length) = fsx::open(&path, fsx::ANY)?;
    entry.verify_size(length).map_err(|e| at(root, entry, e))?;
    if length > LARGE {
        entry.verify_hash(&fsx::sha256_of(&path)?).map_err(|e| at(root, entry, e))?;
    }
    let bytes = fsx::read(&path, length)?;
    entry.verify(&bytes).map_err(|e| at(root, entry, e))?;
    Ok(bytes)
}

/// The model crate names a file as the bundle does; people need the whole path, and another mend than a page has.
pub(crate) fn at(root: &Path, entry: &FileEntry, error: ModelError) -> TrainerError {
    let path = root.join(&entry.path).display().to_string();
    let again = "copy the bundle again, or export or index it again".to_owned();
    match error {
        ModelError::Checksum { expected, found, .. } => {
            ModelError::Checksum { place: path, expected, found, mend: again }.into()
        }
        ModelError::Format { problem, .. } => TrainerError::data(path, problem, again),
        other => other.into(),
    }
}

/// Whether `out` may become a bundle: it does not exist, is empty, or holds a bundle already. Hidden files don't count.
///
/// # Errors
/// When it is a file, or holds something else: a data set, photos, a site.
pub fn check_target(out: &Path) -> Result<()> {
    let refuse = |problem: &str| {
        let mend = "give another output folder; a new one is made";
        Err(TrainerError::settings(out.display().to_string(), problem, mend))
    };
    if !out.is_dir() {
        return if out.exists() { refuse("is a file, not a folder") } else { Ok(()) };
    }
    if out.join(MANIFEST).exists() {
        return match is_bundle(out) {
            true => Ok(()),
            false => refuse("has a bundle.json that is not a bundle's, and it would be written over"),
        };
    }
    let failed = |e| TrainerError::io(out, "read", e, "check the folder's permissions");
    for entry in std::fs::read_dir(out).map_err(failed)? {
        if !entry.map_err(failed)?.file_name().to_string_lossy().starts_with('.') {
            return refuse("has files and is no bundle (it has no bundle.json)");
        }
    }
    Ok(())
}

/// Whether `folder` has the manifest of a bundle, of whatever version.
pub fn is_bundle(folder: &Path) -> bool {
    #[derive(serde::Deserialize)]
    struct Head {
        format: String,
    }
    manifest_bytes(folder)
        .is_some_and(|text| serde_json::from_slice::<Head>(&text).is_ok_and(|head| head.format == FORMAT))
}

/// The manifest file in `folder`, which may be anybody's.
fn manifest_bytes(folder: &Path) -> Option<Vec<u8>> {
    fsx::read(&folder.join(MANIFEST), MAX_BYTES as u64).ok()
}

/// The manifest of the bundle in `folder`, if a bundle of this version is there.
pub fn manifest_of(folder: &Path) -> Option<Manifest> {
    manifest_bytes(folder).and_then(|bytes| Manifest::parse(&bytes).ok())
}

/// A hidden name beside `root`, whose folder is made: where a run that writes `root` keeps what is unfinished.
pub(crate) fn beside(root: &Path, ending: &str) -> Result<PathBuf> {
    hidden(root, partial::PREFIX, ending)
}

/// A name beside `root`, whose folder is made, that begins with `prefix`, a dot or more.
pub(crate) fn hidden(root: &Path, prefix: &str, ending: &str) -> Result<PathBuf> {
    let failed = |e| TrainerError::io(root, "write", e, "check the path");
    let whole = root.canonicalize().or_else(|_| std::path::absolute(root)).map_err(failed)?;
    let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) else {
        let mend = "give a folder with a name";
        return Err(TrainerError::settings(root.display().to_string(), "cannot become a bundle", mend));
    };
    fsx::create_dir(parent)?;
    let mut hidden = std::ffi::OsString::from(prefix);
    hidden.push(name);
    hidden.push(ending);
    Ok(parent.join(hidden))
}

/// Writes a bundle: files are staged in a hidden folder beside the target and moved into place at the end, the
/// manifest last. Dropped before [`Writer::finish`], it leaves nothing; killed, it leaves a hidden folder, which the next
/// writer of the same bundle removes. One writer at a time has a bundle.
#[derive(Debug)]
pub struct Writer {
    root: PathBuf,
    staging: partial::Staging,
    files: BTreeSet<String>,
    /// Files that lie in place already.
    kept: BTreeSet<String>,
    /// What a killed run left, and this one removed.
    swept: Vec<PathBuf>,
    _lock: Lock,
}

impl Writer {
    /// Begins a bundle that will lie in `root`.
    ///
    /// # Errors
    /// When another run is writing it, when `root` holds something else (see [`check_target`]), or when nothing can be
    /// written beside it.
    pub fn new(root: &Path) -> Result<Self> {
        let failed = |e| TrainerError::io(root, "write", e, "check free space and the folder's permissions");
        let lock = Lock::take(&beside(root, ".lock")?, root)?;
        check_target(root)?;
        let staged = beside(root, ".files")?;
        let (staging, left) = partial::Staging::new(&staged).map_err(failed)?;
        let swept = if left { vec![staged] } else { Vec::new() };
        let (files, kept) = (BTreeSet::new(), BTreeSet::new());
        Ok(Self { root: root.to_path_buf(), staging, files, kept, swept, _lock: lock })
    }

    /// Stages a file under a name with its content's hash: `folder/stem.0123456789abcdef.ext`.
    pub fn add(&mut self, folder: &str, stem: &str, ext: &str, content: &[u8]) -> Result<FileEntry> {
        let name = thisbut_model::bundle::hashed_name(stem, ext, content);
        self.add_as(if folder.is_empty() { name } else { format!("{folder}/{name}") }, content)
    }

    /// Stages a file under a given name. One that lies in place with this content is left as it is.
    pub fn add_as(&mut self, path: String, content: &[u8]) -> Result<FileEntry> {
        let entry = FileEntry::new(path.clone(), content);
        if fsx::read(&self.root.join(&path), entry.bytes).is_ok_and(|found| found == content) {
            self.kept.insert(path);
        } else if self.files.insert(path) {
            fsx::write_atomic(&self.staging.path().join(&entry.path), content)?;
        }
        Ok(entry)
    }

    /// Keeps a file of the bundle that lies in place, as it is.
    pub fn keep(&mut self, path: String) {
        self.kept.insert(path);
    }

    /// Lets go of a staged file, which the bundle does not use after all. One in place goes when it is in no bundle.
    pub fn forget(&mut self, path: &str) {
        self.kept.remove(path);
        if self.files.remove(path) {
            // What stays is staged under a name that nothing names, and goes with the next writer's sweep.
            let _ = std::fs::remove_file(self.staging.path().join(path));
        }
    }

    /// Moves everything into place, `bundle.json` last, then removes what only the bundle before this one used, and what
    /// a killed run left; the latter is returned.
    pub fn finish(mut self, manifest: &Manifest) -> Result<Vec<PathBuf>> {
        let json = manifest.to_json()?;
        let failed =
            |path: &Path, e| TrainerError::io(path, "write", e, "check free space and the folder's permissions");
        let fresh = std::fs::read_dir(&self.root).map_or(true, |mut entries| entries.next().is_none());
        if fresh {
            // Nobody sees a part of it: it appears whole.
            fsx::write_atomic(&self.staging.path().join(MANIFEST), json.as_bytes())?;
            self.staging.persist(&self.root).map_err(|e| failed(&self.root, e))?;
            return Ok(self.swept);
        }
        let before = files_of(&self.root);
        for path in &self.files {
            let (from, to) = (self.staging.path().join(path), self.root.join(path));
            if let Some(parent) = to.parent() {
                fsx::create_dir(parent)?;
            }
            std::fs::rename(&from, &to).map_err(|e| failed(&to, e))?;
        }
        let place = self.root.join(MANIFEST);
        if !fsx::read(&place, json.len() as u64).is_ok_and(|found| found == json.as_bytes()) {
            fsx::write_atomic(&place, json.as_bytes())?;
        }
        self.files.insert(MANIFEST.to_owned());
        self.files.append(&mut self.kept);
        for old in before.difference(&self.files) {
            // Left-over files cost room only; failing to remove one is no reason to fail.
            let _ = std::fs::remove_file(self.root.join(old));
        }
        let left = unused(&self.root, &self.files);
        self.swept.extend(left.into_iter().filter(|path| std::fs::remove_file(path).is_ok()));
        Ok(self.swept)
    }
}

/// Files in the bundle in `root` that a writer made and that belong to no bundle: those of a run that was killed while it
/// moved them into place.
fn unused(root: &Path, files: &BTreeSet<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "gallery", "thumbs", "references"] {
        for entry in std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let written = made_by_us(&name) || name.starts_with(partial::PREFIX);
            if written && !files.contains(&path) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                found.push(entry.path());
            }
        }
    }
    found
}

/// A name that [`Writer::add`] gives: `stem.0123456789abcdef.ext`.
fn made_by_us(name: &str) -> bool {
    let mut parts = name.split('.');
    let stem = parts
        .next()
        .and_then(|stem| stem.split("-").next())
        .is_some_and(|stem| ["weights", "vocab", "tokens", "meta", "t", "r"].contains(&stem));
    let hash = parts.next().is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    stem && hash && parts.next().is_some() && parts.next().is_none()
}

/// The files of the bundle that lies in `root`, thumbnails too; none when there is no readable bundle.
pub(crate) fn files_of(root: &Path) -> BTreeSet<String> {
    let Some(manifest) = manifest_of(root) else { return BTreeSet::new() };
    let mut files: BTreeSet<String> = manifest.files().map(|f| f.path.clone()).collect();
    for entry in &manifest.gallery.metadata {
        let Ok(bytes) = fsx::read(&root.join(&entry.file.path), MAX_METADATA_BYTES as u64) else { continue };
        for image in parse_metadata(&bytes, entry.count as usize).unwrap_or_default() {
            files.insert(format!("{}{}", manifest.gallery.thumbnails, image.thumb));
            files.extend(image.reference.map(|file| file.path));
        }
    }
    files
}
