//! The burn modules: the Q-Former and the image encoders.

pub mod basic;
pub mod efficientnet;
pub mod encoder;
pub mod noise;
pub mod qformer;
pub mod vit;

pub use encoder::ImageEncoder;
pub use noise::Noise;
pub use qformer::{ImageKeys, QFormer, TextBatch};
