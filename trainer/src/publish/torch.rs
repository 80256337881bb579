//! PyTorch's zip layout: `ROOT/data.pkl` with the pickled state dict, `ROOT/data/N` with each tensor's numbers.
//!
//! The pickle holds what a state dict needs and no more (protocol 2; dicts, texts, whole numbers, tuples, and the three names
//! that describe a tensor), so `torch.load(weights_only=True)` reads it.

use super::{Job, Weights};
use crate::error::{Result, TrainerError};
use crate::fsx;
use crate::import::float_storage;
use crate::tensor_file::{Planned, encoded};
use std::io::{BufWriter, Write};
use std::path::Path;
use thisbut_model::number::NumberFormat;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The archive's folder; PyTorch takes any name.
const ROOT: &str = "archive";
/// Storages start at multiples of this, as PyTorch's own do.
const ALIGNMENT: u16 = 64;
/// From here on an entry needs the zip format's long sizes.
const LARGE: u64 = 4_000_000_000;

/// Version that a checkpoint says it was written by: Lightning reads it before anything else.
const LIGHTNING: &str = "2.0.0";

/// Where a state dict stands in its file.
#[derive(Clone, Copy, Debug)]
pub enum KeptIn<'a> {
    /// Under "model" (LAVIS).
    Model,
    /// Under the name of its class, beside an epoch (SPRC).
    Class(&'a str),
    /// Under "state_dict", beside what PyTorch Lightning asks for.
    Lightning,
}

/// Writes `jobs` as one state dict.
pub fn write(
    path: &Path,
    kept_in: KeptIn,
    weights: &mut Weights,
    jobs: &[Job],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let all = jobs.iter().map(|job| job.planned.bytes()).sum();
    fsx::write_atomic_from(path, |out, io| {
        let failed = |e: zip::result::ZipError| io(std::io::Error::from(e));
        let mut archive = ZipWriter::new(out);
        let mut done = 0;
        let plain = pickle(jobs.iter().map(|job| &job.planned), kept_in)?;
        for (name, content) in [("data.pkl", plain.as_slice()), ("byteorder", b"little"), ("version", b"3\n")] {
            begin(&mut archive, name, content.len() as u64).map_err(failed)?;
            archive.write_all(content).map_err(io)?;
        }
        for (at, job) in jobs.iter().enumerate() {
            let bytes = encoded(&job.planned, weights.values(job)?)?;
            begin(&mut archive, &format!("data/{at}"), job.planned.bytes()).map_err(failed)?;
            archive.write_all(&bytes).map_err(io)?;
            done += job.planned.bytes();
            progress(done, all);
        }
        archive.finish().map(drop).map_err(failed)
    })
}

type Archive<'a, 'b> = ZipWriter<&'a mut BufWriter<&'b mut std::fs::File>>;

fn begin(archive: &mut Archive, name: &str, bytes: u64) -> zip::result::ZipResult<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(bytes >= LARGE)
        .with_alignment(ALIGNMENT);
    archive.start_file(format!("{ROOT}/{name}"), options)
}

/// The pickle of the state dict of `tensors`, whose storages are numbered in their order.
fn pickle<'a>(tensors: impl Iterator<Item = &'a Planned>, kept_in: KeptIn) -> Result<Vec<u8>> {
    let mut out = b"\x80\x02}(".to_vec();
    match kept_in {
        KeptIn::Model => text(&mut out, "model"),
        KeptIn::Class(class) => {
            text(&mut out, "epoch");
            int(&mut out, 0);
            text(&mut out, class);
        }
        KeptIn::Lightning => {
            for count in ["epoch", "global_step"] {
                text(&mut out, count);
                int(&mut out, 0);
            }
            text(&mut out, "pytorch-lightning_version");
            text(&mut out, LIGHTNING);
            text(&mut out, "state_dict");
        }
    }
    out.extend(b"ccollections\nOrderedDict\n)R(");
    for (at, tensor) in tensors.enumerate() {
        text(&mut out, &tensor.name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        let storage = float_storage(tensor.precision)
            .ok_or_else(|| tensor.precision.refused(&tensor.name, &NumberFormat::FLOATS))?;
        out.extend(format!("ctorch\n{storage}\n").bytes());
        text(&mut out, &at.to_string());
        text(&mut out, "cpu");
        int(&mut out, tensor.dims.iter().product());
        // The persistent id ends; first number, sizes, steps, no gradient, no hooks.
        out.extend(b"tQ");
        int(&mut out, 0);
        tuple(&mut out, &tensor.dims);
        let mut step = 1;
        let mut strides: Vec<usize> = Vec::with_capacity(tensor.dims.len());
        for dim in tensor.dims.iter().rev() {
            strides.push(step);
            step *= dim;
        }
        strides.reverse();
        tuple(&mut out, &strides);
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"uu.");
    Ok(out)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn int(out: &mut Vec<u8>, value: usize) {
    match (u8::try_from(value), i32::try_from(value)) {
        (Ok(small), _) => out.extend([b'K', small]),
        (_, Ok(middle)) => {
            out.push(b'J');
            out.extend(middle.to_le_bytes());
        }
        _ => {
            // Nine bytes, so that the highest bit is never a sign.
            out.extend([0x8a, 9]);
            out.extend((value as u64).to_le_bytes());
            out.push(0);
        }
    }
}

fn tuple(out: &mut Vec<u8>, values: &[usize]) {
    out.push(b'(');
    values.iter().for_each(|value| int(out, *value));
    out.push(b't');
}

/// A class's name as Python has them.
pub fn check_class(class: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if class.is_empty() || class.len() > 200 || !class.bytes().all(plain) {
        return Err(TrainerError::settings(
            format!("--class {class}"),
            "is no name of a class",
            "give it as in Python",
        ));
    }
    Ok(())
}
