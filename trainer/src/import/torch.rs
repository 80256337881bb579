//! PyTorch files as lists of tensors and where they lie: the zip layout of 1.6 and later, and the one before it.
//!
//! | layout | content |
//! |---|---|
//! | zip, stored without compression | `ROOT/data.pkl`: the pickle; `ROOT/data/KEY`: a storage's bytes; `ROOT/byteorder` |
//! | before 1.6 | pickles of a magic number, a version, the system, the object and the storages' keys; then for each storage its count (i64) and its bytes |

use super::pickle::{self, Kind, MAX_BYTES, Pickle, Tensor, Value};
use super::source::Entry;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::rc::Rc;

/// What a file before 1.6 starts with: a pickle of this number.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// The pickled bytes of [`MAGIC`].
pub const LEGACY_START: &[u8] = &[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
/// Entries of an archive at most; each tensor of a model has one.
const MAX_ENTRIES: usize = 200_000;

/// What is wrong with a TorchScript archive.
pub const SCRIPTED: &str = "it is a TorchScript archive, a program with its weights, as OpenAI publishes CLIP";

/// Where a storage's bytes lie in the file.
struct Extent {
    start: u64,
    bytes: u64,
}

/// The tensors of a zip archive. The error is half a sentence: what is wrong.
pub fn read_zip(file: &mut (impl Read + Seek)) -> Result<Vec<(String, Entry)>, String> {
    let length = file.seek(SeekFrom::End(0)).map_err(|e| e.to_string())?;
    let mut archive = zip::ZipArchive::new(&mut *file).map_err(|e| format!("its archive is damaged ({e})"))?;
    if archive.len() > MAX_ENTRIES {
        return Err(format!("its archive has more than {MAX_ENTRIES} entries"));
    }
    let mut extents = BTreeMap::new();
    let mut root = None;
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(|e| format!("its archive is damaged ({e})"))?;
        let name = entry.name().to_owned();
        if matches!(name.split('/').nth(1), Some("code" | "constants.pkl")) {
            return Err(SCRIPTED.into());
        }
        let (start, bytes) = (entry.data_start(), entry.size());
        if entry.compression() != zip::CompressionMethod::Stored || bytes != entry.compressed_size() {
            return Err(format!("{} is compressed, which PyTorch never does", pickle::shown(&name)));
        }
        if start.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(format!("{} reaches beyond the end of the file", pickle::shown(&name)));
        }
        if let Some(found) = name.strip_suffix("data.pkl")
            && root.replace(found.to_owned()).is_some()
        {
            return Err("its archive has more than one data.pkl".into());
        }
        extents.insert(name, Extent { start, bytes });
    }
    drop(archive);
    refuse_overlaps(&extents)?;
    let root = root.ok_or("its archive has no data.pkl, so it is not of PyTorch")?;
    let mut part = |name: &str, limit: usize| match extents.get(&format!("{root}{name}")) {
        Some(extent) => read_at(file, extent.start, extent.bytes, limit).map(Some),
        None => Ok(None),
    };
    if part("byteorder", 64)?.is_some_and(|order| order.trim_ascii() != b"little") {
        return Err("its numbers are big-endian".into());
    }
    let pickle =
        pickle::read(&part("data.pkl", MAX_BYTES)?.ok_or("its archive has no data.pkl, so it is not of PyTorch")?)?;
    let state = pickle.state_dict()?;
    let place = |tensor: &Tensor| extents.get(&format!("{root}data/{}", tensor.storage.key));
    state.into_iter().map(|(name, tensor)| entry(&name, &tensor, place(&tensor))).collect()
}

