//! Exact and nearly exact ways to make a trained model smaller before it is quantized.

use crate::error::{Result, TrainerError};
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{MethodConfig, TextTowerConfig};
use thisbut_model::weights::Tensors;

/// Steps of the QR iteration; each dimension needs two or three.
const MAX_STEPS: usize = 1 << 16;

/// Vectors that enter a matrix product together.
const TOGETHER: usize = 256;

/// The map to the axes that are kept, of a family that has one ([`FamilyConfig::axes_mut`]).
///
/// [`FamilyConfig::axes_mut`]: thisbut_model::config::FamilyConfig::axes_mut
const AXES: &str = "axes.weight";

/// Stores the word embeddings at the model's width: `word · word_projection` `[V, D]` in the place of `[V, words]` and
/// the map. Computes the same, and halves the table of a model of half the language model's width.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn fold_words(config: &mut RetrievalConfig, tensors: &mut Tensors, prefix: &str) -> Result<()> {
    let Some(module) = fold_shape(config) else { return Ok(()) };
    let name = |rest: &str| format!("{prefix}.{module}.{rest}");
    let (dims, words) = take(tensors, &name("word"))?;
    let (shape, map) = take(tensors, &name("word_projection.weight"))?;
    let (_, bias) = take(tensors, &name("word_projection.bias"))?;
    let ([rows, inner], [from, to]) = (square(&dims)?, square(&shape)?);
    if inner != from || bias.len() != to {
        return Err(misfit(format!("{dims:?} · {shape:?} + [{}]", bias.len())));
    }
    let folded = product(&words, &map, inner, to, Some(&bias));
    tensors.insert(name("word"), (vec![rows, to], folded));
    Ok(())
}

/// The configuration after [`fold_words`]; the module whose words are folded, none where that changes nothing.
pub fn fold_shape(config: &mut RetrievalConfig) -> Option<&'static str> {
    let (module, words, width) = match &mut config.method {
        // A second Q-Former of its own has its own map too; such models are as wide as their words.
        MethodConfig::TwoPass(own) if own.own_second_pass => return None,
        MethodConfig::TwoPass(own) => ("qformer", &mut own.qformer.word_width, own.qformer.width),
        MethodConfig::Matching(own) => ("qformer", &mut own.qformer.word_width, own.qformer.width),
        other => match other.family_mut().text_tower_mut() {
            Some(TextTowerConfig::Bert(tower)) => ("text", &mut tower.word_width, tower.width),
            Some(TextTowerConfig::Clip(_)) | None => return None,
        },
    };
    words.take_if(|words| *words > width).map(|_| module)
}

/// Leaves out of `tensors`, named behind `prefix`, the parts that neither queries nor targets read, and changes the configuration
/// so that it lacks them too.
pub fn leave_unread(config: &mut RetrievalConfig, tensors: &mut Tensors, prefix: &str) {
    for part in config.method.family_mut().leave_unread() {
        let begin = format!("{prefix}.{part}.");
        tensors.retain(|name, _| !name.starts_with(&begin));
    }
}

/// Turns query and target space to `axes` `[P, p]` and keeps these p dimensions.
///
/// # Errors
/// As [`narrow_shape`], and when a tensor is missing or has another shape.
pub fn narrow(
    config: &mut RetrievalConfig,
    tensors: &mut Tensors,
    prefix: &str,
    axes: &[f32],
    kept: usize,
) -> Result<()> {
    let width = config.projection;
    narrow_shape(config, kept)?;
    if axes.len() != width * kept {
        return Err(misfit(format!("{} values for {width} × {kept} axes", axes.len())));
    }
    let dot = if prefix.is_empty() { "" } else { "." };
    if config.method.family_mut().axes_mut().is_some() {
        let name = format!("{prefix}{dot}{AXES}");
        let (rows, values) = match tensors.remove(&name) {
            Some((dims, earlier)) => (square(&dims)?[0], product(&earlier, axes, width, kept, None)),
            None => (width, axes.to_vec()),
        };
        tensors.insert(name, (vec![rows, kept], values));
        return Ok(());
    }
    for map in config.method.family().projections() {
        for part in ["weight", "bias"] {
            let name = format!("{prefix}{dot}{map}.{part}");
            let (mut dims, values) = take(tensors, &name)?;
            if dims.last() != Some(&width) {
                return Err(misfit(format!("{name} of {dims:?} for a width of {width}")));
            }
            if let Some(last) = dims.last_mut() {
                *last = kept;
            }
            tensors.insert(name, (dims, product(&values, axes, width, kept, None)));
        }
    }
    Ok(())
}

