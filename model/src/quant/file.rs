//! Weights as one safetensors file: quantized tensors as codes and scales, the others plain. The layout is in
//! `docs/reference/formats.md`.

use std::collections::BTreeMap;

use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::block::{CodeWidth, QuantizedTensor};
use super::layout::{Slot, header, slots};
use super::stored::Stored;
use crate::error::{ModelError, Result};

/// `format` in the file's metadata.
pub const FORMAT: &str = "thisbut-weights";

/// `version` in the file's metadata.
pub const VERSION: &str = "1";

/// Tensors by name: shape and row-major values.
pub type WeightMap = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Writes `tensors`. `width(name, dims)` chooses each tensor's codes, `None` = plain f32; one-dimensional and small
/// tensors ([`super::stays_plain`]) are plain whatever it says. `meta` joins the header's metadata (`architecture`, …). The
/// same input gives the same bytes.
///
/// # Errors
/// [`ModelError::Weights`] for a shape that doesn't match its values, a value that isn't finite, or a name that the
/// layout needs for itself.
pub fn write_weights(
    tensors: &WeightMap,
    width: impl Fn(&str, &[usize]) -> Option<CodeWidth>,
    meta: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut metadata = described(meta);
    let mut parts: Vec<(Slot, Vec<u8>)> = Vec::new();
    for (name, (dims, values)) in tensors {
        if name.is_empty() || name == "__metadata__" || name.ends_with(".q8") || name.ends_with(".q4") {
            return Err(weights_error(name, "the layout needs this name for itself", "rename the tensor"));
        }
        let elements = dims.iter().try_fold(1_usize, |product, &d| product.checked_mul(d));
        if elements != Some(values.len()) || values.is_empty() {
            let problem = format!("the shape {dims:?} doesn't hold {} values", values.len());
            return Err(weights_error(name, &problem, "give the tensor with its own shape, without empty dimensions"));
        }
        let wanted = width(name, dims);
        let mut places = slots(name, dims, wanted, &mut metadata).into_iter();
        match (wanted, places.next(), places.next()) {
            (Some(wanted), Some(scale_slot), Some(code_slot)) => {
                if tensors.contains_key(&scale_slot.name) {
                    let name = &scale_slot.name;
                    return Err(weights_error(name, "the layout needs this name for itself", "rename the tensor"));
                }
                let tensor = QuantizedTensor::quantize(name, values, dims, wanted)?;
                parts.push((scale_slot, tensor.scales().iter().flat_map(|s| s.to_le_bytes()).collect()));
                parts.push((code_slot, tensor.codes().to_vec()));
            }
            (_, plain, _) => {
                if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                    let problem = format!("value {at} isn't finite");
                    return Err(weights_error(name, &problem, "export a checkpoint whose training stayed finite"));
                }
                parts.extend(plain.map(|slot| (slot, values.iter().flat_map(|v| v.to_le_bytes()).collect())));
            }
        }
    }
    parts.sort_by(|(a, _), (b, _)| a.cmp(b));
    let text = header(parts.iter().map(|(slot, _)| slot), &metadata);
    let mut out = Vec::with_capacity(8 + text.len() + parts.iter().map(|(_, data)| data.len()).sum::<usize>());
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
    for (_, data) in parts {
        out.extend(data);
    }
    Ok(out)
}

/// `meta` with what every file says of itself.
pub(super) fn described(meta: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut metadata = meta.clone();
    metadata.insert("format".into(), FORMAT.into());
    metadata.insert("version".into(), VERSION.into());
    metadata
}

/// The header's metadata, after its format and version are checked. Reads nothing but the header.
///
/// # Errors
/// [`ModelError::Format`] for a file that isn't one of ours, [`ModelError::Version`] for one of another version.
pub fn read_metadata(bytes: &[u8]) -> Result<BTreeMap<String, String>> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| format_error("the weights", &e.to_string()))?;
    let metadata: BTreeMap<String, String> = header.metadata().clone().unwrap_or_default().into_iter().collect();
    if metadata.get("format").map(String::as_str) != Some(FORMAT) {
        return Err(format_error("the weights", &format!("the header doesn't say \"format\": \"{FORMAT}\"")));
    }
    match metadata.get("version").map(String::as_str) {
        Some(VERSION) => Ok(metadata),
        found => Err(ModelError::Version {
            place: "the weights".into(),
            found: found.unwrap_or("none").into(),
            expected: VERSION.into(),
            mend: "export the weights again with this version of thisbut".into(),
        }),
    }
}

