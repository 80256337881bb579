//! A run's metrics as TensorBoard reads them: an events file of scalar summaries beside `metrics.jsonl`, made anew from it
//! when a run goes on.
//!
//! A record is its length (u64, little-endian), the masked CRC-32C of these eight bytes, a protobuf `Event`, and the masked
//! CRC-32C of that (TFRecord). An `Event` has wall time (1, double), step (2, int64), the file's version (3, string) in the
//! first, and a summary (5) of values (1), each with tag (1, string) and simple value (2, float).

use crate::error::{Result, TrainerError};
use crate::fsx;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The events file; TensorBoard looks for "tfevents" in names.
pub const NAME: &str = "events.out.tfevents.thisbut";
/// What the first record says.
const VERSION: &[u8] = b"brain.Event:2";
/// CRC-32C's polynomial, its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// What TFRecord adds to a rotated checksum.
const MASK: u32 = 0xa282_ead8;

/// The events file of a run.
pub struct Board {
    file: std::fs::File,
    path: PathBuf,
}

impl Board {
    /// Opens the file in `folder`, with what its `metrics.jsonl` has up to `step`.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open(folder: &Path, step: usize) -> Result<Self> {
        let path = folder.join(NAME);
        let mut first = number(1, 0.0);
        bytes_field(&mut first, 3, VERSION);
        let mut content = record(&first);
        for line in fsx::read_text(&folder.join("metrics.jsonl"), fsx::TABLE)?.lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            match line["step"].as_u64() {
                Some(at) if at as usize <= step => content.extend(event(at as usize, &line)),
                _ => {}
            }
        }
        fsx::write_atomic(&path, &content)?;
        let file = std::fs::OpenOptions::new().append(true).open(&path);
        let file = file.map_err(|e| TrainerError::io(&path, "write", e, "check the run folder"))?;
        Ok(Self { file, path })
    }

    /// Adds the numbers of a metrics line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn scalars(&mut self, step: usize, line: &Value) -> Result<()> {
        self.file
            .write_all(&event(step, line))
            .map_err(|e| TrainerError::io(&self.path, "write", e, "check free space"))
    }
}

/// A record of all numbers of a metrics line; empty when it has none.
fn event(step: usize, line: &Value) -> Vec<u8> {
    let mut summary = Vec::new();
    values("", line, &mut summary);
    if summary.is_empty() {
        return Vec::new();
    }
    let mut event = number(1, line["wall_time"].as_f64().unwrap_or(0.0));
    varint(&mut event, 2 << 3);
    varint(&mut event, step as u64);
    bytes_field(&mut event, 5, &summary);
    record(&event)
}

/// Adds each number of `value` to a summary, names of inner objects joined by a slash.
fn values(name: &str, value: &Value, summary: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| !matches!(key.as_str(), "step" | "wall_time")) {
                let inner = if name.is_empty() { key.clone() } else { format!("{name}/{key}") };
                values(&inner, value, summary);
            }
        }
        Value::Number(found) => {
            let mut value = Vec::new();
            bytes_field(&mut value, 1, name.as_bytes());
            varint(&mut value, (2 << 3) | 5);
            value.extend((found.as_f64().unwrap_or(f64::NAN) as f32).to_le_bytes());
            bytes_field(summary, 1, &value);
        }
        _ => {}
    }
}

/// A field of type double.
fn number(field: u64, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, (field << 3) | 1);
    out.extend(value.to_le_bytes());
    out
}

fn bytes_field(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, (field << 3) | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked(data).to_le_bytes());
    out
}

fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(MASK)
}

