//! What a bundle costs a visitor, from shapes alone: bytes to fetch, memory in the page, and whether a browser can hold
//! it. Nothing is allocated, so a model of any size can be asked about.

use crate::compress;
use crate::error::Result;
use crate::export::{Packing, weights_meta};
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::fmt;
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::Form;
use thisbut_model::gallery::reference_bytes;
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::quant::{file_bytes, split};
use thisbut_model::retrieval::{ENCODER_PREFIX, MODEL_PREFIX};
use thisbut_model::weights::shapes;

/// Addresses of a 32-bit WebAssembly memory.
pub const WASM_MEMORY: u64 = 1 << 32;
/// Largest file that a page takes in one piece: the format's own limit, and what browsers give one buffer.
pub const LARGEST_FILE: u64 = 2 << 30;
/// Bytes of the page's scripts and its CPU module as they are fetched, compressed, about: `scripts/size-check` has the exact figure.
pub const PAGE: u64 = 860_000;
/// Memory from which on it is worth a remark.
const MUCH: u64 = 512 << 20;
/// The module itself with its stack, the tokenizer and what a query needs.
const BASE: u64 = 16 << 20;
/// Pictures whose keys the page keeps.
const KEPT_PICTURES: u64 = 12;

/// Sizes of one bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Architecture.
    pub name: String,
    /// With or without the image encoder.
    pub form: Form,
    /// How weights are stored.
    pub format: NumberFormat,
    /// Parameters in it.
    pub parameters: u64,
    /// Bytes of each weights file.
    pub weights: Vec<u64>,
    /// Bytes of the gallery for each image (its target tokens).
    pub image: u64,
    /// Bytes that are fetched when an image is chosen as the reference; none with an image encoder.
    pub reference: Option<u64>,
    /// Bytes of memory that the page will take, about, with an empty gallery.
    pub memory: u64,
}

impl Footprint {
    /// The sizes of `config` packed so.
    ///
    /// # Errors
    /// When the method refuses the configuration.
    pub fn of(config: &RetrievalConfig, packing: Packing) -> Result<Self> {
        let mut config = config.clone();
        config.method.family_mut().leave_unread();
        compress::fold_shape(&mut config);
        let device = Device::flex();
        let mut all: BTreeMap<String, Vec<usize>> = AnyMethod::new(&config, &device)?.shapes(MODEL_PREFIX);
        if packing.form == Form::Full {
            all.extend(shapes(&ImageEncoder::new(&config, &device), ENCODER_PREFIX));
        }
        let codes = |name: &str, _: &[usize]| packing.codes(&config, name);
        let meta = weights_meta(&config);
        let pairs = || all.iter().map(|(name, dims)| (name.as_str(), dims.as_slice()));
        let weights: Vec<u64> = split(pairs(), codes, packing.split)
            .iter()
            .map(|file| file_bytes(pairs().filter(|(name, _)| file.contains(name)), codes, &meta))
            .collect();
        let elements = |dims: &Vec<usize>| dims.iter().map(|d| *d as u64).product::<u64>();
        let parameters: u64 = all.values().map(elements).sum();
        let (t, c) = (config.image_tokens(), config.image_width());
        // As if every weight were unpacked to 32 bits beside the largest file: the most that a module takes. The CPU's holds
        // linear maps in 16 bits. Then come the values that the method keeps of each picture.
        let kept = 4 * config.method.family().image_values(t, c) as u64;
        let largest = weights.iter().copied().max().unwrap_or(0);
        Ok(Self {
            name: config.name.clone(),
            form: packing.form,
            format: packing.format(),
            parameters,
            image: ((4 + config.projection) * packing.tokens) as u64,
            reference: (packing.form == Form::GalleryReference).then(|| reference_bytes(t, c)),
            memory: BASE + 4 * parameters + largest + KEPT_PICTURES * kept,
            weights,
        })
    }

    /// Bytes of all weights files.
    pub fn weights_bytes(&self) -> u64 {
        self.weights.iter().sum()
    }

