//! Training the generator: Q-Former and FC_llm before a frozen language model, loss on the answers' tokens (eq. 2).

mod validate;

use super::Setup;
use super::language::{self, Language, frozen};
use super::speaker::{Instruction, instruction};
use crate::mtst::{Mtst, MtstConfig, Prompt, answer_logits};
use crate::runtime::{Adapted, Bpe, Decoder, FrozenBlock, Llama};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use thisbut_kernels as kernels;
use thisbut_model::RetrievalConfig;
use thisbut_model::nn::basic::in_precision;
use thisbut_model::nn::{Noise, TextBatch};
use thisbut_model::number::NumberFormat;
use thisbut_model::text::TextReader;
use thisbut_model::weights::{self, Tensors};
use thisbut_trainer::data::derive;
use thisbut_trainer::data::table::{Table, Triplet};
use thisbut_trainer::device::{self, DeviceKind};
use thisbut_trainer::embed::{self, read};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::fsx;
use thisbut_trainer::lock::{self, Lock};
use thisbut_trainer::train::batches::Batches;
use thisbut_trainer::train::checkpoint::Header;
use thisbut_trainer::train::event::Event;
use thisbut_trainer::train::gradients::ParameterGradients;
use thisbut_trainer::train::learner::freeze;
use thisbut_trainer::train::objective::loss::Figures;
use thisbut_trainer::train::optimizer::AdamW;
use thisbut_trainer::train::run::{self, Run, Stepped, Trainee, Validation};
use thisbut_trainer::train::settings::{Settings, check_precision};
use thisbut_trainer::train::{schedule, start};
use validate::validate;

pub use validate::Validated;

/// Characters of a text that are read; an answer has far fewer.
const LONGEST: usize = 4096;
/// Pieces of a batch that a CPU computes at the same time: much of what stands between the products keeps one core busy.
const SIDE_BY_SIDE: usize = 2;

/// What a run reads and where it writes.
pub struct Inputs<'a> {
    /// The Q-Former's architecture.
    pub config: &'a RetrievalConfig,
    /// How the generator is put together.
    pub setup: &'a Setup,
    /// Annotated triplets.
    pub train: &'a Table,
    /// Held-out triplets.
    pub validation: &'a Table,
    /// Image tokens of both.
    pub features: &'a dyn ImageTokens,
    /// The Q-Former's tokenizer.
    pub texts: &'a TextReader,
    /// The language model, outside the gradient's graph.
    pub language: &'a Language,
    /// Starting weights by name; parameters that are missing start at random.
    pub start: Tensors,
    /// Held-out pairs that get a text at each validation.
    pub samples: usize,
    /// The run's folder.
    pub run: &'a Path,
    /// Stop after this step, although the schedule goes on; a later call resumes there.
    pub until: Option<usize>,
}

/// What a step needs besides the weights that it changes.
struct Context<'a> {
    settings: &'a Settings,
    inputs: &'a Inputs<'a>,
    /// The decoder inside the gradient's graph, in the run's precision.
    decoder: Llama,
    /// Its blocks in 8 bits, in the place of its own.
    int8: Option<Vec<FrozenBlock>>,
    prompt: Prompt,
    instruction: Instruction,
    /// Feature rows of the training images.
    rows: Vec<usize>,
    /// The training texts' tokens.
    answers: Vec<Vec<u32>>,
    device: Device,
}

/// The texts' tokens. A row of titles has no end: a modification text would follow on the next line.
fn answers(table: &Table, words: &Bpe, config: &MtstConfig) -> Result<Vec<Vec<u32>>> {
    let encode = |triplet: &Triplet| {
        let goes_on = triplet.kind.as_deref() == Some(derive::TITLES);
        let mut text: String = triplet.text.trim().chars().take(LONGEST).collect();
        if goes_on {
            text.push('\n');
        }
        let mut tokens = words.encode(&text)?;
        if goes_on {
            tokens.truncate(config.answer_length.max(1));
        } else {
            tokens.truncate(config.answer_length.max(2) - 1);
            tokens.push(words.end());
        }
        Ok(tokens)
    };
    table.triplets.iter().map(encode).collect()
}

/// Sum over the answers' tokens of their negative log-likelihood: `[1]`, in f32.
fn negative_log_likelihood(decoder: &dyn Decoder, prompt: Tensor<3>, answers: &[Vec<u32>]) -> Tensor<1> {
    let right: Vec<u32> = answers.iter().flatten().copied().collect();
    kernels::negative_log_likelihood(answer_logits(decoder, prompt, answers), &right).sum()
}

