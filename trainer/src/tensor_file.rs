//! Safetensors files written one tensor at a time, so that a model of any size passes through little memory.

use crate::error::{Result, TrainerError};
use crate::fsx;
use crate::import::Kind;
use half::{bf16, f16};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// How numbers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// 4 bytes a number.
    F32,
    /// 2 bytes a number, as LAVIS runs its image encoder.
    #[default]
    F16,
    /// 2 bytes a number, with f32's range.
    Bf16,
}

impl Precision {
    /// What keeps numbers of `kind` as they are; f32 for the wider ones.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::F16 => Self::F16,
            Kind::Bf16 => Self::Bf16,
            Kind::F32 | Kind::F64 | Kind::Whole(_) => Self::F32,
        }
    }

    /// The name in a safetensors header.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The bytes of `values`, little-endian. `name` is for the message.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when a value is too large for f16.
    pub fn encode(self, name: &str, values: &[f32]) -> Result<Vec<u8>> {
        Ok(match self {
            Self::F32 => bytemuck::cast_slice(values).to_vec(),
            Self::F16 => {
                let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                if largest > f16::MAX.to_f32() {
                    let problem = format!("it holds {largest:e}, more than f16 can");
                    return Err(TrainerError::checkpoint(name, problem, "choose bf16 or f32"));
                }
                values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
            }
            Self::Bf16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
        })
    }
}

/// A tensor that will be written.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its sizes.
    pub dims: Vec<usize>,
    /// How its numbers are stored.
    pub precision: Precision,
}

impl Planned {
    /// Bytes in the file.
    pub fn bytes(&self) -> u64 {
        self.dims.iter().map(|d| *d as u64).product::<u64>() * self.precision.bytes() as u64
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
        let (dtype, shape) = (tensor.precision.name(), &tensor.dims);
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
    let bytes = tensor.precision.encode(&tensor.name, &values)?;
    if bytes.len() as u64 != tensor.bytes() {
        let problem = format!("{} values do not make the shape {:?}", values.len(), tensor.dims);
        return Err(TrainerError::checkpoint(&tensor.name, problem, "use weights made for this architecture"));
    }
    Ok(bytes)
}