/// The configuration after [`narrow`].
///
/// # Errors
/// [`TrainerError::Settings`] where the model has no more than `kept` dimensions, or something reads all of them.
pub fn narrow_shape(config: &mut RetrievalConfig, kept: usize) -> Result<()> {
    let (width, family) = (config.projection, config.method.family().name());
    if !(1..width).contains(&kept) {
        let problem = format!("the model has {width} dimensions");
        return Err(TrainerError::settings(format!("--projection {kept}"), problem, "give less, and at least 1"));
    }
    if let Some(own) = config.method.family_mut().axes_mut() {
        *own = Some(kept);
    } else if config.method.family().projections().is_empty() {
        let problem = format!("a {family} model like this one reads all of its {width} dimensions");
        return Err(TrainerError::settings("--projection", problem, "leave it out"));
    }
    config.projection = kept;
    Ok(())
}

/// The `kept` directions `[P, kept]` in which vectors `[·, P]` are largest (uncentred principal axes), largest first.
/// Each points to where its largest component is positive.
///
/// # Errors
/// When a vector holds a value that is no number.
pub fn principal_axes(vectors: &[f32], width: usize, kept: usize) -> Result<Vec<f32>> {
    let mut products = DMatrix::<f64>::zeros(width, width);
    for some in vectors.chunks(width.max(1) * TOGETHER) {
        let some = DMatrix::from_iterator(width, some.len() / width.max(1), some.iter().map(|x| f64::from(*x)));
        products.gemm(1.0, &some, &some.transpose(), 1.0);
    }
    let finite = products.iter().all(|sum| sum.is_finite());
    let eigen = finite.then(|| SymmetricEigen::try_new(products, f64::EPSILON, MAX_STEPS)).flatten();
    let eigen = eigen.ok_or_else(|| misfit("its vectors have no principal axes".into()))?;
    let mut axes: Vec<_> = eigen.eigenvalues.iter().zip(eigen.eigenvectors.column_iter()).collect();
    axes.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    axes.truncate(kept);
    let signs: Vec<f64> = axes.iter().map(|(_, axis)| axis[axis.icamax()].signum()).collect();
    let row = |row: usize| axes.iter().zip(&signs).map(move |((_, axis), sign)| (axis[row] * sign) as f32);
    Ok((0..width).flat_map(row).collect())
}

/// `x [·, inner] · map [inner, to] + bias`.
fn product(x: &[f32], map: &[f32], inner: usize, to: usize, bias: Option<&[f32]>) -> Vec<f32> {
    let mut out = vec![0.0f32; x.len() / inner * to];
    out.par_chunks_exact_mut(to).zip(x.par_chunks_exact(inner)).for_each(|(out, x)| {
        if let Some(bias) = bias {
            out.copy_from_slice(bias);
        }
        for (x, row) in x.iter().zip(map.chunks_exact(to)) {
            for (sum, w) in out.iter_mut().zip(row) {
                *sum += x * w;
            }
        }
    });
    out
}

fn take(tensors: &mut Tensors, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
    tensors.remove(name).ok_or_else(|| misfit(format!("there is no tensor {name}")))
}

fn square(dims: &[usize]) -> Result<[usize; 2]> {
    dims.try_into().map_err(|_| misfit(format!("a matrix of {dims:?}")))
}

