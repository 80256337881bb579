//! Times of the pair rules that look at features, on random vectors: `bench_pairs 20000 1408`.

use rand::Rng;
use std::time::Instant;
use thisbut_trainer::pairs::near::{Item, Reading, neighbours, subgroups};
use thisbut_trainer::pairs::rules::generator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let (count, width) = (sizes.next().transpose()?.unwrap_or(20_000), sizes.next().transpose()?.unwrap_or(1408));
    let mut rng = generator(1, "vectors");
    let items: Vec<Item> = (0..count)
        .map(|at| {
            let mut feature: Vec<f32> = (0..width).map(|_| rng.random::<f32>() - 0.4).collect();
            let norm = feature.iter().map(|x| x * x).sum::<f32>().sqrt();
            feature.iter_mut().for_each(|x| *x /= norm);
            Item { name: at.to_string(), feature, ..Item::default() }
        })
        .collect();
    let start = Instant::now();
    let pairs = neighbours(&items, &mut rng)?.len();
    let near = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let groups = subgroups(&items, Reading::Distance)?.len();
    let six = start.elapsed().as_secs_f64();
    let threads = std::thread::available_parallelism()?;
    println!(
        "{count} vectors of {width}, {threads} threads: neighbours {near:.1} s ({pairs} pairs), subgroups {six:.1} s ({groups})"
    );
    Ok(())
}
