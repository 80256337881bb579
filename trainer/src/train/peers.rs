//! Several devices on one batch: adding up what each of them has.
//!
//! Each device is served by a thread of its own with a replica of the model. What they exchange are sums: gradients, and
//! representations gathered as the sum of arrays that are zero outside a device's own rows. burn offers this one operation
//! on CUDA only (NCCL); [`Group`] is the same between threads of one process through host memory, for every device.

use crate::device::{self, DeviceKind};
use crate::error::{Result, TrainerError};
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// One device's place among those that share a batch.
pub trait AllReduce: Send {
    /// Which of them this is, from 0.
    fn rank(&self) -> usize;

    /// How many they are.
    fn count(&self) -> usize;

    /// The sum over all devices, tensor by tensor. Every device calls this with the same shapes in the same order.
    ///
    /// # Errors
    /// When another device has stopped, or values cannot be read back.
    fn sum(&self, tensors: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>>;

    /// The rows of a batch of `all` that are this device's.
    fn share(&self, all: usize) -> std::ops::Range<usize> {
        self.rank() * all / self.count()..(self.rank() + 1) * all / self.count()
    }

    /// This device fails for `reason`: the others' sums fail too, instead of waiting for ever.
    fn fail(&self, _reason: &str) {}
}

/// All devices' rows `[all, …]` of what each has its [`AllReduce::share`] of.
///
/// # Errors
/// As [`AllReduce::sum`].
pub fn gather<const D: usize>(peers: &dyn AllReduce, own: Tensor<D>, all: usize) -> Result<Tensor<D>> {
    if peers.count() == 1 {
        return Ok(own);
    }
    let mut dims = own.dims();
    let row: usize = dims.iter().skip(1).product();
    let share = peers.share(all);
    let device = own.device();
    let zeros = |rows: usize| Tensor::<1>::zeros([rows * row], &device);
    let padded: Vec<Tensor<1>> = [zeros(share.start), own.reshape([share.len() * row]), zeros(all - share.end)]
        .into_iter()
        .filter(|x| x.dims()[0] > 0)
        .collect();
    let sum = peers.sum(vec![Tensor::cat(padded, 0)])?.pop().ok_or_else(|| stopped("nothing came back"))?;
    if let Some(rows) = dims.first_mut() {
        *rows = all;
    }
    Ok(sum.reshape(dims))
}

fn stopped(problem: impl Into<String>) -> TrainerError {
    TrainerError::checkpoint("another device", problem, "mend what it says; the run resumes from its newest checkpoint")
}

/// The only device.
pub struct Alone;

impl AllReduce for Alone {
    fn rank(&self) -> usize {
        0
    }
    fn count(&self) -> usize {
        1
    }
    fn sum(&self, tensors: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>> {
        Ok(tensors)
    }
}

/// `count` devices of `kind` for replicas that share each batch: so many cards, or threads of the one processor.
///
/// # Errors
/// [`TrainerError::Settings`] when this build or this machine has no such devices.
pub fn devices(kind: DeviceKind, count: usize) -> Result<Vec<Device>> {
    let first = device::choose(kind)?;
    match kind {
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => {
            let found = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().len();
            if count > found.max(1) {
                let problem = format!("{count} are asked for, and this machine has {found}");
                return Err(TrainerError::settings("--devices", problem, "ask for fewer"));
            }
            Ok(std::iter::once(first).chain((1..count).map(Device::cuda)).collect())
        }
        DeviceKind::Wgpu if count > 1 => {
            let problem = format!("{count} wgpu adapters cannot share a batch");
            Err(TrainerError::settings("--devices", problem, "use --device cuda, or one device"))
        }
        _ => Ok(vec![first; count]),
    }
}

/// The members that share a batch on `devices`, one each.
pub fn on(devices: &[Device], kind: DeviceKind) -> Vec<Box<dyn AllReduce>> {
    if devices.len() == 1 {
        return vec![Box::new(Alone)];
    }
    group(devices.len())
        .into_iter()
        .map(|member| -> Box<dyn AllReduce> {
            // In a build without CUDA burn's operation panics.
            if cfg!(feature = "cuda") && kind == DeviceKind::Cuda {
                return Box::new(Nccl { devices: devices.to_vec(), member });
            }
            Box::new(member)
        })
        .collect()
}

/// A member of a group of threads; see [`group`].
pub struct Member {
    rank: usize,
    shared: Arc<Shared>,
}

struct Shared {
    count: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What each member brought to the present round.
    brought: Vec<Option<Vec<Vec<f32>>>>,
    /// The present round's sum, and which members have yet to take it.
    sum: Option<Arc<Vec<Vec<f32>>>>,
    waiting: Vec<bool>,
    /// Why a member is gone.
    gone: Option<String>,
}

/// The members of a group of `count` threads. Sums are taken in the order of the ranks: every member gets the same bits, and
/// the next run gets them again.
pub fn group(count: usize) -> Vec<Member> {
    let state = State { brought: vec![None; count], waiting: vec![false; count], ..State::default() };
    let shared = Arc::new(Shared { count, state: Mutex::new(state), changed: Condvar::new() });
    (0..count).map(|rank| Member { rank, shared: shared.clone() }).collect()
}

impl Member {
    fn state(&self) -> MutexGuard<'_, State> {
        // A member that panicked marks the group as broken when it is dropped; the state itself is never half changed.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn exchange(&self, values: Vec<Vec<f32>>) -> Result<Arc<Vec<Vec<f32>>>> {
        let mut state = self.state();
        let gone = |state: &State| state.gone.as_ref().map(|reason| stopped(reason.clone()));
        // The last round's sum stays until the slowest member has it.
        while state.sum.is_some() {
            if let Some(gone) = gone(&state) {
                return Err(gone);
            }
            state = self.wait(state);
        }
        if let Some(place) = state.brought.get_mut(self.rank) {
            *place = Some(values);
        }
        if state.brought.iter().all(Option::is_some) {
            let sum = added(std::mem::replace(&mut state.brought, vec![None; self.shared.count]))?;
            state.sum = Some(Arc::new(sum));
            state.waiting.fill(true);
            self.shared.changed.notify_all();
        }
        loop {
            if let (Some(sum), Some(true)) = (state.sum.clone(), state.waiting.get(self.rank)) {
                if let Some(waiting) = state.waiting.get_mut(self.rank) {
                    *waiting = false;
                }
                if !state.waiting.contains(&true) {
                    state.sum = None;
                    self.shared.changed.notify_all();
                }
                return Ok(sum);
            }
            if let Some(gone) = gone(&state) {
                return Err(gone);
            }
            state = self.wait(state);
        }
    }
}

/// The members' arrays, added up in the order of the ranks.
fn added(brought: Vec<Option<Vec<Vec<f32>>>>) -> Result<Vec<Vec<f32>>> {
    let mut all = brought.into_iter().flatten();
    let mut sum = all.next().ok_or_else(|| stopped("no device brought anything"))?;
    for more in all {
        if more.len() != sum.len() || more.iter().zip(&sum).any(|(a, b)| a.len() != b.len()) {
            return Err(stopped("two devices brought arrays of different sizes"));
        }
        for (sum, more) in sum.iter_mut().zip(more) {
            sum.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        }
    }
    Ok(sum)
}

impl AllReduce for Member {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.shared.count
    }

