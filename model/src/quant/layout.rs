//! Where each tensor of a weights file lies, from shapes alone: what a model of any size would take, and how it is cut
//! into several files.

use super::block::{BLOCK, CodeWidth, stays_plain};
use serde_json::json;
use std::collections::BTreeMap;

/// One tensor of the safetensors file; files hold them in this order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// Wide types come first, so that each is aligned to its size.
    order: u8,
    /// Its name in the file.
    pub name: String,
    dtype: &'static str,
    dims: Vec<usize>,
    bytes: usize,
}

/// How the tensor `name` is stored: as itself, or as scales and codes. What its shape doesn't show joins `metadata`.
pub(super) fn slots(
    name: &str,
    dims: &[usize],
    width: Option<CodeWidth>,
    metadata: &mut BTreeMap<String, String>,
) -> Vec<Slot> {
    let elements: usize = dims.iter().product();
    let Some(width) = width.filter(|_| !stays_plain(dims)) else {
        return vec![Slot { order: 0, name: name.to_owned(), dtype: "F32", dims: dims.to_vec(), bytes: 4 * elements }];
    };
    let rows = dims.first().copied().unwrap_or(1).max(1);
    let columns = elements / rows;
    let row_bytes = width.row_bytes(columns);
    let blocks = columns.div_ceil(BLOCK);
    let pairs = width == CodeWidth::Q4;
    let (dtype, shape) = if pairs { ("U8", vec![rows, row_bytes]) } else { ("I8", dims.to_vec()) };
    // Two codes a byte hide an odd width and all but two dimensions.
    if pairs && (dims.len() != 2 || dims.get(1).is_some_and(|c| c % 2 == 1)) {
        metadata.insert(format!("dims.{name}"), json!(dims).to_string());
    }
    let scales = Slot {
        order: 1,
        name: format!("{name}.scale"),
        dtype: "F16",
        dims: vec![rows, blocks],
        bytes: 2 * rows * blocks,
    };
    vec![
        scales,
        Slot { order: 2, name: format!("{name}.{}", width.format()), dtype, dims: shape, bytes: rows * row_bytes },
    ]
}

/// The file's header, padded. The `safetensors` crate keeps metadata in a hash map, whose order differs from run to run;
/// content-hashed files need the same bytes every time.
pub(super) fn header<'a>(slots: impl Iterator<Item = &'a Slot>, metadata: &BTreeMap<String, String>) -> String {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), json!(metadata));
    let mut at = 0;
    for slot in slots {
        let end = at + slot.bytes;
        header.insert(slot.name.clone(), json!({"dtype": slot.dtype, "shape": slot.dims, "data_offsets": [at, end]}));
        at = end;
    }
    let mut text = serde_json::Value::Object(header).to_string();
    // The format allows trailing spaces; they align the data to 8 bytes.
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    text
}

/// Bytes of the file that [`super::write_weights`] makes of tensors of these names and shapes.
pub fn file_bytes<'a>(
    shapes: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    width: impl Fn(&str, &[usize]) -> Option<CodeWidth>,
    meta: &BTreeMap<String, String>,
) -> u64 {
    let mut metadata = super::file::described(meta);
    let mut all: Vec<Slot> = Vec::new();
    for (name, dims) in shapes {
        all.extend(slots(name, dims, width(name, dims), &mut metadata));
    }
    all.sort();
    let data: u64 = all.iter().map(|slot| slot.bytes as u64).sum();
    8 + header(all.iter(), &metadata).len() as u64 + data
}

/// Cuts a model into files that hold at most `limit` bytes of tensors each, in the order given. A tensor that is larger
/// has a file of its own. Gives the names of each file.
pub fn split<'a>(
    shapes: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    width: impl Fn(&str, &[usize]) -> Option<CodeWidth>,
    limit: u64,
) -> Vec<Vec<&'a str>> {
    let (mut files, mut held) = (Vec::<Vec<&str>>::new(), 0);
    for (name, dims) in shapes {
        let bytes: u64 =
            slots(name, dims, width(name, dims), &mut BTreeMap::new()).iter().map(|s| s.bytes as u64).sum();
        match files.last_mut().filter(|_| held + bytes <= limit) {
            Some(file) => {
                file.push(name);
                held += bytes;
            }
            None => {
                files.push(vec![name]);
                held = bytes;
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_cut_between_tensors() {
        let shapes = [("a", vec![64, 64]), ("b", vec![64, 64]), ("c", vec![640, 64]), ("d", vec![8])];
        let cut = |limit| split(shapes.iter().map(|(n, d)| (*n, d.as_slice())), |_, _| Some(CodeWidth::Q8), limit);
        // 64 × 64 codes and 64 × 2 scales of two bytes.
        assert_eq!(cut(2 * (4096 + 256)), [vec!["a", "b"], vec!["c"], vec!["d"]]);
        assert_eq!(cut(2 * (4096 + 256) - 1), [vec!["a"], vec!["b"], vec!["c"], vec!["d"]]);
        assert_eq!(cut(0).len(), 4, "no file without a tensor");
        assert_eq!(cut(u64::MAX), [vec!["a", "b", "c", "d"]]);
    }
}
