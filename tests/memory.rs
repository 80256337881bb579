//! What a training step really allocates, for the tests of the estimates: an allocator that counts, and steps to count.

use burn::tensor::{Device, Tensor, TensorData};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use thisbut_trainer::data::table::{Table, Triplet};
use thisbut_trainer::error::Result;
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::learner::Learner;
use thisbut_trainer::train::objective::Objective;
use thisbut_trainer::train::optimizer::AdamW;
use thisbut_trainer::train::peers::Alone;
use thisbut_trainer::train::piece::Context;
use thisbut_trainer::train::schedule;
use thisbut_trainer::train::step::{Batch, Step};

/// How far an estimate may be off, either way: what the dry run says of itself.
pub const FACTOR: f64 = 1.3;

/// The words of the tables' texts, after the four marks.
pub const WORDS: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "but", "in", "red", "blue", "now", "square", "a", "photo"];
/// Images that a table names.
pub const IMAGES: u32 = 40;

/// Counts what is allocated now, and the most that was; a test of its own makes it the global allocator.
pub struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the same layout; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `at` came from `System` with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The most bytes that `work` held at a time, beside what was there before it.
pub fn most(work: impl FnOnce() -> Result<()>) -> Result<usize> {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    work()?;
    Ok(PEAK.load(Relaxed) - before)
}

/// Image tokens `[T, C]` that are made when they are asked for.
pub struct Same(pub usize, pub usize);

impl ImageTokens for Same {
    fn row(&self, _: &str) -> Result<usize> {
        Ok(0)
    }
    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        let values: Vec<f32> = (0..rows.len() * self.0 * self.1).map(|i| (i % 97) as f32 / 48.0 - 1.0).collect();
        Ok(Tensor::from_data(TensorData::new(values, [rows.len(), self.0, self.1]), device))
    }
}

/// So many triplets, whose texts have three to eleven words.
pub fn table(triplets: u32) -> Table {
    let text = |i: u32| {
        let words = WORDS[4..].iter().cycle().skip(i as usize).take(3 + i as usize % 9);
        words.copied().collect::<Vec<_>>().join(" ")
    };
    let triplet = |i: u32| Triplet {
        id: i.into(),
        reference: i % IMAGES,
        targets: vec![(i * 5 + 1) % IMAGES],
        text: text(i),
        reverse: Some("but in red".into()),
        ..Triplet::default()
    };
    Table { triplets: (0..triplets).map(triplet).collect(), ..Table::default() }
}

/// Bytes that two training steps took at their height, the model and the optimiser among them.
pub fn of_steps<O: Objective>(objective: &mut O, context: &Context, images: &[u32]) -> Result<usize> {
    let device = Device::flex();
    let (autodiff, settings) = (device.clone().autodiff(), context.settings);
    let groups = settings.groups_in_force();
    let batch: Vec<u32> = (0..settings.batch as u32).collect();
    most(|| {
        let model = objective.model(&autodiff)?;
        let mut learner = Learner::new(model, context.config, &groups, &autodiff).freeze(&groups);
        objective.prepare(&learner.model, context, &device)?;
        let mut optimizer = AdamW::new(settings);
        for step in 0..2 {
            let task = Step { context, objective: &*objective, peers: &Alone, device: &autodiff };
            let (found, losses) = task.gradients(&learner, Batch { triplets: &batch, images }, step)?;
            assert!(losses.total.is_finite());
            (learner, _) = learner.update(&mut optimizer, &found, schedule::point(settings, 0))?;
        }
        Ok(())
    })
}
