//! A trained generator: pairs of images in, texts out.

use super::Setup;
use super::language::Language;
use crate::mtst::{Mtst, MtstConfig, Prompt};
use crate::runtime::{Adapters, Bpe, Decoder, Decoding, Start, generate};
use burn::tensor::{Device, FloatDType, Tensor};
use std::path::Path;
use thisbut_model::nn::basic::in_precision;
use thisbut_model::nn::{Noise, TextBatch};
use thisbut_model::text::TextReader;
use thisbut_model::{RetrievalConfig, weights};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::checkpoint;

/// The instruction as the Q-Former reads it: ids and mask.
pub type Instruction = (Vec<u32>, Vec<bool>);

/// The instruction of a setup, tokenised for the Q-Former.
pub fn instruction(setup: &Setup, texts: &TextReader) -> Instruction {
    let tokens = texts.tokens(&setup.mtst.instruction);
    (tokens.ids, tokens.mask)
}

/// What speaks.
pub struct Speaker<'a> {
    /// The head, outside the gradient's graph.
    pub model: Mtst,
    /// The language model's weights.
    pub decoder: &'a dyn Decoder,
    /// The language model's tokenizer.
    pub words: &'a Bpe,
    /// The tokens around the images.
    pub prompt: Prompt,
    /// What the Q-Former is told.
    pub instruction: Instruction,
    /// How answers are made into texts.
    pub config: MtstConfig,
}

/// A trained generator, not yet beside its language model.
pub struct Trained {
    /// The Q-Former's architecture.
    pub config: RetrievalConfig,
    setup: Setup,
    model: Mtst,
    header: checkpoint::Header,
}

impl Trained {
    /// The generator of a checkpoint.
    ///
    /// # Errors
    /// When the file is no generator's.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let checkpoint::Checkpoint { header, mut model, .. } = checkpoint::load(path)?;
        let Some(setup) = &header.generator else {
            let problem = "it is a retrieval model's checkpoint, not a generator's";
            let mend = "give a file of `thisbut generator train`";
            return Err(TrainerError::checkpoint(path.display().to_string(), problem, mend));
        };
        let setup = Setup::read(setup, path)?;
        let head = Mtst::of(&header.config, &setup.mtst, &setup.language, device)?;
        let model = weights::load(head, "", &mut model)?;
        Ok(Self { config: header.config.clone(), setup, model, header })
    }

    /// Checks that `texts` reads the vocabulary that the generator of `path` was trained with.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when it is another.
    pub fn check_vocabulary(&self, path: &Path, texts: &TextReader) -> Result<()> {
        self.header.check_vocabulary(path, texts.fingerprint())
    }

    /// Tokens of a text that it was trained on.
    pub fn answer_length(&self) -> usize {
        self.setup.mtst.answer_length
    }

    /// The changes of the language model that were trained with the generator, which come out of it. `place` is where it was read.
    ///
    /// # Errors
    /// When the generator was trained around another language model.
    pub fn changes<D>(&mut self, language: &Language<D>, place: &Path) -> Result<Option<Adapters>> {
        if self.setup.fingerprint != language.fingerprint || self.setup.language != language.config {
            let (place, problem) = (place.display().to_string(), "it was trained around another language model");
            return Err(TrainerError::checkpoint(place, problem, "give the --llm that it was trained with"));
        }
        Ok(self.model.adapters.take())
    }

    /// The same, computing in `precision`.
    #[must_use]
    pub fn in_precision(self, precision: FloatDType) -> Self {
        Self { model: in_precision(&self.model, precision), ..self }
    }
}

impl<'a> Speaker<'a> {
    /// A generator beside the language model, which has the generator's [changes](Trained::changes).
    ///
    /// # Errors
    /// When the language model lacks the chat template that the generator was trained with.
    pub fn new<D: Decoder>(trained: Trained, language: &'a Language<D>, texts: &TextReader) -> Result<Self> {
        let Trained { setup, model, .. } = trained;
        Ok(Self {
            model,
            decoder: &language.decoder,
            words: &language.words,
            prompt: Prompt::new(&setup.mtst, &language.words)?,
            instruction: instruction(&setup, texts),
            config: setup.mtst,
        })
    }

    /// Prompts `[pairs, n, W]` for pairs of feature rows (reference, target).
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn prompts(&self, pairs: &[(usize, usize)], features: &dyn ImageTokens, device: &Device) -> Result<Tensor<3>> {
        // An image of several pairs is looked at once.
        let mut rows: Vec<usize> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        rows.sort_unstable();
        rows.dedup();
        let place = |row: &usize| match rows.binary_search(row) {
            Ok(at) => at,
            Err(_) => unreachable!("row {row} is one of the pairs'"),
        };
        let (references, targets): (Vec<usize>, Vec<usize>) = pairs.iter().map(|(a, b)| (place(a), place(b))).unzip();
        let noise = Noise::off();
        let keys = self.model.image_keys(features.tokens(&rows, device)?);
        let looked = self.model.look(&keys, rows.len(), &noise);
        let chosen = |at: &[usize]| {
            let index: Vec<i32> = at.iter().map(|i| *i as i32).collect();
            let count = index.len();
            looked.clone().select(0, Tensor::from_data(burn::tensor::TensorData::new(index, [count]), device))
        };
        let text = TextBatch::new(&vec![self.instruction.clone(); pairs.len()], device);
        let visual = self.model.visual(
            (&keys.select(&references), &keys.select(&targets)),
            (chosen(&references), chosen(&targets)),
            &text,
            &noise,
        );
        Ok(self.prompt.embed(visual, self.decoder))
    }

    /// Texts for pairs of feature rows; `numbers` are the pairs' own, for samples.
    ///
    /// # Errors
    /// When the device does not give its values back, or the tokenizer makes no text of the answers.
    pub fn say(
        &self,
        pairs: &[(usize, usize)],
        numbers: Vec<u64>,
        features: &dyn ImageTokens,
        decoding: &Decoding,
        device: &Device,
    ) -> Result<Vec<String>> {
        // The transformers that the published code runs on counts the token that begins texts as said, and as a part of the length.
        let used = vec![self.words.begin().into_iter().collect(); pairs.len()];
        let start = Start { numbers, used, ..Start::new(self.prompts(pairs, features, device)?) };
        let answers = generate(self.decoder, start, &[self.prompt.end], decoding)?;
        let text = |tokens: &Vec<u32>| Ok(self.config.text(&self.words.decode(tokens)?).to_owned());
        answers.iter().map(text).collect()
    }
}