    /// Why no browser can hold it, in one sentence; `None` when one can.
    pub fn problem(&self) -> Option<String> {
        let what = format!("{} in the form {} at {}", self.name, self.form.name(), self.format);
        if self.memory > WASM_MEMORY {
            let mend = match self.form {
                Form::Full => "use --form gallery-reference, which leaves the image encoder out",
                Form::GalleryReference => "use a smaller architecture",
            };
            return Some(format!(
                "{what} needs about {} of memory in the page, where WebAssembly ends at {}; {mend}",
                Bytes(self.memory),
                Bytes(WASM_MEMORY)
            ));
        }
        let largest = self.weights.iter().copied().max().unwrap_or(0);
        (largest > LARGEST_FILE).then(|| {
            format!(
                "{what} has a weights file of {}, and browsers take {} at most in one piece; use a smaller --file-mb",
                Bytes(largest),
                Bytes(LARGEST_FILE)
            )
        })
    }

    /// What whoever publishes it should know, though it can run.
    pub fn remark(&self) -> Option<String> {
        (self.problem().is_none() && self.memory > MUCH).then(|| {
            format!(
                "a page that takes {} may be ended by a phone, and a browser may decline to store {}: try it on the devices \
                 that visitors have",
                Bytes(self.memory),
                Bytes(self.weights_bytes())
            )
        })
    }
}

impl fmt::Display for Footprint {
    /// A line of a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = self.reference.map_or_else(|| "-".to_owned(), |bytes| Bytes(bytes).to_string());
        write!(
            f,
            "{:<18} {:<4} {:>8.1} M {:>10} {:>6} {:>12} {:>10} {:>10}",
            self.form.name(),
            self.format,
            self.parameters as f64 / 1e6,
            Bytes(self.weights_bytes()).to_string(),
            self.weights.len(),
            reference,
            format!("{} B", self.image),
            Bytes(self.memory).to_string(),
        )
    }
}

/// The heading over [`Footprint`]'s lines.
pub fn heading() -> String {
    format!(
        "{:<18} {:<4} {:>10} {:>10} {:>6} {:>12} {:>10} {:>10}",
        "form", "", "parameters", "weights", "files", "a reference", "an image", "memory"
    )
}

/// Bytes as people read them: decimal units.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_000_000 => write!(f, "{:.0} kB", bytes / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.1} MB", bytes / 1e6),
            _ => write!(f, "{:.2} GB", bytes / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thisbut_model::quant::CodeWidth;

    fn of(preset: &str, form: Form, width: CodeWidth) -> Footprint {
        let packing = Packing { form, width: Some(width), split: 64_000_000, tokens: 32 };
        Footprint::of(&RetrievalConfig::preset(preset).unwrap(), packing).unwrap()
    }

    #[test]
    fn the_papers_size_without_its_encoder_fits_and_with_it_does_not() {
        let alone = of("blip2-vit-g", Form::GalleryReference, CodeWidth::Q4);
        assert_eq!(alone.reference, Some(384_688));
        assert!(alone.problem().is_none() && alone.remark().is_some(), "{alone}");
        assert!(alone.weights.iter().all(|bytes| *bytes < 65_000_000), "{:?}", alone.weights);
        let whole = of("blip2-vit-g", Form::Full, CodeWidth::Q4);
        assert_eq!(whole.parameters - alone.parameters, 985_894_528);
        let problem = whole.problem().unwrap();
        assert!(problem.contains("4.29 GB") && problem.contains("--form gallery-reference"), "{problem}");
        assert!(of("blip2-vit-l", Form::Full, CodeWidth::Q8).problem().is_none());
        assert_eq!(of("blip2-vit-l", Form::GalleryReference, CodeWidth::Q8).reference, Some(279_832));
    }

    #[test]
    fn files_that_no_page_takes_are_a_problem() {
        let packing = Packing { form: Form::Full, width: None, split: u64::MAX, tokens: 32 };
        let mut footprint = Footprint::of(&RetrievalConfig::preset("blip2-vit-l").unwrap(), packing).unwrap();
        footprint.memory = WASM_MEMORY;
        footprint.weights = vec![LARGEST_FILE + 1];
        assert!(footprint.problem().unwrap().contains("--file-mb"));
        footprint.weights = vec![LARGEST_FILE];
        assert_eq!(footprint.problem(), None);
    }

    #[test]
    fn small_models_have_nothing_to_remark() {
        for form in [Form::Full, Form::GalleryReference] {
            let footprint = of("web-xs", form, CodeWidth::Q8);
            assert_eq!((footprint.problem(), footprint.remark(), footprint.weights.len()), (None, None, 1));
            assert_eq!(heading().chars().count(), footprint.to_string().chars().count(), "{footprint}");
        }
    }
}
