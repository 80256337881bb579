//! Where a run starts from: random weights from its seed, and what tells one run from another.

use super::checkpoint::Header;
use crate::data::table::{ImageEntry, Table, Triplet};
use crate::error::{Result, TrainerError};
use crate::fsx;
use crate::teacher::vectors::Vectors;
use burn::module::Module;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::weights::{self, Tensors};

/// A seeded random start for every parameter, independent of the device's own generator.
///
/// Linear maps follow Glorot (`std = √(2 / (d_in + d_out))`). BERT's fixed 0.02 suits its width of 768; in a narrow
/// Q-Former it leaves attention uniform for hundreds of steps. Tables are normalised right after the look-up and keep 0.02.
///
/// # Errors
/// When the device does not give the model's values back.
pub fn random<M: Module>(model: &M, seed: u64) -> Result<Tensors> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut tensors = Tensors::new();
    for (name, (dims, mut values)) in weights::collect(model, "")? {
        if let [rows, columns] = dims[..] {
            let spread = match name.ends_with(".weight") {
                true => (2.0 / (rows + columns) as f64).sqrt(),
                false => 0.02,
            };
            // Normal, by Box and Muller.
            for value in &mut values {
                let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
                *value = (spread * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32;
            }
        }
        tensors.insert(name, (dims, values));
    }
    Ok(tensors)
}

/// Draws what `tensors` have behind `prefix` as PyTorch fills a linear map, which published mapping networks start from: weights
/// `[d_in, d_out]` and biases evenly within ±1/√d_in.
pub fn uniform(tensors: &mut Tensors, prefix: &str, seed: u64) {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed ^ 0x7e57_0a11);
    let inputs: BTreeMap<String, usize> = tensors
        .iter()
        .filter_map(|(name, (dims, _))| Some((name.strip_suffix(".weight")?.to_owned(), *dims.first()?)))
        .collect();
    for (name, (_, values)) in tensors.iter_mut().filter(|(name, _)| name.starts_with(prefix)) {
        let map = name.rsplit_once('.').map_or("", |(map, _)| map);
        let Some(inputs) = inputs.get(map) else { continue };
        let bound = 1.0 / (*inputs as f64).sqrt();
        values.iter_mut().for_each(|value| *value = rng.random_range(-bound..bound) as f32);
    }
}

/// Says whether two descriptions of a generator, of a checkpoint and of the run that is asked for, are of the same one.
pub type SameGenerator = fn(&Value, &Value) -> bool;

/// Whether a checkpoint belongs to the run that is asked for.
///
/// # Errors
/// [`TrainerError::Checkpoint`] when it was started otherwise, with what differs.
pub fn same_run(path: &Path, found: &Header, wanted: &Header, same_generator: SameGenerator) -> Result<()> {
    let settings = wanted.settings.continuing(&found.settings);
    let mut other = Vec::new();
    differences("", &json(path, &found.settings)?, &json(path, &settings)?, &mut other);
    let mut other: Vec<String> = other.into_iter().map(|d| d.said(&option_name(&d.name))).collect();
    let mut architecture = Vec::new();
    differences("", &json(path, &found.config)?, &json(path, &wanted.config)?, &mut architecture);
    other.extend(architecture.iter().map(|d| d.said(&format!("the architecture's {}", d.name))));
    if found.data != wanted.data {
        other.push("the training triplets are others".to_owned());
    }
    // A checkpoint of an earlier version does not know these.
    let known = wanted.parts.iter().filter_map(|(name, part)| Some((name, part, found.parts.get(name)?)));
    other.extend(known.filter(|(_, a, b)| a != b).map(|(name, ..)| format!("the {name} are others")));
    if let (Some(a), Some(b)) = (&found.vocabulary, &wanted.vocabulary)
        && a != b
    {
        other.push("the vocabulary (vocab.txt) is another".to_owned());
    }
    if let (Some(a), Some(b)) = (&found.base_encoder, &wanted.base_encoder)
        && a != b
    {
        other.push("the image encoder that the adapters stand in is another".to_owned());
    }
    let same_generator = match (&found.generator, &wanted.generator) {
        (Some(found), Some(wanted)) => same_generator(found, wanted),
        (None, None) => true,
        _ => false,
    };
    if !same_generator {
        other.push("the generator's form, instruction or language model is another".to_owned());
    }
    match other.is_empty() {
        true => Ok(()),
        false => Err(TrainerError::checkpoint(
            path.display().to_string(),
            format!("this run was started with other settings: {}", other.join("; ")),
            "use the same ones to resume, or another --out to start anew",
        )),
    }
}

