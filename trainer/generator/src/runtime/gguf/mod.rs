//! Reads GGUF files (versions 2 and 3): metadata and tensors, from bytes that the caller holds.
//!
//! Every count and length in the file is checked against the bytes that are left before anything is allocated. Tensors are
//! dequantized to f32 one at a time.

use super::blocks::Kind;
use std::collections::BTreeMap;
use thisbut_model::error::{ModelError, Result};

/// Arrays within arrays that are followed.
const DEPTH: usize = 4;
/// Where tensors begin, unless the file says otherwise.
const ALIGNMENT: u64 = 32;

/// One metadata value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Whole(i128),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(&'a str),
    /// A list, not yet taken apart.
    List(List<'a>),
}

/// A metadata list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct List<'a> {
    kind: u32,
    count: usize,
    bytes: &'a [u8],
}

/// A tensor of the file.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// Outermost first, as in PyTorch; the file has them innermost first.
    dims: Vec<usize>,
    kind: Kind,
    start: usize,
    bytes: usize,
}

/// An open file.
pub struct Gguf<'a> {
    bytes: &'a [u8],
    place: String,
    metadata: BTreeMap<&'a str, Value<'a>>,
    tensors: BTreeMap<&'a str, Entry>,
}

/// Reads from the front of a slice.
struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