    fn sum(&self, tensors: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>> {
        let devices: Vec<_> = tensors.iter().map(|x| (x.device(), x.dtype())).collect();
        let values: Result<Vec<Vec<f32>>> = tensors.into_iter().map(crate::embed::read).collect();
        let sum = self.exchange(values?)?;
        let back = |(values, (device, dtype)): (&Vec<f32>, &(Device, burn::tensor::DType))| {
            Tensor::from_data(TensorData::new(values.clone(), [values.len()]), (device, *dtype))
        };
        Ok(sum.iter().zip(&devices).map(back).collect())
    }

    fn fail(&self, reason: &str) {
        self.state().gone.get_or_insert_with(|| format!("device {} stopped: {reason}", self.rank));
        self.shared.changed.notify_all();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.fail("it has ended");
    }
}

/// CUDA devices, added up by NCCL through burn's own `all_reduce`.
struct Nccl {
    devices: Vec<Device>,
    /// NCCL does not tell a device that another is gone; this does, before each sum.
    member: Member,
}

impl AllReduce for Nccl {
    fn rank(&self) -> usize {
        self.member.rank
    }

    fn count(&self) -> usize {
        self.devices.len()
    }

    fn sum(&self, tensors: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>> {
        use burn::tensor::distributed::{ReduceOperation, all_reduce};
        self.member.exchange(Vec::new())?;
        let sum = |x| all_reduce(x, ReduceOperation::Sum, self.devices.clone()).resolve();
        Ok(tensors.into_iter().map(sum).collect())
    }

    fn fail(&self, reason: &str) {
        self.member.fail(reason);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn values(x: Tensor<1>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn threads_get_the_same_sums_and_gathered_rows() {
        let device = Device::flex();
        let run = |member: Member| {
            let own = Tensor::<1>::from_floats([1.0, 10.0 * member.rank() as f32], &device);
            for _ in 0..50 {
                let sum = member.sum(vec![own.clone(), own.clone() * 2.0]).unwrap();
                let sum: Vec<Vec<f32>> = sum.into_iter().map(values).collect();
                assert_eq!(sum, [[3.0, 30.0], [6.0, 60.0]]);
            }
            let share = member.share(7);
            let rows: Vec<f32> = share.clone().flat_map(|row| [row as f32, -(row as f32)]).collect();
            let own = Tensor::<2>::from_data(TensorData::new(rows, [share.len(), 2]), &device);
            let all = gather(&member, own, 7).unwrap();
            assert_eq!(values(all.reshape([14])), [0., 0., 1., -1., 2., -2., 3., -3., 4., -4., 5., -5., 6., -6.]);
        };
        std::thread::scope(|scope| {
            for member in group(3) {
                scope.spawn(|| run(member));
            }
        });
    }

    #[test]
    fn a_device_that_stops_does_not_leave_the_others_waiting() {
        let device = Device::flex();
        let mut members = group(2);
        let (second, first) = (members.pop().unwrap(), members.pop().unwrap());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| first.sum(vec![Tensor::zeros([2], &device)]).unwrap_err().to_string());
            second.fail("no memory");
            drop(second);
            assert!(waiting.join().unwrap().contains("device 1 stopped: no memory"));
        });
    }
}
