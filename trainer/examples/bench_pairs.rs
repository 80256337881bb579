//! Times of the pair rules that look at features, on random vectors: `bench_pairs 20000 1408`.

use rand::Rng;
use std::time::Instant;
use thisbut_trainer::pairs::Pairs;
use thisbut_trainer::pairs::near::{Item, Reading, neighbours, nine, subgroups};
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
    let groups = subgroups(&items, Reading::Distance)?;
    let six = start.elapsed().as_secs_f64();
    let mut nines = Pairs::new();
    let name = |at: usize| items[at].name.clone();
    groups.iter().for_each(|group| nines.add("nine", nine(group).into_iter().map(|(a, b)| (name(a), name(b)))));
    let each = nines.pairs().len() as f64 / count.max(1) as f64;
    let threads = std::thread::available_parallelism()?;
    println!("{count} vectors of {width}, {threads} threads");
    println!("neighbours {near:.1} s, {pairs} pairs");
    println!("subgroups {six:.1} s, {}, {each:.2} pairs an image without repeats", groups.len());
    Ok(())
}