impl Context<'_> {
    /// [`negative_log_likelihood`] behind what FC_llm makes, under the model's changes of the decoder.
    fn loss(&self, model: &Mtst, visual: Tensor<3>, answers: &[Vec<u32>]) -> Tensor<1> {
        let adapters = model.adapters.as_ref();
        let both = |decoder: &dyn Decoder| {
            negative_log_likelihood(decoder, self.prompt.embed(visual.clone(), decoder), answers)
        };
        match &self.int8 {
            Some(blocks) => both(&Adapted::new(&self.decoder, blocks, adapters)),
            None => both(&Adapted::new(&self.decoder, &self.decoder.blocks, adapters)),
        }
    }

    /// Gradients and mean loss a token of one batch.
    fn gradients(&self, master: &Mtst, batch: &[u32], step: usize) -> Result<(ParameterGradients, f64)> {
        let tokens: usize = batch.iter().map(|t| self.answer(*t).len()).sum();
        let mut batch = batch.to_vec();
        // A batch's order means nothing; by length, each part of it is as short as its texts allow.
        batch.sort_by_key(|t| self.answer(*t).len());
        let side_by_side = if self.settings.device == DeviceKind::Cpu { SIDE_BY_SIDE } else { 1 };
        let size = match self.settings.sub_batch {
            0 => batch.len().div_ceil(side_by_side),
            size => size,
        };
        let pieces: Vec<(u64, &[u32])> = (0..).zip(batch.chunks(size.max(1))).collect();
        let (mut gradients, mut loss) = (ParameterGradients::default(), 0.0);
        // In the order of the pieces, so that a sum does not depend on which was first.
        for pieces in pieces.chunks(side_by_side) {
            let piece = |(at, part): &(u64, &[u32])| self.piece(master, part, step, *at, tokens);
            let found: Vec<Result<(ParameterGradients, f64)>> = match pieces {
                [only] => vec![piece(only)],
                several => thread::scope(|scope| {
                    let threads: Vec<_> = several.iter().map(|own| scope.spawn(move || piece(own))).collect();
                    threads.into_iter().map(|thread| thread.join().unwrap_or_else(|why| resume_unwind(why))).collect()
                }),
            };
            for found in found {
                let (more, part) = found?;
                gradients.add(more);
                loss += part;
            }
        }
        Ok((gradients, loss))
    }

    /// The tokens of a training text.
    fn answer(&self, triplet: u32) -> &[u32] {
        &self.answers[triplet as usize]
    }

    /// The share of piece `at` in [`Context::gradients`], of a batch with `tokens` in all.
    fn piece(
        &self,
        master: &Mtst,
        part: &[u32],
        step: usize,
        at: u64,
        tokens: usize,
    ) -> Result<(ParameterGradients, f64)> {
        let Self { settings, inputs, device, .. } = self;
        // A graph of its own: pieces that share one wait for each other.
        let master = master.clone().fork(device);
        let model = in_precision(&master, settings.precision.float()?);
        let seed = settings.seed.wrapping_add((step as u64) << 20).wrapping_add(at << 12);
        let qformer = &inputs.config.two_pass()?.qformer;
        let noise = Noise::new(qformer.dropout, seed).on_weights(qformer.attention_dropout);
        let b = part.len();
        let (mut references, mut targets) = (Vec::new(), Vec::new());
        for t in part {
            let triplet = &inputs.train.triplets[*t as usize];
            let target = triplet.targets.first().ok_or_else(|| {
                let reference = &inputs.train.images[triplet.reference as usize].name;
                TrainerError::data(
                    reference,
                    "its triplet has no target to speak of",
                    "train on a split that has targets",
                )
            })?;
            references.push(self.rows[triplet.reference as usize]);
            targets.push(self.rows[*target as usize]);
        }
        let images: Vec<usize> = references.into_iter().chain(targets).collect();
        let keys = model.image_keys(inputs.features.tokens(&images, device)?);
        let looked = model.look(&keys, 2 * b, &noise);
        let [_, n, d] = looked.dims();
        let looked = (looked.clone().slice([0..b, 0..n, 0..d]), looked.slice([b..2 * b, 0..n, 0..d]));
        let text = TextBatch::new(&vec![self.instruction.clone(); b], device);
        let visual = model.visual((&keys.slice(0..b), &keys.slice(b..2 * b)), looked, &text, &noise);
        let own: Vec<Vec<u32>> = part.iter().map(|t| self.answer(*t).to_vec()).collect();
        let loss = self.loss(&model, visual, &own) / tokens as f64;
        let found = loss.backward();
        let gradients = ParameterGradients::of(&master, &found);
        let loss = read(loss.inner())?;
        assert_eq!(loss.len(), 1, "a loss is one number");
        Ok((gradients, f64::from(loss[0])))
    }
}

