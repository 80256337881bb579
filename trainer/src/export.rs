//! A checkpoint and the frozen encoder as quantized weights files, and as a bundle that indexing completes.

use crate::bundle_io::{Bundle, beside};
use crate::data::described;
use crate::data::table::{Complaint, ImageEntry, Table};
use crate::error::{Result, TrainerError};
use crate::formats::Formats;
use crate::lock::Lock;
use crate::train::learner::IMAGE_ENCODER;
use crate::{compress, import, partial, train::checkpoint};
use burn::tensor::Device;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::{self, FileEntry, Form, Manifest, WeightsEntry};
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::quant::{CodeWidth, split, write_weights};
use thisbut_model::retrieval::{ENCODER_PREFIX, MODEL_PREFIX};
use thisbut_model::weights::{self, Tensors};

/// How the large tensors may be stored.
pub const STORES: Formats = Formats(&[
    (NumberFormat::F32, "Plain f32"),
    (NumberFormat::Q8, "8 bits and a scale a block of 32"),
    (
        NumberFormat::Q4,
        "4 bits and a scale a block of 32; convolutions, embeddings and heads beside the blocks stay at 8",
    ),
]);

/// Everything that the engine needs of a checkpoint: names behind their prefixes, and the architecture.
///
/// # Errors
/// When a file cannot be read.
pub fn gather(checkpoint_path: &Path, weights_dir: &Path) -> Result<(RetrievalConfig, Tensors)> {
    let mut checkpoint = checkpoint::open(checkpoint_path)?;
    let mut config = checkpoint.header.config.clone();
    let own = checkpoint.model()?.into_iter().filter(|(name, _)| !name.starts_with(IMAGE_ENCODER));
    let mut tensors: Tensors = own.map(|(name, value)| (format!("{MODEL_PREFIX}.{name}"), value)).collect();
    // Where a part of the image encoder was trained, the checkpoint has all of it, or its adapters.
    let encoder = match import::adapted::of_checkpoint(&mut checkpoint, checkpoint_path, weights_dir)? {
        Some(encoder) => encoder,
        None => import::image_encoder(&config, weights_dir)?,
    };
    tensors.extend(encoder.into_iter().map(|(name, value)| (format!("{ENCODER_PREFIX}.{name}"), value)));
    reduce(&mut config, &mut tensors)?;
    Ok((config, tensors))
}

/// Makes a whole model into what a bundle holds of it: without the parts that nothing reads, its words at the model's width.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn reduce(config: &mut RetrievalConfig, tensors: &mut Tensors) -> Result<()> {
    compress::leave_unread(config, tensors, MODEL_PREFIX);
    compress::fold_words(config, tensors, MODEL_PREFIX)
}

/// How a model is packed.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// With or without the image encoder.
    pub form: Form,
    /// How the large tensors are stored; `None`: as plain f32.
    pub width: Option<CodeWidth>,
    /// Most bytes of tensors in one weights file.
    pub split: u64,
    /// Target tokens an image that the gallery will hold.
    pub tokens: usize,
}

impl Packing {
    /// The number format of the large tensors.
    pub fn format(&self) -> NumberFormat {
        self.width.map_or(NumberFormat::F32, CodeWidth::format)
    }

    /// The codes of one tensor of a model of `config`; `None` for plain f32.
    pub fn codes(&self, config: &RetrievalConfig, name: &str) -> Option<CodeWidth> {
        // The encoder was never trained to bear coarse weights; only a vision transformer's blocks are so many that they
        // have to.
        let encoder = name.strip_prefix(ENCODER_PREFIX).is_some_and(|rest| !rest.starts_with(".vit.blocks."));
        let rest = name.strip_prefix(MODEL_PREFIX).and_then(|rest| rest.strip_prefix('.'));
        let part = |part: &&str| rest.is_some_and(|rest| rest.strip_prefix(part).is_some_and(is_end));
        let spared = encoder || config.method.family().kept_fine().iter().any(part);
        self.width.map(|width| if spared { CodeWidth::Q8 } else { width })
    }
}

/// Whether a name that goes on with `rest` has ended with a whole part.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// What a weights file says of itself beside its tensors.
pub fn weights_meta(config: &RetrievalConfig) -> BTreeMap<String, String> {
    BTreeMap::from([("architecture".to_owned(), config.name.clone())])
}

/// Takes the image encoder out of `tensors`: the one that indexes, and that a gallery-reference bundle doesn't hold.
///
/// # Errors
/// When a tensor is missing or of another shape.
pub fn take_encoder(config: &RetrievalConfig, tensors: &mut Tensors, device: &Device) -> Result<ImageEncoder> {
    Ok(weights::load(ImageEncoder::new(config, device), ENCODER_PREFIX, tensors)?)
}