/// Reads a file of [`write_weights`] back to f32, dequantized. Memory stays within eight times the file.
///
/// # Errors
/// As [`read_metadata`]; [`ModelError::Format`] or [`ModelError::Weights`] names the tensor that isn't whole.
pub fn read_weights(bytes: &[u8]) -> Result<WeightMap> {
    Ok(read_stored(bytes)?.into_iter().map(|(name, tensor)| (name, tensor.unpacked())).collect())
}

/// As [`read_weights`], but codes stay codes.
pub(super) fn read_stored(bytes: &[u8]) -> Result<BTreeMap<String, Stored>> {
    let metadata = read_metadata(bytes)?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| format_error("the weights", &e.to_string()))?;
    let views: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    let mut out = BTreeMap::new();
    let mut add = |name: &str, tensor: Stored| match out.insert(name.to_owned(), tensor) {
        Some(_) => Err(format_error(name, "the tensor is there twice")),
        None => Ok(()),
    };
    for (name, view) in &views {
        if let Some(base) = name.strip_suffix(".q8").or_else(|| name.strip_suffix(".q4")) {
            let tensor = read_quantized(base, name, view, &views, &metadata)?;
            add(base, Stored::Codes(tensor))?;
        } else if !is_scale(name, &views) {
            add(name, Stored::Plain(view.shape().to_vec(), read_plain(name, view)?))?;
        }
    }
    Ok(out)
}

fn is_scale(name: &str, views: &BTreeMap<String, TensorView<'_>>) -> bool {
    name.strip_suffix(".scale")
        .is_some_and(|base| views.contains_key(&format!("{base}.q8")) || views.contains_key(&format!("{base}.q4")))
}

fn read_quantized(
    base: &str,
    name: &str,
    view: &TensorView<'_>,
    views: &BTreeMap<String, TensorView<'_>>,
    metadata: &BTreeMap<String, String>,
) -> Result<QuantizedTensor> {
    let (width, dtype) = if name.ends_with(".q8") { (CodeWidth::Q8, Dtype::I8) } else { (CodeWidth::Q4, Dtype::U8) };
    if view.dtype() != dtype {
        return Err(format_error(name, &format!("codes are {:?}, not {dtype:?}", view.dtype())));
    }
    let scale_name = format!("{base}.scale");
    let scales = views.get(&scale_name).ok_or_else(|| format_error(&scale_name, "the scales are missing"))?;
    if scales.dtype() != Dtype::F16 {
        return Err(format_error(&scale_name, &format!("scales are {:?}, not F16", scales.dtype())));
    }
    let dims = match metadata.get(&format!("dims.{base}")) {
        _ if width == CodeWidth::Q8 => view.shape().to_vec(),
        Some(text) => serde_json::from_str(text)
            .map_err(|e| format_error(name, &format!("its dims aren't a list of sizes ({e})")))?,
        None => match view.shape() {
            [rows, bytes] => vec![*rows, bytes.saturating_mul(2)],
            shape => return Err(format_error(name, &format!("codes have the shape {shape:?}, not two dimensions"))),
        },
    };
    let scales = scales.data().chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]])).collect();
    QuantizedTensor::from_parts(base, dims, width, view.data().to_vec(), scales)
}

fn read_plain(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::F16 => view.data().chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        other => return Err(format_error(name, &format!("{other:?} is none of this layout's types"))),
    };
    if values.is_empty() {
        return Err(format_error(name, "it is empty"));
    }
    if values.iter().any(|v| !v.is_finite()) {
        return Err(format_error(name, "it holds a value that isn't finite"));
    }
    Ok(values)
}

fn format_error(place: &str, problem: &str) -> ModelError {
    ModelError::Format {
        place: place.into(),
        problem: problem.into(),
        mend: "fetch the file again, or export the weights again".into(),
    }
}

