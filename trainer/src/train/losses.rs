//! The losses of PTHA and SPRC, and a teacher's beside them.

use burn::tensor::{FloatDType, Int, Tensor, TensorData, activation};

/// Logit of an entry that must not count.
const MASKED: f32 = -1e4;

/// Which entries of a batch's similarity matrix are other right answers: `[B, B]`, 1 where query i's right targets
/// include image j although i ≠ j. They are neither rewarded nor punished.
pub fn false_negatives(targets: &[Vec<u32>]) -> TensorData {
    let own: Vec<usize> = (0..targets.len()).collect();
    let images: Vec<Option<u32>> = targets.iter().map(|right| right.first().copied()).collect();
    false_negatives_among(targets, &own, &images)
}

/// As [`false_negatives`], among any images of which `own[i]` is query i's target: `[B, images]`.
pub fn false_negatives_among(targets: &[Vec<u32>], own: &[usize], images: &[Option<u32>]) -> TensorData {
    let also_right = |right: &Vec<u32>, image: &Option<u32>| image.is_some_and(|image| right.contains(&image));
    let mask: Vec<f32> = targets
        .iter()
        .zip(own)
        .flat_map(|(right, own)| {
            let mark = move |(j, image)| f32::from(u8::from(j != *own && also_right(right, image)));
            images.iter().enumerate().map(mark)
        })
        .collect();
    TensorData::new(mask, [targets.len(), images.len()])
}

/// Cross-entropy from query i to target i over the batch (eq. 6), `similarity / τ` with label smoothing.
///
/// # Shapes
/// - similarity `[B, B]` (row: query), temperature `[1]`, ignored `[B, B]` (1: leave out); result `[1]`
pub fn contrastive(similarity: Tensor<2>, temperature: Tensor<1>, ignored: Tensor<2>, smoothing: f64) -> Tensor<1> {
    let diagonal = Tensor::<1, Int>::arange(0..similarity.dims()[0] as i64, &similarity.device());
    contrastive_among(similarity, temperature, ignored, smoothing, diagonal)
}

/// As [`contrastive`], over any M targets of which `right[i]` is query i's.
///
/// # Shapes
/// - similarity `[B, M]` (row: query), temperature `[1]`, ignored `[B, M]` (1: leave out), right `[B]`; result `[1]`
pub fn contrastive_among(
    similarity: Tensor<2>,
    temperature: Tensor<1>,
    ignored: Tensor<2>,
    smoothing: f64,
    right: Tensor<1, Int>,
) -> Tensor<1> {
    let [b, _] = similarity.dims();
    let logits = similarity / temperature.unsqueeze::<2>() + ignored.clone() * MASKED;
    let log_p = activation::log_softmax(logits, 1);
    let right = log_p.clone().gather(1, right.reshape([b, 1])).mean();
    if smoothing <= 0.0 {
        return right.neg();
    }
    // PyTorch's smoothing: ε spread over all classes, here over those that count.
    let counted = ignored.neg() + 1.0;
    let spread = ((log_p * counted.clone()).sum_dim(1) / counted.sum_dim(1)).mean();
    (right * (1.0 - smoothing) + spread * smoothing).neg()
}

/// Mean squared distance between the tokens' means (eq. 8); `towards` gets no gradient.
///
/// # Shapes
/// - prompt `[B, N, D]`, towards `[B, N, D]`; result `[1]`
pub fn prototype(prompt: Tensor<3>, towards: Tensor<3>) -> Tensor<1> {
    (mean(prompt) - mean(towards.detach())).square().mean()
}

/// SPRC's alignment: the fusion tokens' mean towards the learned prompt tokens' mean.
///
/// # Shapes
/// - prompt `[B, N, D]`, learned `[N, D]`; result `[1]`
pub fn align(prompt: Tensor<3>, learned: Tensor<2>) -> Tensor<1> {
    (mean(prompt) - mean(learned.detach().unsqueeze::<3>())).square().mean()
}

/// How far the relations between images are from a teacher's: KL divergence of softmax(similarity / T) from
/// softmax(teacher / T), the mean over the rows. A row's own image has no part in it, however often a batch holds it: it is like
/// itself to both. The teacher gets no gradient.
///
/// # Shapes
/// - similarity `[B, B]`, teacher `[B, B]`, same `[B, B]` (1: the row's own image); result `[1]`
pub fn relations(similarity: Tensor<2>, teacher: Tensor<2>, same: Tensor<2>, temperature: f64) -> Tensor<1> {
    let log_share = |scores: Tensor<2>| activation::log_softmax(scores / temperature + same.clone() * MASKED, 1);
    let (towards, found) = (log_share(teacher.detach()), log_share(similarity));
    (towards.clone().exp() * (towards - found)).sum_dim(1).mean()
}

/// Which entries of a batch's similarity matrix are of one image with itself: `[B, B]`, 1 where row and column are.
pub fn same_images(images: &[u32]) -> TensorData {
    let mask = images.iter().flat_map(|row| images.iter().map(move |column| f32::from(u8::from(row == column))));
    TensorData::new(mask.collect::<Vec<f32>>(), [images.len(), images.len()])
}

/// The tokens' mean `[B, 1, D]`, in f32.
fn mean(tokens: Tensor<3>) -> Tensor<3> {
    tokens.cast(FloatDType::F32).mean_dim(1)
}