/// A bundle in memory with `tensors` as its model and no gallery yet.
///
/// # Errors
/// When the weights cannot be written.
pub fn bundle(config: &RetrievalConfig, mut tensors: Tensors, packing: Packing, vocabulary: String) -> Result<Bundle> {
    let codes = |name: &str, _: &[usize]| packing.codes(config, name);
    let shapes = tensors.iter().map(|(name, (dims, _))| (name.as_str(), dims.as_slice()));
    let names: Vec<Vec<String>> = split(shapes, codes, packing.split)
        .into_iter()
        .map(|file| file.into_iter().map(str::to_owned).collect())
        .collect();
    let mut contents = Vec::with_capacity(names.len());
    for names in names {
        let part: Tensors = names.into_iter().filter_map(|name| tensors.remove_entry(&name)).collect();
        contents.push(write_weights(&part, codes, &weights_meta(config))?);
    }
    let code_width = packing.format();
    let entry = |content: &Vec<u8>| {
        let file = FileEntry::new(bundle::hashed_name("weights", "safetensors", content), content);
        WeightsEntry { file, code_width }
    };
    let vocab = FileEntry::new(bundle::hashed_name("vocab", "txt", vocabulary.as_bytes()), vocabulary.as_bytes());
    let mut manifest = Manifest::of_model(config, contents.iter().map(entry).collect(), vocab)?;
    manifest.form = packing.form;
    manifest.gallery.tokens = packing.tokens;
    Ok(Bundle {
        root: PathBuf::new(),
        manifest,
        config: config.clone(),
        weights: contents,
        vocab: vocabulary,
        chunks: Vec::new(),
        metadata: Vec::new(),
    })
}

/// A data set's gallery laid out as a folder of photos with a table of titles, beside the bundle that it becomes; removed when
/// dropped, and by the next run where this one is killed.
pub struct Staged {
    /// The images under their names.
    pub photos: PathBuf,
    /// CSV: file, title, tags.
    pub titles: PathBuf,
    /// What a killed run left, and this one removed.
    pub swept: Option<PathBuf>,
    _folder: partial::Staging,
    _lock: Lock,
}

/// A data set's image in the bundle's gallery: its name as a file's. Two names may make one, such as `a/b` and `a_b`: see
/// [`distinct_ids`].
pub fn gallery_id(image: &ImageEntry) -> String {
    let extension = image.path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = format!(".{extension}");
    // Some data sets name an image by its file, ending and all.
    let bare = image.name.strip_suffix(&ending).unwrap_or(&image.name);
    format!("{}{ending}", bare.replace('/', "_"))
}

/// The name in the gallery ([`gallery_id`]) of each of these images of `table`.
///
/// # Errors
/// [`TrainerError::Data`] when two of them would have one.
pub fn distinct_ids(table: &Table, images: impl Iterator<Item = u32>) -> Result<Vec<String>> {
    let mut known: HashMap<String, u32> = HashMap::new();
    let mut ids = Vec::new();
    for image in images {
        let id = gallery_id(&table.images[image as usize]);
        match known.insert(id.clone(), image) {
            Some(other) if other != image => {
                let (one, other) = (table.image_name(other), table.image_name(image));
                let problem = format!("and image '{other}' would both be '{id}' in a bundle");
                return Err(TrainerError::data(format!("image '{one}'"), problem, "rename one of them"));
            }
            _ => ids.push(id),
        }
    }
    Ok(ids)
}

impl Staged {
    /// A complaint about an image that was laid out, at the data set's own file.
    pub fn at_origin(&self, table: &Table, complaint: Complaint) -> Complaint {
        let name = Path::new(&complaint.place).strip_prefix(&self.photos).ok().and_then(Path::to_str);
        match name.and_then(|name| table.images.iter().find(|image| gallery_id(image) == name)) {
            Some(image) => Complaint { place: image.path.display().to_string(), ..complaint },
            None => complaint,
        }
    }
}

