//! Safetensors files written one tensor at a time, so that a model of any size passes through little memory.

use crate::error::{Result, TrainerError};
use crate::formats::Formats;
use crate::fsx;
use half::{bf16, f16};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use thisbut_model::number::NumberFormat;

/// How numbers may be stored.
pub const FORMATS: Formats = Formats(&[
    (NumberFormat::F32, "4 bytes a number"),
    (NumberFormat::F16, "2 bytes a number, as LAVIS runs its image encoder"),
    (NumberFormat::Bf16, "2 bytes a number, with f32's range"),
]);

/// The bytes of `values` in `format`, little-endian. `name` is for the message.
///
/// # Errors
/// [`TrainerError::Checkpoint`] when a value is too large for f16, and `ModelError::NumberFormat` for a format that is
/// none of [`FORMATS`].
fn encode(format: NumberFormat, name: &str, values: &[f32]) -> Result<Vec<u8>> {
    Ok(match format {
        NumberFormat::F32 => bytemuck::cast_slice(values).to_vec(),
        NumberFormat::F16 => {
            let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            if largest > f16::MAX.to_f32() {
                let problem = format!("it holds {largest:e}, more than f16 can");
                return Err(TrainerError::checkpoint(name, problem, "choose bf16 or f32"));
            }
            values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
        }
        NumberFormat::Bf16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
        NumberFormat::F64 | NumberFormat::Int8 | NumberFormat::Q8 | NumberFormat::Q4 => {
            return Err(format.refused(name, &NumberFormat::FLOATS).into());
        }
    })
}

/// A tensor that will be written.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its sizes.
    pub dims: Vec<usize>,
    /// How its numbers are stored.
    pub precision: NumberFormat,
}

impl Planned {
    /// Bytes in the file.
    pub fn bytes(&self) -> u64 {
        self.dims.iter().map(|d| *d as u64).product::<u64>() * self.precision.row_bytes(1) as u64
    }
}

/// Writes `tensors` to `path` in their order, with `metadata` in the header. `read` gives the values of a tensor by its number;
/// `progress` is told bytes done and bytes in all.
///
/// # Errors
/// When `read` fails, gives another number of values than planned, or the file cannot be written; then there is no file.
pub fn write(
    path: &Path,
    tensors: &[Planned],
    metadata: &BTreeMap<String, String>,
    read: &mut dyn FnMut(usize) -> Result<Vec<f32>>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut all = 0;
    for tensor in tensors {
        let start = all;
        all += tensor.bytes();
        // The format's own spelling, in capitals.
        let (dtype, shape) = (tensor.precision.name().to_uppercase(), &tensor.dims);
        let about = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, all]});
        header.insert(tensor.name.clone(), about);
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // The format allows trailing spaces; they align the numbers.
    header.resize(header.len().next_multiple_of(8), b' ');
    fsx::write_atomic_from(path, |out, io| {
        out.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
        out.write_all(&header).map_err(io)?;
        let mut done = 0;
        for (at, tensor) in tensors.iter().enumerate() {
            out.write_all(&encoded(tensor, read(at)?)?).map_err(io)?;
            done += tensor.bytes();
            progress(done, all);
        }
        Ok(())
    })
}

/// The bytes of a planned tensor.
///
/// # Errors
/// When `values` are not as many as planned, or do not fit the precision.
pub fn encoded(tensor: &Planned, values: Vec<f32>) -> Result<Vec<u8>> {
    let bytes = encode(tensor.precision, &tensor.name, &values)?;
    if bytes.len() as u64 != tensor.bytes() {
        let problem = format!("{} values do not make the shape {:?}", values.len(), tensor.dims);
        return Err(TrainerError::checkpoint(&tensor.name, problem, "use weights made for this architecture"));
    }
    Ok(bytes)
}