/// Fields of a configuration in which a model of any family may differ from the one that it starts from: they change how it
/// computes, and no parameter's meaning. Those of its method are its family's [switches](FamilyConfig::switches).
const SWITCHES: [&str; 2] = ["name", "text.length"];

/// Whether a difference is one that a start allows.
fn is_switch(name: &str, config: &RetrievalConfig) -> bool {
    let own = || name.strip_prefix("method.").is_some_and(|own| config.method.family().switches().contains(&own));
    SWITCHES.contains(&name) || name.starts_with("preprocess.") || own()
}

/// Checks that a model of `config` can start from the weights of `path`, whose header is `found`.
///
/// # Errors
/// [`TrainerError::Checkpoint`] that names the first fields in which the architectures differ.
pub fn check_start(path: &Path, found: &Header, config: &RetrievalConfig) -> Result<()> {
    let mut other = Vec::new();
    // A method may start from the towers of another family's.
    let grown = config.method.family().grown_from(&found.config.method);
    let there = RetrievalConfig { method: grown.unwrap_or(found.config.method.clone()), ..found.config.clone() };
    differences("", &json(path, &there)?, &json(path, config)?, &mut other);
    other.retain(|d| !is_switch(&d.name, config));
    match other.is_empty() {
        true => Ok(()),
        false => Err(TrainerError::checkpoint(
            format!("--start {}", path.display()),
            format!(
                "it has another architecture: {}",
                other.iter().map(|d| d.said(&d.name)).collect::<Vec<_>>().join("; ")
            ),
            format!("choose the --preset that it was trained with ({}), or another checkpoint", found.config.name),
        )),
    }
}

fn json(path: &Path, value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value)
        .map_err(|e| TrainerError::checkpoint(path.display().to_string(), e.to_string(), "report this"))
}

/// A field that has one value in a checkpoint and another in what is asked for.
struct Difference {
    name: String,
    there: Value,
    here: Value,
}

impl Difference {
    fn said(&self, name: &str) -> String {
        // A value that is left out has its default.
        let shown = |value: &Value| if value.is_null() { "the default".to_owned() } else { value.to_string() };
        format!("{name} is {} there and {} here", shown(&self.there), shown(&self.here))
    }
}

/// Every field in which two values differ, those of inner objects joined by a dot.
fn differences(name: &str, there: &Value, here: &Value, found: &mut Vec<Difference>) {
    match (there, here) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let inner = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                differences(&inner, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
            }
        }
        _ if there == here => {}
        _ => found.push(Difference { name: name.to_owned(), there: there.clone(), here: here.clone() }),
    }
}

/// A setting as the command line calls it.
fn option_name(field: &str) -> String {
    match field {
        "recipe" => "--losses".to_owned(),
        "freeze_words" => "freezing of words (--train-words)".to_owned(),
        "betas" => "--beta1, --beta2".to_owned(),
        "objective" => field.to_owned(),
        _ => format!("--{}", field.replace('_', "-")),
    }
}

/// A short text that changes with the training data.
pub fn fingerprint(table: &Table) -> String {
    let mut text = String::new();
    for t in &table.triplets {
        text.push_str(&format!("{}|{}|{:?}|{}\n", t.id, t.reference, t.targets, t.text));
    }
    fsx::sha256_hex(text.as_bytes()).chars().take(32).collect()
}

impl Header {
    /// With the names of the unlabelled `images` that a run reads, where it reads any.
    pub fn with_images(mut self, images: &[ImageEntry]) -> Self {
        if !images.is_empty() {
            let names: String = images.iter().map(|image| format!("{:?}\n", image.name)).collect();
            let short = fsx::sha256_hex(names.as_bytes()).chars().take(32).collect();
            self.parts.insert("unlabelled images".into(), short);
        }
        self
    }
}

impl Header {
    /// With what a teacher says of the images, where a run has one.
    pub fn with_teacher(mut self, vectors: Option<&Vectors>) -> Self {
        self.parts.extend(vectors.map(|vectors| ("teacher's vectors".into(), vectors.fingerprint())));
        self
    }
}

