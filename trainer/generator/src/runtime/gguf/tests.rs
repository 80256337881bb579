//! A writer of small GGUF files, and what the reader makes of whole and damaged ones.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

/// A GGUF file under construction.
#[derive(Default)]
pub struct Writer {
    values: Vec<u8>,
    count: u64,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl Writer {
    pub fn value(mut self, key: &str, kind: u32, bytes: &[u8]) -> Self {
        text(&mut self.values, key);
        self.values.extend(kind.to_le_bytes());
        self.values.extend(bytes);
        self.count += 1;
        self
    }
    pub fn text(self, key: &str, value: &str) -> Self {
        let mut bytes = Vec::new();
        text(&mut bytes, value);
        self.value(key, 8, &bytes)
    }
    pub fn whole(self, key: &str, value: u32) -> Self {
        self.value(key, 4, &value.to_le_bytes())
    }
    pub fn tensor(mut self, name: &str, dims: &[u64], kind: u32, data: Vec<u8>) -> Self {
        self.tensors.push((name.into(), dims.to_vec(), kind, data));
        self
    }
    pub fn bytes(self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend(self.count.to_le_bytes());
        out.extend(self.values);
        let mut data = Vec::new();
        for (name, dims, kind, bytes) in self.tensors {
            text(&mut out, &name);
            out.extend((dims.len() as u32).to_le_bytes());
            dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().div_ceil(32) * 32, 0);
        }
        out.resize(out.len().div_ceil(32) * 32, 0);
        out.extend(data);
        out
    }
}

fn sample() -> Writer {
    let floats = [1.5f32, -2.0, 0.25, 8.0, 0.0, 1.0];
    Writer::default()
        .text("general.architecture", "llama")
        .whole("llama.block_count", 2)
        .value("numbers", 9, &[4u32.to_le_bytes().as_slice(), &2u64.to_le_bytes(), &[1, 0, 0, 0, 2, 0, 0, 0]].concat())
        .tensor("a", &[3, 2], 0, floats.iter().flat_map(|x| x.to_le_bytes()).collect())
}

#[test]
fn values_and_tensors_come_back() {
    let bytes = sample().bytes();
    let file = Gguf::parse(&bytes, "x.gguf").unwrap();
    assert_eq!(file.text("general.architecture"), Some("llama"));
    assert_eq!(file.whole("llama.block_count"), Some(2));
    assert_eq!(file.wholes("numbers"), Some(vec![1, 2]));
    assert_eq!(file.tensor("a").unwrap(), Some((vec![2, 3], vec![1.5, -2.0, 0.25, 8.0, 0.0, 1.0])));
    assert_eq!(file.tensor("b").unwrap(), None);
}

#[test]
fn every_prefix_of_a_file_is_refused_in_one_sentence() {
    let bytes = sample().bytes();
    // The padding after the last tensor may go.
    for end in 0..bytes.len() - 8 {
        let problem = Gguf::parse(&bytes[..end], "x.gguf").err().map(|e| e.to_string()).unwrap_or_default();
        assert!(problem.starts_with("x.gguf: ") && !problem.contains('\n'), "{end}: {problem}");
    }
}

#[test]
fn absurd_sizes_and_unknown_kinds_are_refused_before_anything_is_allocated() {
    let refused = |bytes: &[u8], words: &str| {
        let problem = Gguf::parse(bytes, "x.gguf").err().map(|e| e.to_string()).unwrap_or_default();
        assert!(problem.contains(words), "{problem}");
    };
    let mut bytes = sample().bytes();
    bytes[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&bytes, "cut short or damaged");
    refused(&Writer::default().tensor("big", &[1 << 40, 1 << 40], 0, vec![0; 4]).bytes(), "'big'");
    refused(&Writer::default().tensor("big", &[1 << 33, 1 << 3], 0, vec![0; 4]).bytes(), "beyond the file");
    refused(&Writer::default().tensor("odd", &[33], 8, vec![0; 68]).bytes(), "makes no sense");
    refused(&Writer::default().tensor("k", &[256], 12, vec![0; 144]).bytes(), "Q4_K");
    let list = [8u32.to_le_bytes().as_slice(), &(1u64 << 60).to_le_bytes()].concat();
    refused(&Writer::default().value("tokens", 9, &list).bytes(), "'tokens'");
    refused(b"PK\x03\x04", "not a GGUF file");
    let mut bytes = sample().bytes();
    bytes[4] = 9;
    refused(&bytes, "version 9");
    let nan = Writer::default().tensor("a", &[1], 0, f32::NAN.to_le_bytes().to_vec()).bytes();
    assert!(Gguf::parse(&nan, "x").unwrap().tensor("a").is_err());
}
