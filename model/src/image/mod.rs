//! RGBA bytes on their way to the image encoder: pad, resize, crop, normalise; and whether a JPEG has all of its picture.

mod frame;
pub mod jpeg;
mod pad;
mod preprocess;
mod resize;
mod rows;

pub use frame::Frame;
pub use pad::target_pad;
pub use preprocess::{Filter, Fit, MAX_PIXELS, MAX_SIDE, PreprocessConfig, Rgba, preprocess, preprocess_u8};
