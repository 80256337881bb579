//! Figures and texts on held-out pairs while a generator trains.

use super::{Context, answers, negative_log_likelihood};
use crate::mtst::Mtst;
use crate::overlap;
use crate::runtime::{Adapted, Decoding, Llama, Strategy};
use crate::speaker::Speaker;
use burn::module::Module;
use burn::tensor::Device;
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;
use thisbut_model::nn::basic::in_precision;
use thisbut_trainer::embed::{self, read};
use thisbut_trainer::error::Result;
use thisbut_trainer::fsx;
use thisbut_trainer::page::samples::{Sample, samples};

/// Pairs that are validated together.
const PART: usize = 16;

/// Figures on held-out pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validated {
    /// Nats a token of the people's own texts.
    pub loss: f64,
    /// Its exponential.
    pub perplexity: f64,
    /// Mean ROUGE-1 of greedy texts.
    pub rouge1: f64,
    /// Mean METEOR of greedy texts, by exact match alone.
    pub meteor_exact: f64,
}

impl Validated {
    /// The metrics file's keys.
    pub(super) fn line(&self) -> serde_json::Map<String, serde_json::Value> {
        let Self { loss, perplexity, rouge1, meteor_exact } = self;
        let val = json!({"loss": loss, "perplexity": perplexity, "rouge1": rouge1, "meteor_exact": meteor_exact});
        [("val".to_owned(), val)].into_iter().collect()
    }
}

/// Validates on held-out pairs, and writes samples.html: some of them with both pictures, the person's text and the generated one.
pub(super) fn validate(
    context: &Context,
    model: &Mtst,
    decoder: &Llama,
    step: usize,
    device: &Device,
) -> Result<Validated> {
    let Context { settings, inputs, .. } = context;
    let table = inputs.validation;
    let language = inputs.language;
    let model = in_precision(&model.valid(), settings.precision.float()?);
    let changes = model.adapters.clone();
    let decoder = &Adapted::new(decoder, &decoder.blocks, changes.as_ref());
    let speaker = Speaker {
        model,
        decoder,
        words: &language.words,
        prompt: context.prompt.clone(),
        instruction: context.instruction.clone(),
        config: inputs.setup.mtst.clone(),
    };
    let rows = embed::rows(table, inputs.features)?;
    let own = answers(table, &language.words, &inputs.setup.mtst)?;
    // Every n-th triplet: a file may be ordered by group. Zero asks for all.
    let spread = |wanted: usize| {
        let wanted = if wanted == 0 { usize::MAX } else { wanted };
        table.triplets.len().div_ceil(wanted.min(table.triplets.len()).max(1)).max(1)
    };
    let usable: Vec<usize> = (0..table.triplets.len()).filter(|t| !table.triplets[*t].targets.is_empty()).collect();
    // Those that are usable have a target.
    let pair = |t: &usize| {
        let triplet = &table.triplets[*t];
        (rows[triplet.reference as usize], rows[triplet.targets[0] as usize])
    };
    let (mut loss, mut tokens) = (0.0, 0usize);
    let chosen: Vec<usize> = usable.iter().copied().step_by(spread(settings.validate_queries)).collect();
    for part in chosen.chunks(PART) {
        let pairs: Vec<(usize, usize)> = part.iter().map(pair).collect();
        let own: Vec<Vec<u32>> = part.iter().map(|t| own[*t].clone()).collect();
        tokens += own.iter().map(Vec::len).sum::<usize>();
        let prompts = speaker.prompts(&pairs, inputs.features, device)?;
        let sum = negative_log_likelihood(decoder, prompts, &own);
        let sum = read(sum)?;
        assert_eq!(sum.len(), 1, "a sum is one number");
        loss += f64::from(sum[0]);
    }
    let loss = loss / tokens.max(1) as f64;
    let decoding = Decoding {
        strategy: Strategy::Greedy,
        repetition_penalty: 1.0,
        least: 1,
        most: inputs.setup.mtst.answer_length,
        target: None,
    };
    let mut shown = Vec::new();
    let chosen: Vec<usize> = usable.iter().copied().step_by(spread(inputs.samples.max(1))).collect();
    for part in chosen.chunks(PART) {
        let pairs: Vec<(usize, usize)> = part.iter().map(pair).collect();
        let numbers = part.iter().map(|t| *t as u64).collect();
        let said = speaker.say(&pairs, numbers, inputs.features, &decoding, device)?;
        for (t, generated) in part.iter().zip(said) {
            let triplet = &table.triplets[*t];
            let name = |image: u32| table.images[image as usize].name.clone();
            let original = speaker.config.text(&triplet.text);
            shown.push(Sample {
                reference: name(triplet.reference),
                target: name(triplet.targets[0]),
                rouge1: overlap::rouge1(original, &generated),
                meteor_exact: overlap::meteor_exact(original, &generated),
                original: original.to_owned(),
                generated,
            });
        }
    }
    let mean = |of: fn(&Sample) -> f64| shown.iter().map(of).sum::<f64>() / shown.len().max(1) as f64;
    let found =
        Validated { loss, perplexity: loss.exp(), rouge1: mean(|s| s.rouge1), meteor_exact: mean(|s| s.meteor_exact) };
    let files: HashMap<String, PathBuf> = table.images.iter().map(|i| (i.name.clone(), i.path.clone())).collect();
    let title = format!(
        "Step {step}: perplexity {:.2}, ROUGE-1 {:.3}, METEOR (exact match) {:.3}",
        found.perplexity, found.rouge1, found.meteor_exact
    );
    fsx::write_atomic(&inputs.run.join("samples.html"), samples(&title, &shown, &files).as_bytes())?;
    Ok(found)
}
