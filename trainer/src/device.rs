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
/// [`TrainerError::Settings`] when this build has no such device, or the machine none.
pub fn choose(kind: DeviceKind) -> Result<Device> {
    match kind {
        DeviceKind::Cpu => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => {
            let mend = "check that `nvidia-smi` lists the card, or use --device cpu";
            present(burn::tensor::DeviceType::Cuda, "--device cuda", mend)?;
            Ok(Device::cuda(0_usize))
        }
        #[cfg(feature = "wgpu")]
        DeviceKind::Wgpu => {
            let mend = "install the graphics card's Vulkan driver (or Mesa's, for a software one), or use --device cpu";
            present(burn::tensor::DeviceType::Wgpu, "--device wgpu", mend)?;
            Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice))
        }
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

/// Refuses a kind of device that the machine does not have. burn panics where a driver is missing; here that is an answer.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn present(kind: burn::tensor::DeviceType, asked: &str, mend: &str) -> Result<()> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = std::panic::catch_unwind(|| !Device::enumerate(kind).into_vec().is_empty());
    std::panic::set_hook(hook);
    if found.unwrap_or(false) {
        Ok(())
    } else {
        Err(TrainerError::settings(asked, "this machine has no such device", mend))
    }
}