fn weights_error(name: &str, problem: &str, mend: &str) -> ModelError {
    ModelError::Weights { place: name.into(), problem: problem.into(), mend: mend.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{file_bytes, stays_plain};

    fn tensors() -> WeightMap {
        let values = |n: usize| (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0).collect::<Vec<f32>>();
        [
            ("a.weight", vec![40, 64]),
            ("b.weight", vec![33, 35]),
            ("conv", vec![16, 9, 3, 3]),
            ("bias", vec![2000]),
            ("s.scale", vec![4, 4]),
        ]
        .into_iter()
        .map(|(name, dims)| (name.to_owned(), (dims.clone(), values(dims.iter().product()))))
        .collect()
    }

    fn meta() -> BTreeMap<String, String> {
        [("architecture".to_owned(), "web-s".to_owned()), ("z".to_owned(), "1".to_owned())].into()
    }

    #[test]
    fn round_trips() {
        let tensors = tensors();
        for (width, tolerance) in [(None, 0.0), (Some(CodeWidth::Q8), 0.004), (Some(CodeWidth::Q4), 0.1)] {
            let bytes = write_weights(&tensors, |_, _| width, &meta()).unwrap();
            assert_eq!(bytes, write_weights(&tensors, |_, _| width, &meta()).unwrap());
            let shapes = tensors.iter().map(|(name, (dims, _))| (name.as_str(), dims.as_slice()));
            assert_eq!(file_bytes(shapes, |_, _| width, &meta()), bytes.len() as u64, "computed from the shapes alone");
            assert_eq!(read_metadata(&bytes).unwrap().get("architecture").unwrap(), "web-s");
            let back = read_weights(&bytes).unwrap();
            assert_eq!(back.keys().collect::<Vec<_>>(), tensors.keys().collect::<Vec<_>>());
            for (name, (dims, values)) in &tensors {
                let (back_dims, back) = &back[name];
                assert_eq!(back_dims, dims, "{name}");
                let tolerance = if stays_plain(dims) { 0.0 } else { tolerance };
                let worst = values.iter().zip(back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= tolerance, "{name} {width:?}: {worst}");
            }
        }
    }

    #[test]
    fn each_tensor_may_choose() {
        let pick = |name: &str, _: &[usize]| (name != "conv").then_some(CodeWidth::Q4);
        let bytes = write_weights(&tensors(), pick, &meta()).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut names = file.names();
        names.sort_unstable();
        let expected = ["a.weight.q4", "a.weight.scale", "b.weight.q4", "b.weight.scale", "bias", "conv", "s.scale"];
        assert_eq!(names, expected);
        assert_eq!(file.tensor("b.weight.q4").unwrap().shape(), [33, 18]);
        assert_eq!(read_weights(&bytes).unwrap()["conv"], tensors()["conv"]);
    }

    #[test]
    fn refuses_names_of_the_layout() {
        for name in ["a.weight.scale", "x.q8", "x.q4", "", "__metadata__"] {
            let mut tensors = tensors();
            tensors.insert(name.into(), (vec![1], vec![1.0]));
            assert!(write_weights(&tensors, |_, _| Some(CodeWidth::Q8), &meta()).is_err(), "{name:?}");
        }
    }

    #[test]
    fn refuses_other_versions() {
        let bytes = write_weights(&tensors(), |_, _| None, &meta()).unwrap();
        let at = bytes.windows(13).position(|w| w == b"\"version\":\"1\"").unwrap();
        let mut other = bytes.clone();
        other[at + 11] = b'2';
        assert!(matches!(read_weights(&other), Err(ModelError::Version { .. })));
        let at = bytes.windows(15).position(|w| w == b"thisbut-weights").unwrap();
        let mut other = bytes;
        other[at] = b'x';
        assert!(matches!(read_weights(&other), Err(ModelError::Format { .. })));
    }

    #[test]
    fn broken_files_are_errors() {
        let tensors: WeightMap = [("a".to_owned(), (vec![33, 35], vec![0.5; 33 * 35]))].into();
        let bytes = write_weights(&tensors, |_, _| Some(CodeWidth::Q4), &meta()).unwrap();
        for cut in 0..bytes.len() {
            assert!(read_weights(&bytes[..cut]).is_err(), "{cut}");
        }
        // Any single changed byte of the header: an error or a file that still reads, never a panic.
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for at in 0..header {
            for flip in [1, 4, 16, 255] {
                let mut broken = bytes.clone();
                broken[at] ^= flip;
                let _ = read_weights(&broken);
            }
        }
    }

    #[test]
    fn hostile_headers_are_errors() {
        let ours = r#""__metadata__":{"format":"thisbut-weights","version":"1","dims.a":"[4294967296,4294967296,4294967296]"}"#;
        for tensors in [
            r#""a.q4":{"dtype":"U8","shape":[1,2],"data_offsets":[0,2]},"a.scale":{"dtype":"F16","shape":[1,1],"data_offsets":[2,4]}"#,
            r#""a.q8":{"dtype":"I8","shape":[18446744073709551615,18446744073709551615],"data_offsets":[0,4]}"#,
            r#""a.q8":{"dtype":"I8","shape":[0,99999999999],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#,
            r#""a.q8":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}"#,
            r#""a.q8":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}"#,
            r#""a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}"#,
            r#""a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#,
            r#""a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"a.q8":{"dtype":"I8","shape":[0],"data_offsets":[2,2]},"a.scale":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}"#,
        ] {
            let header = format!("{{{ours},{tensors}}}");
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.extend([0; 4]);
            assert!(read_weights(&bytes).is_err(), "{tensors}");
        }
        assert!(read_weights(&u64::MAX.to_le_bytes()).is_err());
        assert!(read_weights(&[]).is_err());
    }
}
