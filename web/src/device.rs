//! The one place that chooses the device: each build has one, and WebGPU must be awaited before the first tensor.

use crate::error::{WebError, WebResult};
use burn::tensor::Device;

/// What this build runs on, as the page names it.
pub const NAME: &str = if cfg!(feature = "webgpu") { "webgpu" } else { "cpu" };

/// Starts the device. Call once a worker.
///
/// # Errors
/// Kind `device` where the page asks for what this build has not, or the browser gives no WebGPU device.
pub async fn open(wanted: &str) -> WebResult<Device> {
    if wanted != NAME {
        return Err(WebError::new("device", format!("this module runs on {NAME}, not on {wanted}"), "reload the page"));
    }
    start().await
}

#[cfg(not(feature = "webgpu"))]
async fn start() -> WebResult<Device> {
    Ok(Device::flex())
}

#[cfg(feature = "webgpu")]
async fn start() -> WebResult<Device> {
    Device::wgpu_options()
        .init_async()
        .await
        .map_err(|e| WebError::new("device", format!("WebGPU did not start: {e}"), "use the CPU"))
}
