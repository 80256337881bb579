//! The burn modules: the Q-Former, the text towers and the image encoders.

pub mod adapter;
pub mod basic;
pub mod colours;
pub mod efficientnet;
pub mod encoder;
pub mod fusion;
pub mod image_head;
pub mod noise;
pub mod pre_norm;
pub mod qformer;
#[cfg(any(feature = "matching", feature = "two-pass"))]
pub mod rollout;
pub mod text_tower;
pub mod vit;

pub use encoder::ImageEncoder;
pub use noise::Noise;
pub use qformer::{ImageKeys, QFormer, TextBatch};
pub use text_tower::TextTower;