/// Trains until `settings.steps`, resuming from the newest checkpoint in the run folder. Returns the final weights' file.
///
/// # Errors
/// When data, settings or files do not fit.
pub fn train(settings: &Settings, mut inputs: Inputs, tell: &mut dyn FnMut(Event<Validated>)) -> Result<PathBuf> {
    settings.check()?;
    fsx::create_dir(inputs.run)?;
    let _lock = Lock::take(&inputs.run.join(lock::RUN), inputs.run)?;
    let batches = Batches::new(settings, inputs.train)?;
    let plain = device::choose(settings.device)?;
    let device = plain.clone().autodiff();
    check_precision(settings.precision, &plain)?;
    language::check_precision(inputs.setup.arithmetic, settings.device, &plain)?;
    let mut wanted = Header::new(settings.clone(), inputs.config.clone(), start::fingerprint(inputs.train));
    wanted.parts = start::parts(inputs.train, inputs.validation);
    wanted.vocabulary = Some(inputs.texts.fingerprint().to_owned());
    wanted.generator = Some(inputs.setup.described(inputs.run)?);
    let head = |device: &Device| Mtst::of(inputs.config, &inputs.setup.mtst, &inputs.setup.language, device);
    let (mut header, stored) = run::resume(inputs.run, wanted, Setup::same, &mut |note| tell(Event::Note(note)))?;
    let (mut tensors, state) = match stored {
        Some((tensors, state)) => (tensors, Some(state)),
        None => {
            let mut tensors = super::start::random(&head(&Device::flex())?, &inputs.language.decoder, settings.seed)?;
            let given = std::mem::take(&mut inputs.start);
            let known: Tensors = given.into_iter().filter(|(name, _)| tensors.contains_key(name)).collect();
            tensors.extend(known);
            (tensors, None)
        }
    };
    let model = freeze(weights::load(head(&device)?, "", &mut tensors)?, "", &settings.groups_in_force());
    let mut optimizer = AdamW::new(settings);
    if let Some(state) = state {
        optimizer.restore(state, header.optimizer_steps, &plain)?;
    }

    // The language model in the run's precision (where it is held so, it is not copied), once outside the graph and once, on the
    // same memory, inside.
    let decoder = in_precision(&inputs.language.decoder, settings.precision.float()?);
    let inside = frozen(&decoder);
    let eight_bits = inputs.setup.arithmetic == NumberFormat::Int8;
    let int8 = eight_bits.then(|| FrozenBlock::of(&decoder, &inside)).transpose()?;
    let inputs = inputs;
    let words = &inputs.language.words;
    let context = Context {
        settings,
        inputs: &inputs,
        decoder: inside,
        int8,
        prompt: Prompt::new(&inputs.setup.mtst, words)?,
        instruction: instruction(inputs.setup, inputs.texts),
        rows: embed::rows(inputs.train, inputs.features)?,
        answers: answers(inputs.train, words, &inputs.setup.mtst)?,
        device,
    };
    let run = Run { settings, folder: inputs.run, until: inputs.until, per_epoch: batches.per_epoch() };
    let trainee = Generator { context: &context, model, optimizer, decoder: &decoder, batches, device: plain };
    run.go(trainee, &mut header, tell)
}

/// What the loop trains.
struct Generator<'a> {
    context: &'a Context<'a>,
    model: Mtst,
    optimizer: AdamW,
    /// The language model outside the gradient's graph.
    decoder: &'a Llama,
    batches: Batches<'a>,
    /// Outside autodiff.
    device: Device,
}

impl Trainee for Generator<'_> {
    type Found = Validated;

    fn step(mut self, step: usize) -> Result<(Self, Stepped)> {
        let Context { settings, .. } = *self.context;
        run::seed(&self.device, settings, step);
        let (gradients, loss) = self.context.gradients(&self.model, self.batches.of(step), step)?;
        let (model, norm) = self.optimizer.update(self.model, &gradients, schedule::point(settings, step))?;
        Ok((Self { model, ..self }, Stepped { losses: Figures::single(loss), norm }))
    }

    fn validate(&mut self, step: usize) -> Result<Validation<Validated>> {
        let found = validate(self.context, &self.model, self.decoder, step, &self.device)?;
        Ok(Validation { score: -found.loss, line: found.line(), found })
    }

    fn weights(&self) -> Result<Tensors> {
        Ok(weights::collect(&self.model, "")?)
    }

    fn optimizer(&self) -> &AdamW {
        &self.optimizer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mtst::MtstForm;
    use serde_json::{Value, json};

    #[test]
    fn answers_end_and_titles_go_on() {
        let json = json!({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "\u{10a}": 2, "</s>": 3}, "merges": []},
            "pre_tokenizer": {"type": "ByteLevel"}, "added_tokens": [{"id": 3, "content": "</s>", "special": true}]});
        let end: Value = json!({"eos_token_id": 3});
        let words = Bpe::from_hugging_face(&json.to_string(), &end, "here").unwrap();
        let row = |text: &str, kind: Option<&str>| Triplet {
            text: text.into(),
            kind: kind.map(str::to_owned),
            ..Triplet::default()
        };
        let titles = Some(derive::TITLES);
        let triplets =
            vec![row(" ab\n", None), row("ab", titles), row("", None), row("aaaaaa", None), row("aaaa", titles)];
        let table = Table { triplets, ..Table::default() };
        let config = MtstConfig { answer_length: 4, ..MtstConfig::new(MtstForm::Paper) };
        let expected: [&[u32]; 5] = [&[0, 1, 3], &[0, 1, 2], &[3], &[0, 0, 0, 3], &[0, 0, 0, 0]];
        assert_eq!(answers(&table, &words, &config).unwrap(), expected);
    }
}
