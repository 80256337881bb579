//! Q8 and Q4 block quantization: codes and scales ↔ f32, and the safetensors layout that carries them.

mod block;
mod file;
mod layout;
mod stored;

pub use block::{BLOCK, CodeWidth, MIN_QUANTIZED, QuantizedTensor, WEIGHT_FORMATS, stays_plain};
pub use file::{FORMAT, VERSION, WeightMap, read_metadata, read_weights, write_weights};
pub use layout::{file_bytes, split};
pub use stored::StoredWeights;