/// The remainder of each byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut rest, mut bit) = (byte as u32, 0);
        while bit < 8 {
            rest = if rest & 1 == 1 { (rest >> 1) ^ POLYNOMIAL } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |rest: u32, byte| (rest >> 8) ^ TABLE[usize::from(rest as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use serde_json::json;

    /// CRC-32C by its definition: division of the message polynomial, most significant bit first, of reflected bytes.
    fn by_division(data: &[u8]) -> u32 {
        let mut rest = !0u32;
        for byte in data {
            for bit in 0..8 {
                let incoming = u32::from(byte >> bit & 1);
                let out = (rest >> 31) ^ incoming;
                rest = (rest << 1) ^ if out == 1 { 0x1edc_6f41 } else { 0 };
            }
        }
        !rest.reverse_bits()
    }

    fn read_varint(data: &mut &[u8]) -> u64 {
        let end = data.iter().position(|byte| byte & 0x80 == 0).unwrap();
        let value = data[..=end].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
        *data = &data[end + 1..];
        value
    }

    /// A message's fields: number, and the bytes of its value.
    fn fields(mut data: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        while !data.is_empty() {
            let key = read_varint(&mut data);
            let length = match key & 7 {
                0 => {
                    found.push((key >> 3, read_varint(&mut data).to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                5 => 4,
                2 => read_varint(&mut data) as usize,
                other => panic!("wire type {other}"),
            };
            found.push((key >> 3, data[..length].to_vec()));
            data = &data[length..];
        }
        found
    }

    type Event = (u64, f64, Vec<(String, f32)>);

    /// Step, wall time and scalars of each event of a file, whose checksums are right.
    fn read(path: &Path) -> Vec<Event> {
        let file = std::fs::read(path).unwrap();
        let mut rest = &file[..];
        let mut events = Vec::new();
        let checked = |data: &[u8], stored: &[u8]| {
            let crc = by_division(data);
            let expected = crc.rotate_right(15).wrapping_add(0xa282_ead8);
            assert_eq!(u32::from_le_bytes(stored.try_into().unwrap()), expected);
        };
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            checked(&rest[..8], &rest[8..12]);
            let data = &rest[12..12 + length];
            checked(data, &rest[12 + length..16 + length]);
            rest = &rest[16 + length..];
            let found = fields(data);
            let of = |number: u64| found.iter().find(|(n, _)| *n == number).map(|(_, value)| value.clone());
            let Some(summary) = of(5) else {
                assert_eq!(of(3).unwrap(), b"brain.Event:2");
                continue;
            };
            let scalar = |value: &[u8]| {
                let parts = fields(value);
                let tag = String::from_utf8(parts[0].1.clone()).unwrap();
                (tag, f32::from_le_bytes(parts[1].1[..].try_into().unwrap()))
            };
            let scalars = fields(&summary).iter().map(|(_, value)| scalar(value)).collect();
            let number = |bytes: Vec<u8>| <[u8; 8]>::try_from(bytes).unwrap();
            events.push((
                u64::from_le_bytes(number(of(2).unwrap())),
                f64::from_le_bytes(number(of(1).unwrap())),
                scalars,
            ));
        }
        events
    }

    #[test]
    fn the_checksum_is_crc_32c() {
        for (data, expected) in [(&b"123456789"[..], 0xe306_9283), (&[0; 32], 0x8a91_36aa), (b"", 0)] {
            assert_eq!((crc32c(data), by_division(data)), (expected, expected));
        }
    }

    #[test]
    fn scalars_come_back_and_a_resumed_run_repeats_nothing() {
        let root = tempfile::tempdir().unwrap();
        let lines = [
            json!({"step": 1, "loss": 2.5, "wall_time": 1.5e9, "note": "x"}),
            json!({"step": 300, "loss": 0.5, "val": {"r1": 12.0, "groups": {"seen": {"r1": 3.0}}}, "wall_time": 2e9}),
        ];
        std::fs::write(root.path().join("metrics.jsonl"), format!("{}\n{}\n", lines[0], lines[1])).unwrap();
        let mut board = Board::open(root.path(), 1).unwrap();
        let one = (1, 1.5e9, vec![("loss".to_owned(), 2.5)]);
        assert_eq!(read(&root.path().join(NAME)), std::slice::from_ref(&one));
        board.scalars(300, &lines[1]).unwrap();
        let more = [("loss", 0.5), ("val/groups/seen/r1", 3.0), ("val/r1", 12.0)];
        let more = (300, 2e9, more.map(|(name, value)| (name.to_owned(), value)).to_vec());
        assert_eq!(read(&root.path().join(NAME)), [one, more.clone()]);
        drop(board);
        Board::open(root.path(), 300).unwrap();
        assert_eq!(read(&root.path().join(NAME)).last(), Some(&more));
    }
}
