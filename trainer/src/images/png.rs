//! What a PNG says beside its pixels: where it ends, and colours that it names without a profile.

use super::profile::parse;
use flate2::read::ZlibDecoder;
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, MatrixCoefficients, ToneReprCurve,
    TransferCharacteristics,
};
use std::borrow::Cow;
use std::io::Read;

/// Bytes of the file's signature.
const SIGNATURE: usize = 8;
/// Bytes of a chunk beside its content: length, name and check sum.
const FRAME: usize = 12;
/// Most bytes of a colour profile; tables of a printer's inks have two or three million.
const MOST_PROFILE: u64 = 8 << 20;
/// Curves of cameras (BT.709, BT.601, BT.2020), which are shown by that of a screen: 2.4 (BT.1886).
const CAMERAS: [u8; 4] = [1, 6, 14, 15];

/// A PNG's chunks as far as they are whole: name, content, and where each ends.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], usize)> {
    let mut at = SIGNATURE;
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize;
        let (name, content) = (bytes.get(at + 4..at + 8)?, at + 8);
        let end = content.checked_add(length)?;
        at = end.checked_add(4)?;
        Some((name, bytes.get(content..end).unwrap_or_default(), at))
    })
}

/// The file without profiles that unpack to more than any profile has: a few bytes may become gigabytes, all of which the decoder
/// would unpack. Such a profile is broken, and a picture with a broken profile is shown without it.
pub(super) fn without_bombs(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bombs = chunks(bytes).filter(|(name, content, _)| name == b"iCCP" && unpacks_to_too_much(content));
    let mut out = Cow::Borrowed(bytes);
    // From the last one, so that the places before it stay.
    for (_, content, end) in bombs.collect::<Vec<_>>().into_iter().rev() {
        out.to_mut().drain(end - FRAME - content.len()..end.min(bytes.len()));
    }
    out
}

fn unpacks_to_too_much(profile: &[u8]) -> bool {
    // A name, an end mark, and the number of the method.
    let packed = profile.iter().position(|byte| *byte == 0).and_then(|end| profile.get(end + 2..));
    let mut unpacked = ZlibDecoder::new(packed.unwrap_or_default()).take(MOST_PROFILE + 1);
    std::io::copy(&mut unpacked, &mut std::io::sink()).is_ok_and(|count| count > MOST_PROFILE)
}

/// Where the last chunk ends.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    chunks(bytes).find(|(name, ..)| name == b"IEND").map(|(.., end)| end)
}

/// The colours that a PNG names without a profile, where browsers believe them: code points (`cICP`) before anything else, a
/// curve (`gAMA`, with or without primaries, `cHRM`) where there are neither `sRGB` nor a profile, `icc`. Primaries alone,
/// and code points of another range or of light without an upper end, are left aside.
pub(super) fn colours(bytes: &[u8], icc: &[u8]) -> Option<ColorProfile> {
    let (mut curve, mut primaries) = (None, None);
    let mut plain = !icc.is_empty() && parse(icc).is_some();
    for (name, content, _) in chunks(bytes).take_while(|(name, ..)| name != b"IDAT") {
        match name {
            b"cICP" => {
                if let Some(profile) = code_points(content) {
                    return Some(profile);
                }
            }
            b"sRGB" => plain = true,
            b"gAMA" => curve = numbers::<1>(content),
            b"cHRM" => primaries = numbers::<8>(content),
            _ => {}
        }
    }
    if plain { None } else { with_curve(curve?, primaries) }
}

/// Big-endian numbers in hundred-thousandths.
fn numbers<const N: usize>(content: &[u8]) -> Option<[f32; N]> {
    let (fours, rest) = content.as_chunks::<4>();
    let values: Vec<f32> = fours.iter().map(|four| u32::from_be_bytes(*four) as f32 / 1e5).collect();
    values.try_into().ok().filter(|_| rest.is_empty())
}

/// sRGB's primaries or `primaries` (white, red, green, blue; x and y each), and a power as the curve. A curve alone that is within
/// 5 % of the usual one, 1 / 2.2, means sRGB; primaries that make no triangle mean nothing.
fn with_curve([gamma]: [f32; 1], primaries: Option<[f32; 8]>) -> Option<ColorProfile> {
    if gamma <= 0.0 || (primaries.is_none() && (gamma * 2.2 - 1.0).abs() < 0.05) {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    set_curve(&mut profile, 1.0 / gamma);
    if let Some(values) = primaries {
        if !values.as_chunks::<2>().0.iter().all(|[x, y]| *y > 0.0 && x + y <= 1.0) {
            return None;
        }
        let [white, red, green, blue] = [0, 2, 4, 6].map(|at| Chromaticity::new(values[at], values[at + 1]));
        let area = (green.x - red.x) * (blue.y - red.y) - (blue.x - red.x) * (green.y - red.y);
        if area.abs() < 1e-4 {
            return None;
        }
        profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    }
    Some(profile)
}

/// Primaries and curve by their numbers in ITU-T H.273.
fn code_points(content: &[u8]) -> Option<ColorProfile> {
    let &[primaries, transfer, 0, 1] = content else { return None };
    let color_primaries = CicpColorPrimaries::try_from(primaries).ok()?;
    let transfer_characteristics = TransferCharacteristics::try_from(transfer).ok()?;
    let without_end = [TransferCharacteristics::Smpte2084, TransferCharacteristics::Hlg];
    if without_end.contains(&transfer_characteristics) {
        return None;
    }
    let matrix_coefficients = MatrixCoefficients::try_from(0).ok()?;
    let named = CicpProfile { color_primaries, transfer_characteristics, matrix_coefficients, full_range: true };
    let mut profile = ColorProfile::new_from_cicp(named);
    if CAMERAS.contains(&transfer) {
        profile.cicp = None;
        set_curve(&mut profile, 2.4);
    }
    profile.red_trc.is_some().then_some(profile)
}

/// The same power as the curve of every channel.
fn set_curve(profile: &mut ColorProfile, power: f32) {
    let curve = Some(ToneReprCurve::Parametric(vec![power]));
    (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
}