/// What [`fingerprint`] leaves out and a run depends on too: each part's own short text, by what it is.
pub fn parts(train: &Table, validation: &Table) -> BTreeMap<String, String> {
    let of = |text: String| fsx::sha256_hex(text.as_bytes()).chars().take(32).collect::<String>();
    let rows = |part: &dyn Fn(&Triplet) -> String| of(train.triplets.iter().map(part).collect());
    let names = |table: &Table| table.images.iter().map(|image| format!("{:?}\n", image.name)).collect::<String>();
    [
        ("image names", of(names(train))),
        ("reverse texts", rows(&|t| format!("{:?}\n", t.reverse))),
        ("subsets", rows(&|t| format!("{:?}\n", t.subset))),
        ("wordings", rows(&|t| format!("{:?}\n", t.wordings))),
        ("captions", rows(&|t| format!("{:?}\n", t.caption))),
        ("noun phrases", rows(&|t| format!("{:?}\n", t.phrases))),
        ("validation queries", of(format!("{}\n{}", names(validation), fingerprint(validation)))),
    ]
    .map(|(name, part)| (name.to_owned(), part))
    .into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::data::ImageEntry;
    use crate::train::settings::Settings;

    fn table() -> Table {
        let image = |name: &str| ImageEntry { name: name.into(), path: name.into() };
        let triplet = Triplet { targets: vec![1], text: "in red".into(), subset: vec![0, 1], ..Triplet::default() };
        Table { images: ["a", "b"].map(image).to_vec(), triplets: vec![triplet], ..Table::default() }
    }

    fn header(train: &Table, validation: &Table) -> Header {
        let config = RetrievalConfig::preset("tiny").unwrap();
        let mut header = Header::new(Settings::sprc(), config, fingerprint(train));
        (header.parts, header.vocabulary) = (parts(train, validation), Some("one".into()));
        header
    }

    fn refused(found: &Header, wanted: &Header) -> String {
        same_run(Path::new("run/step"), found, wanted, PartialEq::eq).unwrap_err().to_string()
    }

    #[test]
    fn each_part_of_the_data_is_told_apart_and_named() {
        let base = table();
        let found = header(&base, &base);
        same_run(Path::new("x"), &found, &found.clone(), PartialEq::eq).unwrap();
        let mut other = [base.clone(), base.clone(), base.clone(), base.clone(), base.clone()];
        other[0].images[1].name = "c".into();
        other[1].triplets[0].reverse = Some("in blue".into());
        other[2].triplets[0].subset.pop();
        other[3].triplets[0].wordings.push("red".into());
        other[4].triplets[0].text = "in green".into();
        let named = ["image names", "reverse texts", "subsets", "wordings", "training triplets"];
        for (table, named) in other.iter().zip(named) {
            let said = refused(&found, &header(table, &base));
            assert!(said.contains(&format!("the {named} are others")), "{said}");
            assert_eq!(said.matches(" are others").count(), 1, "{said}");
        }
        let said = refused(&found, &header(&base, &other[4]));
        assert!(said.contains("the validation queries are others"), "{said}");
        let mut words = found.clone();
        words.vocabulary = Some("two".into());
        assert!(refused(&found, &words).contains("vocabulary"));
        // A run of version 1 knows none of them and goes on.
        let mut old = found.clone();
        (old.parts, old.vocabulary) = (BTreeMap::new(), None);
        same_run(Path::new("x"), &old, &header(&other[1], &base), PartialEq::eq).unwrap();
    }

    #[test]
    fn the_setting_that_differs_is_named_as_the_option_is() {
        let base = table();
        let found = header(&base, &base);
        let mut wanted = found.clone();
        wanted.settings.learning_rate = 2e-5;
        wanted.settings.sub_batch = 4;
        wanted.config.two_pass_mut().unwrap().qformer.layers = 4;
        let said = refused(&found, &wanted);
        for part in [
            "--learning-rate is 0.00001 there and 0.00002 here",
            "--sub-batch is 0 there and 4 here",
            "the architecture's method.qformer.layers is 2 there and 4 here",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }

    #[test]
    fn a_start_of_another_depth_is_refused_and_switches_are_free() {
        let base = table();
        let found = header(&base, &base);
        let mut config = found.config.clone();
        let own = config.two_pass_mut().unwrap();
        (own.temperature, own.qformer.dropout, own.own_second_pass) = (0.05, 0.0, true);
        own.qformer.attention_dropout = 0.3;
        config.name = "mine".into();
        check_start(Path::new("start"), &found, &config).unwrap();
        config.two_pass_mut().unwrap().qformer.layers = 4;
        let said = check_start(Path::new("start"), &found, &config).unwrap_err().to_string();
        assert!(said.contains("method.qformer.layers is 2 there and 4 here") && said.contains("--preset"), "{said}");
    }
}
