//! How the benches measure: one JSON line each, in the form that `bench/peers/torch_peer.py` prints for the same shapes.

use super::Outcome;
use burn::tensor::{Device, Tensor, TensorData};
use std::time::{Duration, Instant};

/// How long to measure, and with how many threads.
pub struct Bench {
    /// Threads of the pool.
    pub threads: usize,
    /// Seconds to repeat each measurement.
    pub seconds: f64,
}

impl Bench {
    /// Runs `step` for the time given, `least` times at least, and prints what it took.
    pub fn measure(&self, name: &str, shape: &str, least: usize, mut step: impl FnMut() -> Outcome) -> Outcome {
        for _ in 0..if least > 3 { 3 } else { 1 } {
            step()?;
        }
        let (mut times, used, start) = (Vec::new(), processor_time(), Instant::now());
        while times.len() < least || start.elapsed() < Duration::from_secs_f64(self.seconds) {
            let before = Instant::now();
            step()?;
            times.push(before.elapsed().as_secs_f64() * 1e3);
        }
        let busy = (processor_time() - used) / times.len() as f64;
        times.sort_by(f64::total_cmp);
        let round = |x: f64| (x * 1e3).round() / 1e3;
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!(
            "{}",
            serde_json::json!({
                "name": name, "peer": "thisbut", "shape": shape, "median_ms": round(times[times.len() / 2]),
                "min_ms": round(times[0]), "max_ms": round(times[times.len() - 1]), "cpu_ms": round(busy),
                "runs": times.len(), "threads": self.threads,
                "load": load.split(' ').next().and_then(|x| x.parse::<f64>().ok()),
            })
        );
        Ok(())
    }
}

/// Processor time of all threads so far, in milliseconds (Linux; elsewhere 0). The kernel counts in hundredths.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|x| x.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) * 10.0
}

/// Values between −1 and 1 without a pattern that a kernel could profit from.
pub fn wave<const D: usize>(dims: [usize; D], device: &Device) -> Tensor<D> {
    let count: usize = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|i| ((i * 7919 % 100_003) as f32 / 50_001.5) - 1.0).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}