fn misfit(problem: String) -> TrainerError {
    TrainerError::checkpoint("the model", problem, "train it again with this version")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use burn::tensor::{Device, Tensor, TensorData};
    use thisbut_model::config::MappingConfig;
    use thisbut_model::method::{Matching, PseudoWord};
    use thisbut_model::nn::{Noise, TextBatch};
    use thisbut_model::weights;

    #[test]
    fn axes_of_a_stretched_cloud() {
        // Three directions of length 3, 2 and 1, turned by a rotation.
        let (c, s) = (0.6f32, 0.8f32);
        let turn = |v: [f32; 3]| [c * v[0] - s * v[1], s * v[0] + c * v[1], v[2]];
        let cloud: Vec<f32> = [[0.0, 2.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 1.0]].into_iter().flat_map(turn).collect();
        let axes = principal_axes(&cloud, 3, 2).unwrap();
        let column = |i: usize| [axes[i], axes[2 + i], axes[4 + i]];
        let along = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>().abs();
        assert!((along(column(0), turn([1.0, 0.0, 0.0])) - 1.0).abs() < 1e-6, "{axes:?}");
        assert!((along(column(1), turn([0.0, 1.0, 0.0])) - 1.0).abs() < 1e-6, "{axes:?}");
        assert!(column(0)[1] > 0.0 && column(1)[0] > 0.0, "{axes:?}");
        assert!(principal_axes(&[f32::NAN; 3], 3, 1).is_err());
    }

    #[test]
    fn folded_words_are_the_mapped_ones() {
        let mut config = RetrievalConfig::preset("web-xs").unwrap();
        config.two_pass_mut().unwrap().qformer.width = 2;
        config.two_pass_mut().unwrap().qformer.word_width = Some(3);
        let mut tensors = Tensors::from([
            ("model.qformer.word".into(), (vec![2, 3], vec![1.0, 2.0, 3.0, 0.0, 0.0, 1.0])),
            ("model.qformer.word_projection.weight".into(), (vec![3, 2], vec![1.0, 0.0, 0.0, 1.0, 2.0, 2.0])),
            ("model.qformer.word_projection.bias".into(), (vec![2], vec![0.5, -0.5])),
        ]);
        fold_words(&mut config, &mut tensors, "model").unwrap();
        assert_eq!(config.two_pass().unwrap().qformer.word_width, None);
        assert_eq!(tensors["model.qformer.word"], (vec![2, 2], vec![7.5, 7.5, 2.5, 1.5]));
        assert_eq!(tensors.len(), 1);
        fold_words(&mut config, &mut tensors, "model").unwrap();
        config.two_pass_mut().unwrap().qformer.word_width = Some(3);
        assert!(fold_words(&mut config, &mut tensors, "model").is_err());
    }

    /// A dual encoder, its tensors, and what two texts and two images become.
    fn answers(config: &RetrievalConfig, tensors: &Tensors) -> [Vec<f32>; 2] {
        let device = Device::flex();
        let model = PseudoWord::new(config, &device).unwrap();
        let model = weights::load(model, "model", &mut tensors.clone()).unwrap();
        let rows = [(vec![2, 9, 5, 3], vec![true; 4]), (vec![2, 7, 3], vec![true; 3])];
        let shape = [2, config.image_tokens(), config.image_width()];
        let pixels: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|i| (i * 7919 % 1013) as f32 / 506.0 - 1.0).collect();
        let image = model.embedding(model.pooled(Tensor::from_data(TensorData::new(pixels, shape), &device)));
        let text = model.read(&TextBatch::new(&rows, &device), &Noise::off());
        [text, image.0].map(|x| x.into_data().try_to_vec().unwrap())
    }

    fn dual() -> (RetrievalConfig, Tensors) {
        let mut config = RetrievalConfig::preset("tiny-dual").unwrap();
        let TextTowerConfig::Bert(tower) = &mut config.pseudo_word_mut().unwrap().text_tower else { panic!("no BERT") };
        tower.word_width = Some(48);
        let device = Device::flex();
        device.seed(5);
        let tensors = weights::collect(&PseudoWord::new(&config, &device).unwrap(), "model").unwrap();
        (config, tensors)
    }

    #[test]
    fn a_towers_words_are_folded_too() {
        let (mut config, mut tensors) = dual();
        let before = answers(&config, &tensors);
        fold_words(&mut config, &mut tensors, "model").unwrap();
        assert_eq!(tensors["model.text.word"].0, [2048, 32]);
        for (a, b) in answers(&config, &tensors).concat().iter().zip(before.concat()) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn a_dual_encoder_is_narrowed_on_both_sides_unless_something_reads_all_of_it() {
        let (mut config, mut tensors) = dual();
        // Keeps the first half of the dimensions, in another order.
        let mut axes = vec![0.0; 16 * 8];
        (0..8).for_each(|kept| axes[(7 - kept) * 8 + kept] = 1.0);
        let before = answers(&config, &tensors);
        narrow(&mut config, &mut tensors, "model", &axes, 8).unwrap();
        let [_, image] = answers(&config, &tensors);
        for (row, whole) in image.chunks(8).zip(before[1].chunks(16)) {
            row.iter().zip(whole[..8].iter().rev()).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
        }
        let (mut config, mut tensors) = dual();
        config.pseudo_word_mut().unwrap().mapping = Some(MappingConfig::default());
        let refused = narrow(&mut config, &mut tensors, "model", &axes, 8).unwrap_err().to_string();
        assert!(refused.contains("reads all of its 16 dimensions"), "{refused}");
    }

    /// Rows of several heads are turned by a map behind them: with every axis a dot product stays what it was, with fewer it is
    /// that of the rows along them; a second narrowing is one map too.
    #[test]
    fn rows_of_several_heads_are_narrowed_behind_them() {
        let device = Device::flex();
        device.seed(6);
        let mut config = RetrievalConfig::preset("tiny-fashion").unwrap();
        let mut tensors = weights::collect(&Matching::new(&config, &device).unwrap(), "model").unwrap();
        let outputs = |config: &RetrievalConfig, tensors: &Tensors| -> Vec<f32> {
            let model = weights::load(Matching::new(config, &device).unwrap(), "model", &mut tensors.clone()).unwrap();
            let values: Vec<f32> = (0..5 * 4 * 32).map(|i| (i * 7919 % 1013) as f32 / 506.0 - 1.0).collect();
            let rows = model.matched(Tensor::from_data(TensorData::new(values, [5, 4, 32]), &device));
            rows.into_data().try_to_vec().unwrap()
        };
        let whole = outputs(&config, &tensors);
        let axes = principal_axes(&whole, 24, 5).unwrap();
        narrow(&mut config, &mut tensors, "model", &axes, 5).unwrap();
        config.check("narrowed").unwrap();
        assert_eq!((config.projection, config.matching().unwrap().axes), (5, Some(5)));
        // Five rows lie in five dimensions.
        let dot = |rows: &[f32], width: usize, a: usize, b: usize| -> f32 {
            rows[a * width..][..width].iter().zip(&rows[b * width..][..width]).map(|(x, y)| x * y).sum()
        };
        let five = outputs(&config, &tensors);
        for (a, b) in (0..5).flat_map(|a| (0..5).map(move |b| (a, b))) {
            let (before, after) = (dot(&whole, 24, a, b), dot(&five, 5, a, b));
            assert!((before - after).abs() < 1e-5, "{a} {b}: {before} {after}");
        }
        let axes = principal_axes(&five, 5, 2).unwrap();
        narrow(&mut config, &mut tensors, "model", &axes, 2).unwrap();
        config.check("narrowed again").unwrap();
        let two = outputs(&config, &tensors);
        assert_eq!((two.len(), tensors["model.axes.weight"].0.as_slice()), (10, &[24, 2][..]));
        for (row, five) in two.chunks(2).zip(five.chunks(5)) {
            let along: Vec<f32> = (0..2).map(|k| (0..5).map(|i| five[i] * axes[i * 2 + k]).sum()).collect();
            let length = along.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter().zip(&along).for_each(|(a, b)| assert!((a - b / length).abs() < 1e-5, "{a} {b}"));
        }
        let refused = RetrievalConfig::parse(
            &serde_json::to_string(&config).unwrap().replace("\"axes\":2", "\"axes\":24"),
            "test",
        );
        assert!(refused.unwrap_err().to_string().contains("24 of a row of 24"));
    }
}