/// Lays out the gallery of `table` for the bundle `out`, at most `limit` images evenly chosen. Titles and tags come from `images.json`, where
/// the data set has one.
///
/// # Errors
/// When a file cannot be read or written, and when another run lays out images for the same bundle.
pub fn stage(root: &Path, table: &Table, limit: Option<usize>, out: &Path) -> Result<Staged> {
    let mend = "check free space and the permissions of the output folder's parent";
    let failed = |e: std::io::Error| TrainerError::io(out, "write beside", e, mend);
    let lock = Lock::take(&beside(out, ".photos.lock")?, out)?;
    let place = beside(out, ".photos")?;
    let (folder, left) = partial::Staging::new(&place).map_err(failed)?;
    let (photos, titles) = (folder.path().join("photos"), folder.path().join("titles.csv"));
    std::fs::create_dir(&photos).map_err(failed)?;
    let described = described::load(root)?.unwrap_or_default();
    let wrong = |e: csv::Error| TrainerError::data("the table of titles", e.to_string(), mend);
    let mut rows = csv::Writer::from_path(&titles).map_err(wrong)?;
    rows.write_record(["file", "title", "tags"]).map_err(wrong)?;
    let every = table.gallery.len().div_ceil(limit.unwrap_or(usize::MAX).max(1)).max(1);
    let chosen = || table.gallery.iter().copied().step_by(every);
    for (image, name) in chosen().zip(distinct_ids(table, chosen())?) {
        let image = &table.images[image as usize];
        std::fs::copy(&image.path, photos.join(&name)).map_err(|e| TrainerError::io(&image.path, "read", e, mend))?;
        let about = described.get(&image.name);
        if let Some((title, about)) = about.and_then(|about| Some((about.title.as_deref()?, about))) {
            rows.write_record([name.as_str(), title, &about.tags.join("|")]).map_err(wrong)?;
        }
    }
    rows.flush().map_err(failed)?;
    Ok(Staged { photos, titles, swept: left.then_some(place), _folder: folder, _lock: lock })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_several_words_stay_tags() {
        let root = tempfile::tempdir().unwrap();
        let (photo, out) = (root.path().join("a.png"), root.path().join("out"));
        std::fs::write(&photo, b"a picture").unwrap();
        let about = r#"{"a": {"title": "Hat", "tags": ["dark red", "wool"]}}"#;
        std::fs::write(root.path().join("images.json"), about).unwrap();
        let images = vec![ImageEntry { name: "a".into(), path: photo }];
        let table = Table { images, gallery: vec![0], ..Table::default() };
        let staged = stage(root.path(), &table, None, &out).unwrap();
        let rows = std::fs::read_to_string(&staged.titles).unwrap();
        assert_eq!(rows.lines().collect::<Vec<_>>(), ["file,title,tags", "a.png,Hat,dark red|wool"]);
    }

    #[test]
    fn images_are_laid_out_by_one_run_which_sweeps_what_another_left() {
        let root = tempfile::tempdir().unwrap();
        let (photo, out) = (root.path().join("a.png"), root.path().join("out"));
        std::fs::write(&photo, b"a picture").unwrap();
        let images = vec![ImageEntry { name: "a".into(), path: photo }];
        let table = Table { images, gallery: vec![0], ..Table::default() };
        let hidden = || {
            std::fs::read_dir(root.path())
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(partial::PREFIX))
                .count()
        };
        let staged = stage(root.path(), &table, None, &out).unwrap();
        assert!(staged.swept.is_none() && staged.photos.join("a.png").is_file() && staged.titles.is_file());
        let text = stage(root.path(), &table, None, &out).err().unwrap().to_string();
        assert!(text.contains("out: another run is writing here"), "{text}");
        drop(staged);
        assert_eq!(hidden(), 0);
        // One file for two images would answer for both.
        let of = |name: &str| ImageEntry { name: name.into(), path: root.path().join("a.png") };
        let two = Table { images: vec![of("a/b"), of("a_b"), of("c")], gallery: vec![0, 2], ..Table::default() };
        assert_eq!(distinct_ids(&two, [0, 2, 0].into_iter()).unwrap(), ["a_b.png", "c.png", "a_b.png"]);
        assert!(stage(root.path(), &two, None, &out).is_ok());
        let two = Table { gallery: vec![0, 1, 2], ..two };
        let text = stage(root.path(), &two, None, &out).err().unwrap().to_string();
        assert!(text.contains("image 'a/b': and image 'a_b' would both be 'a_b.png' in a bundle"), "{text}");
        assert_eq!(hidden(), 0);
        let left = beside(&out, ".photos").unwrap();
        std::fs::create_dir_all(left.join("photos")).unwrap();
        std::fs::write(left.join("photos/old.png"), "x").unwrap();
        let staged = stage(root.path(), &table, None, &out).unwrap();
        assert_eq!(staged.swept.as_ref(), Some(&left));
        assert_eq!(std::fs::read_dir(&staged.photos).unwrap().count(), 1);
        drop(staged);
        assert_eq!(hidden(), 0);
    }
}