/// The tensors of a file in the layout before 1.6. The error is half a sentence: what is wrong.
pub fn read_legacy(file: &mut (impl Read + Seek)) -> Result<Vec<(String, Entry)>, String> {
    let length = file.seek(SeekFrom::End(0)).map_err(|e| e.to_string())?;
    let window = usize::try_from(length).unwrap_or(MAX_BYTES).min(MAX_BYTES);
    let window = read_at(file, 0, window as u64, MAX_BYTES)?;
    let mut at = 0;
    let mut next = || -> Result<Pickle, String> {
        let found = pickle::read(window.get(at..).ok_or("it is cut short")?)?;
        at += found.end;
        Ok(found)
    };
    if !matches!(next()?.root, Value::Int(MAGIC)) {
        return Err("it does not start as PyTorch's files do".into());
    }
    // Protocol version and system: little-endian machines write the same, whatever stands there.
    next()?;
    next()?;
    let (object, keys) = (next()?, next()?);
    let state = object.state_dict()?;
    let mut storages: BTreeMap<Rc<str>, (Kind, usize)> = BTreeMap::new();
    for storage in object.storages() {
        storages.insert(storage.key.clone(), (storage.kind, storage.count));
    }
    let (mut start, mut extents) = (at as u64, BTreeMap::new());
    for key in keys.items(&keys.root).ok_or("it has no list of storages")? {
        let Value::Text(key) = key else { return Err("a storage's key is no text".into()) };
        let (kind, count) =
            storages.get(key).ok_or_else(|| format!("nothing refers to its storage {}", pickle::shown(key)))?;
        let stated = read_at(file, start, 8, 8)?;
        let bytes = count.checked_mul(kind.bytes()).ok_or("a storage is larger than any memory")? as u64;
        if stated != (*count as u64).to_le_bytes() {
            return Err(format!("its storage {} has two different sizes", pickle::shown(key)));
        }
        start += 8;
        if start.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(format!("its storage {} reaches beyond the end of the file", pickle::shown(key)));
        }
        extents.insert(key.clone(), Extent { start, bytes });
        start += bytes;
    }
    state.into_iter().map(|(name, tensor)| entry(&name, &tensor, extents.get(&tensor.storage.key))).collect()
}

fn refuse_overlaps(extents: &BTreeMap<String, Extent>) -> Result<(), String> {
    let mut sorted: Vec<(&String, &Extent)> = extents.iter().filter(|(_, extent)| extent.bytes > 0).collect();
    sorted.sort_by_key(|(_, extent)| extent.start);
    let overlap = sorted.windows(2).find_map(|pair| match pair {
        [(one, a), (other, b)] if a.start + a.bytes > b.start => Some((one, other)),
        _ => None,
    });
    match overlap {
        Some((one, other)) => Err(format!("{} and {} overlap", pickle::shown(one), pickle::shown(other))),
        None => Ok(()),
    }
}

/// A tensor's place in the file, checked against its storage's.
fn entry(name: &str, tensor: &Tensor, extent: Option<&Extent>) -> Result<(String, Entry), String> {
    let said = || pickle::shown(name);
    let storage = &tensor.storage;
    let extent = extent.ok_or_else(|| format!("the storage of {} is not in the file", said()))?;
    let beyond = || format!("{} reaches beyond its storage", said());
    let size = storage.kind.bytes();
    if storage.count.checked_mul(size).is_none_or(|bytes| bytes as u64 != extent.bytes) {
        return Err(format!("the storage of {} has two different sizes", said()));
    }
    let count = tensor.dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).ok_or_else(beyond)?;
    if tensor.offset.checked_add(count).is_none_or(|end| end > storage.count) {
        return Err(beyond());
    }
    let mut expected = 1usize;
    let row_major = tensor.dims.iter().zip(&tensor.strides).rev().all(|(dim, stride)| {
        let fits = *dim == 1 || *stride == expected;
        expected = expected.saturating_mul(*dim);
        fits
    });
    let strides = (!row_major).then(|| tensor.strides.clone());
    let start = extent.start + (tensor.offset * size) as u64;
    Ok((name.to_owned(), Entry { dims: tensor.dims.clone(), kind: storage.kind, start, strides, file: 0 }))
}

fn read_at(file: &mut (impl Read + Seek), start: u64, bytes: u64, limit: usize) -> Result<Vec<u8>, String> {
    let count = usize::try_from(bytes)
        .ok()
        .filter(|n| *n <= limit)
        .ok_or_else(|| format!("a part that describes the tensors has {bytes} bytes, more than {limit}"))?;
    let mut buffer = vec![0; count];
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_exact(&mut buffer))
        .map_err(|e| format!("it cannot be read ({e})"))?;
    Ok(buffer)
}
