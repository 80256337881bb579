//! Scalar functions written so that the compiler vectorises loops over them: no branches, no calls.

/// `e^x`, relative error below 3e-7; 0 below −80, saturates above 87. A key that is masked must weigh nothing at all: what is left of it would be
/// subnormal numbers through the whole backward pass, each of which costs some processors a hundred cycles.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer in the low mantissa bits.
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4_f32;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let value = p * r * r + r + 1.0;
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let power = f32::from_bits((exponent.wrapping_add(127) << 23) as u32);
    value * if x < -80.0 { 0.0 } else { power }
}

/// Error function (Abramowitz and Stegun 7.1.26), absolute error below 4e-7 in f32.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let mut p = 1.061_405_4_f32;
    p = p * t - 1.453_152;
    p = p * t + 1.421_413_7;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    let y = 1.0 - p * t * exp(-a * a);
    y.copysign(x)
}

/// Exact GELU.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * core::f32::consts::FRAC_1_SQRT_2))
}

/// Derivative of [`gelu`]: `Φ(x) + x·φ(x)`.
#[inline(always)]
pub fn gelu_derivative(x: f32) -> f32 {
    const INV_SQRT_2PI: f32 = 0.398_942_3;
    0.5 * (1.0 + erf(x * core::f32::consts::FRAC_1_SQRT_2)) + x * INV_SQRT_2PI * exp(-0.5 * x * x)
}

/// Slope of CLIP's QuickGELU.
pub const QUICK: f32 = 1.702;

/// QuickGELU, `x · σ(1.702 x)`.
#[inline(always)]
pub fn quick_gelu(x: f32) -> f32 {
    x / (1.0 + exp(-QUICK * x))
}

/// Derivative of [`quick_gelu`]: `σ + 1.702 x · σ · (1 − σ)`, of σ(1.702 x).
#[inline(always)]
pub fn quick_gelu_derivative(x: f32) -> f32 {
    let s = 1.0 / (1.0 + exp(-QUICK * x));
    s + QUICK * x * s * (1.0 - s)
}

/// What separates neighbouring indices in [`hash`].
pub const SPREAD: u32 = 0x9E37_79B9;
/// The multipliers of [`hash`] (MurmurHash3's finaliser).
pub const MIX: [u32; 2] = [0x85EB_CA6B, 0xC2B2_AE35];

/// 32-bit hash of an index under a seed.
#[inline(always)]
pub fn hash(index: u32, seed: u32) -> u32 {
    let mut h = index.wrapping_mul(SPREAD) ^ seed;
    h ^= h >> 16;
    h = h.wrapping_mul(MIX[0]);
    h ^= h >> 13;
    h = h.wrapping_mul(MIX[1]);
    h ^ (h >> 16)
}

/// The index that stands for the weight which query `query` of head `head` gives to the key that is added to it. It does not
/// depend on how many queries and keys there are, so padding at their ends changes no other weight's.
#[inline(always)]
pub fn weight_place(head: u32, query: u32) -> u32 {
    (head.wrapping_shl(22)).wrapping_add(query.wrapping_shl(12))
}

/// Uniform 24-bit hash of an index under a seed, in `[0, 1)`.
#[inline(always)]
pub fn uniform(index: u32, seed: u32) -> f32 {
    (hash(index, seed) >> 8) as f32 * (1.0 / 16_777_216.0)
}