type Read<T> = std::result::Result<T, String>;

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count);
        let part = end.and_then(|end| self.all.get(self.at..end));
        let part = part.ok_or_else(|| format!("it is cut short (byte {} of {})", self.at, self.all.len()))?;
        self.at += count;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| "it is cut short".to_owned())
    }

    fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things that take at least `least` bytes each.
    fn count(&mut self, least: usize) -> Read<usize> {
        let count = self.u64()?;
        let left = (self.all.len() - self.at) / least.max(1);
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= left)
            .ok_or_else(|| format!("it is cut short or damaged: it promises {count} items where {left} can follow"))
    }

    fn text(&mut self) -> Read<&'a str> {
        let count = self.count(1)?;
        std::str::from_utf8(self.take(count)?).map_err(|_| format!("a text before byte {} is not UTF-8", self.at))
    }

    fn value(&mut self, kind: u32, depth: usize) -> Read<Value<'a>> {
        Ok(match kind {
            0 => Value::Whole(self.array::<1>()?[0].into()),
            1 => Value::Whole(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Whole(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Whole(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Whole(self.u32()?.into()),
            5 => Value::Whole(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 if depth < DEPTH => {
                let kind = self.u32()?;
                let size = size_of(kind);
                let count = self.count(size.unwrap_or(8))?;
                let start = self.at;
                match size {
                    Some(size) => {
                        self.take(count * size)?;
                    }
                    None => {
                        for _ in 0..count {
                            self.value(kind, depth + 1)?;
                        }
                    }
                }
                Value::List(List { kind, count, bytes: &self.all[start..self.at] })
            }
            10 => Value::Whole(self.u64()?.into()),
            11 => Value::Whole(i64::from_le_bytes(self.array()?).into()),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("a metadata value has the unknown kind {other}")),
        })
    }
}

/// Bytes of a metadata value of fixed size.
fn size_of(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

impl<'a> List<'a> {
    /// The values, one after another.
    fn values(self) -> impl Iterator<Item = Value<'a>> {
        let mut reader = Reader { all: self.bytes, at: 0 };
        // Lists inside were followed when the file was opened, from deeper down.
        (0..self.count).map(move |_| match reader.value(self.kind, 0) {
            Ok(value) => value,
            Err(problem) => unreachable!("a list that was read when its file was opened: {problem}"),
        })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Gguf<'a> {
    /// Reads metadata and the list of tensors; `place` names the file in errors.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the file is cut short, damaged, or not a GGUF file; [`ModelError::Version`] for another
    /// version.
    pub fn parse(bytes: &'a [u8], place: &str) -> Result<Self> {
        let mut file = Self { bytes, place: place.to_owned(), metadata: BTreeMap::new(), tensors: BTreeMap::new() };
        let mut reader = Reader { all: bytes, at: 0 };
        if reader.take(4).ok() != Some(&b"GGUF"[..]) {
            return Err(file.wrong("it is not a GGUF file"));
        }
        let version = reader.u32().map_err(|e| file.wrong(e))?;
        if !(2..=3).contains(&version) {
            return Err(ModelError::Version {
                place: place.to_owned(),
                found: version.to_string(),
                expected: "2 and 3".into(),
                mend: "convert it with a current llama.cpp".into(),
            });
        }
        file.read(&mut reader).map_err(|e| file.wrong(e))?;
        Ok(file)
    }

    fn read(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        // A tensor takes a name's length, a count of dimensions, a kind and an offset; a value a key's length, a kind, a byte.
        let tensors = reader.count(24)?;
        let values = reader.count(13)?;
        for _ in 0..values {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader.value(kind, 0).map_err(|e| format!("{}: {e}", shown(key)))?;
            self.metadata.insert(key, value);
        }
        let mut found = Vec::with_capacity(tensors);
        for _ in 0..tensors {
            let name = reader.text()?;
            let wrong = |problem: String| format!("tensor {}: {problem}", shown(name));
            let rank = reader.u32()?;
            if rank > 8 {
                return Err(wrong(format!("{rank} dimensions are too many")));
            }
            let mut dims = Vec::new();
            for _ in 0..rank {
                dims.insert(0, usize::try_from(reader.u64()?).map_err(|_| wrong("it is too large".into()))?);
            }
            let kind = Kind::of(reader.u32()?).map_err(wrong)?;
            found.push((name, dims, kind, reader.u64()?));
        }
        let alignment = match self.metadata.get("general.alignment") {
            Some(Value::Whole(n)) if (1..=1 << 20).contains(n) => *n as u64,
            None => ALIGNMENT,
            _ => return Err("general.alignment makes no sense".into()),
        };
        let data = (reader.at as u64).div_ceil(alignment) * alignment;
        for (name, dims, kind, offset) in found {
            let wrong = |problem: &str| format!("tensor {}: {problem}", shown(name));
            let bytes = kind.bytes(&dims).ok_or_else(|| wrong("its size makes no sense"))?;
            let start = data.checked_add(offset).and_then(|at| usize::try_from(at).ok());
            let end = start.and_then(|at| at.checked_add(bytes)).filter(|end| *end <= self.bytes.len());
            let (Some(start), Some(_)) = (start, end) else {
                return Err(wrong(&format!(
                    "it lies beyond the file's {} bytes: the file is cut short",
                    self.bytes.len()
                )));
            };
            if self.tensors.insert(name, Entry { dims, kind, start, bytes }).is_some() {
                return Err(wrong("it is there twice"));
            }
        }
        Ok(())
    }

    /// An error about this file.
    pub fn wrong(&self, problem: impl Into<String>) -> ModelError {
        ModelError::Format {
            place: self.place.clone(),
            problem: problem.into(),
            mend: "download it again, or give a Llama model in Q8_0, Q4_0, Q4_1, F16 or F32".into(),
        }
    }

    /// The file's name, as errors have it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// A metadata value.
    pub fn value(&self, key: &str) -> Option<Value<'a>> {
        self.metadata.get(key).copied()
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        match self.value(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative and below 2³².
    pub fn whole(&self, key: &str) -> Option<usize> {
        match self.value(key) {
            Some(Value::Whole(n)) => u32::try_from(n).ok().map(|n| n as usize),
            _ => None,
        }
    }

    /// A floating-point number.
    pub fn float(&self, key: &str) -> Option<f64> {
        match self.value(key) {
            Some(Value::Float(x)) => Some(x),
            _ => None,
        }
    }

    /// A truth value.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key) {
            Some(Value::Bool(x)) => Some(x),
            _ => None,
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Option<Vec<&'a str>> {
        let Some(Value::List(list)) = self.value(key) else { return None };
        list.values().map(|v| if let Value::Text(text) = v { Some(text) } else { None }).collect()
    }

    /// A list of whole numbers.
    pub fn wholes(&self, key: &str) -> Option<Vec<i64>> {
        let Some(Value::List(list)) = self.value(key) else { return None };
        list.values().map(|v| if let Value::Whole(n) = v { i64::try_from(n).ok() } else { None }).collect()
    }

    /// A list of floating-point numbers.
    pub fn floats(&self, key: &str) -> Option<Vec<f64>> {
        let Some(Value::List(list)) = self.value(key) else { return None };
        list.values().map(|v| if let Value::Float(x) = v { Some(x) } else { None }).collect()
    }

    /// Names of the tensors.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.tensors.keys().copied()
    }

    /// Sizes of a tensor, outermost first as in PyTorch.
    pub fn dims(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.dims.as_slice())
    }

    /// Sizes and dequantized values of a tensor; `None` when there is none of that name.
    ///
    /// # Errors
    /// [`ModelError::Format`] when it holds a value that is not finite.
    pub fn tensor(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let Some(entry) = self.tensors.get(name) else { return Ok(None) };
        // That it lies inside the file was checked when its entry was read.
        let values = entry.kind.values(&self.bytes[entry.start..entry.start + entry.bytes]);
        if values.iter().any(|v| !v.is_finite()) {
            return Err(self.wrong(format!("tensor {}: it holds a value that is not a finite number", shown(name))));
        }
        Ok(Some((entry.dims.clone(), values)))
    }
}

/// A name from a file, fit for a message.
pub(super) fn shown(name: &str) -> String {
    let short: String = name.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("'{short}'")
}

#[cfg(test)]
pub(super) mod tests;
