//! The one place that turns `--device` into a burn device.

use crate::error::{Result, TrainerError};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// What to compute on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// This machine's processor.
    #[default]
    Cpu,
    /// The first CUDA card; needs a build with `--features cuda`.
    Cuda,
    /// The first graphics adapter that wgpu finds; needs a build with `--features wgpu`.
    Wgpu,
}

/// The burn device for `kind`.
///
/// # Errors
/// [`TrainerError::Settings`] when this build has no such device.
pub fn choose(kind: DeviceKind) -> Result<Device> {
    match kind {
        DeviceKind::Cpu => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Ok(Device::cuda(0_usize)),
        #[cfg(feature = "wgpu")]
        DeviceKind::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[allow(unreachable_patterns)] // reached in builds without the features
        other => {
            let name = format!("{other:?}").to_lowercase();
            Err(TrainerError::settings(
                format!("--device {name}"),
                "this build was made without it",
                format!("build with `cargo build --release --features {name}`, or use --device cpu"),
            ))
        }
    }
}
