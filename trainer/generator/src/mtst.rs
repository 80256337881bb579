//! MTST's head: two images' tokens through the Q-Former, and a map to what the frozen decoder reads (paper, section III).
//!
//! `input = FC(q_r ⊕ q_t ⊕ q_c) ⊕ q_ins` (eq. 1): q_r and q_t are the query tokens after looking at one image each, q_c after
//! reading the instruction with both. Loss on the answer's tokens only (eq. 2) is the trainer's.

use crate::runtime::{Adapters, Bpe, Decoder, LlamaConfig};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use thisbut_model::config::{RetrievalConfig, VitFamily};
use thisbut_model::error::{ModelError, Result};
use thisbut_model::nn::basic::{Norm, fold, for_each, linear, table};
use thisbut_model::nn::qformer::IMAGE_NORM_EPS;
use thisbut_model::nn::{ImageKeys, Noise, QFormer, TextBatch};
use thisbut_model::upstream::{self, Piece, Rule};

/// What q_c is made from; the paper and its published code differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MtstForm {
    /// The instruction with q_r and q_t: fresh query tokens, q_r and q_t stand before the instruction in the Q-Former's
    /// second call pattern (no image), and the fresh ones' outputs are q_c.
    #[default]
    Paper,
    /// The instruction with both images' own tokens side by side, through cross-attention (published code).
    Code,
}

impl MtstForm {
    /// The instruction that goes with it.
    pub fn instruction(self) -> &'static str {
        match self {
            Self::Paper => "How to change from one image to another?",
            Self::Code => "How to change from one image to the other image?",
        }
    }
}

/// How the instruction stands between the images and the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstructionForm {
    /// The token that begins a text, where the decoder has one, the instruction, a new line.
    #[default]
    Line,
    /// As LAVIS has it, and InstructBLIP and MTST_PTHA were trained with: the token that ends an answer (LAVIS sets it as the one
    /// that begins a text, too), the instruction, nothing more.
    Lavis,
}

impl InstructionForm {
    /// Tokens of an answer that are trained on where nothing else is said (published code: 256).
    pub fn answer_length(self) -> usize {
        match self {
            Self::Line => 64,
            Self::Lavis => 256,
        }
    }

    /// The tokens after the images.
    fn tokens(self, instruction: &str, words: &Bpe) -> Result<Vec<u32>> {
        let (begin, text) = match self {
            Self::Line => (words.begin(), format!("{instruction}\n")),
            Self::Lavis => (Some(words.end()), instruction.to_owned()),
        };
        Ok(begin.into_iter().chain(words.encode(&text)?).collect())
    }
}

/// How a generator is put together, besides its Q-Former and its decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MtstConfig {
    /// What q_c is made from.
    pub form: MtstForm,
    /// What both the Q-Former and the decoder are told.
    pub instruction: String,
    /// How the instruction stands between images and answer; generators trained before there was a choice: on a line.
    #[serde(default)]
    pub instruction_form: InstructionForm,
    /// Whether the decoder reads its chat template around images and instruction (paper: no).
    #[serde(default)]
    pub chat: bool,
    /// Tokens of an answer that are trained on; longer ones are cut.
    pub answer_length: usize,
    /// Rank of the changes of the decoder's maps that train too; 0: none (paper).
    #[serde(default)]
    pub rank: usize,
    /// Whether an answer first says what both images show, on a line of its own (paper: no).
    #[serde(default)]
    pub describe: bool,
}

impl MtstConfig {
    /// A form with its own instruction.
    pub fn new(form: MtstForm) -> Self {
        Self {
            form,
            instruction: form.instruction().to_owned(),
            instruction_form: InstructionForm::default(),
            chat: false,
            answer_length: InstructionForm::default().answer_length(),
            rank: 0,
            describe: false,
        }
    }

    /// The modification text of an answer; nothing where the answer never came to it.
    pub fn text<'a>(&self, answer: &'a str) -> &'a str {
        match (self.describe, answer.split_once('\n')) {
            (true, Some((_, text))) => text.trim(),
            (true, None) => "",
            (false, _) => answer.trim(),
        }
    }

    /// Checks that the Q-Former of `config` can read this.
    ///
    /// # Errors
    /// [`ModelError::Config`] that names the field.
    pub fn check(&self, config: &RetrievalConfig) -> Result<()> {
        let wrong = |field: &str, problem: String| {
            Err(ModelError::Config {
                place: format!("generator: {field}"),
                problem,
                mend: "choose another value".into(),
            })
        };
        if self.instruction.trim().is_empty() || self.instruction.chars().count() > 1000 {
            return wrong("instruction", "it is empty, or longer than 1000 characters".into());
        }
        if !(2..=4096).contains(&self.answer_length) {
            return wrong("answer length", format!("{} is not between 2 and 4096", self.answer_length));
        }
        if self.rank > 1024 {
            return wrong("rank", format!("{} is more than 1024", self.rank));
        }
        let q = &config.two_pass()?.qformer;
        if q.positions < config.text.length() {
            return wrong("text length", format!("{} positions do not hold {}", q.positions, config.text.length()));
        }
        Ok(())
    }
}

/// Everything that trains: the Q-Former with its query tokens, the norm before it, FC_llm, and where the configuration asks for
/// them, low-rank changes of the decoder.
#[derive(Module, Debug)]
pub struct Mtst {
    /// Checkpoint key `ln_vision`.
    pub image_norm: Norm,
    /// Checkpoint key `Qformer.bert`.
    pub qformer: QFormer,
    /// `[N, D]`; checkpoint key `query_tokens`.
    pub query_tokens: Param<Tensor<2>>,
    /// FC_llm, D → W; checkpoint keys `llm_proj`, `language_projection`.
    pub projection: Linear,
    /// Changes of the decoder.
    pub adapters: Option<Adapters>,
    code_form: bool,
}

impl Mtst {
    /// A randomly initialised head for a decoder, without changes of it.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the configuration has no Q-Former.
    pub fn new(config: &RetrievalConfig, form: MtstForm, decoder: &LlamaConfig, device: &Device) -> Result<Self> {
        let q = &config.two_pass()?.qformer;
        Ok(Self {
            image_norm: Norm::new(config.image_width(), IMAGE_NORM_EPS, device),
            qformer: QFormer::new(q, config.text.vocabulary(), config.image_width(), device),
            query_tokens: table(q.query_tokens, q.width, device),
            projection: linear(q.width, decoder.width, device),
            adapters: None,
            code_form: form == MtstForm::Code,
        })
    }

    /// The head of a configuration, with changes of the decoder where it has them.
    ///
    /// # Errors
    /// As [`Mtst::new`].
    pub fn of(config: &RetrievalConfig, mtst: &MtstConfig, decoder: &LlamaConfig, device: &Device) -> Result<Self> {
        let adapters = (mtst.rank > 0).then(|| Adapters::new(decoder, mtst.rank, device));
        Ok(Self { adapters, ..Self::new(config, mtst.form, decoder, device)? })
    }

    /// Keys and values of image tokens `[B, T, C]`, straight from E_I.
    pub fn image_keys(&self, tokens: Tensor<3>) -> ImageKeys {
        self.qformer.image_keys(self.image_norm.forward(tokens))
    }

    fn queries(&self, batch: usize) -> Tensor<3> {
        for_each(&self.query_tokens, batch)
    }

    /// q_r or q_t of `batch` images: `[B, N, D]`.
    pub fn look(&self, image: &ImageKeys, batch: usize, noise: &Noise) -> Tensor<3> {
        self.qformer.look(self.queries(batch), image, noise, None)
    }

    /// FC_llm(q_r ⊕ q_t ⊕ q_c): `[B, 3N, W]`. `images` are the pairs' references and targets, `looked` their q_r and q_t,
    /// `instruction` has a row a pair.
    pub fn visual(
        &self,
        images: (&ImageKeys, &ImageKeys),
        looked: (Tensor<3>, Tensor<3>),
        instruction: &TextBatch,
        noise: &Noise,
    ) -> Tensor<3> {
        let [b, n, _] = looked.0.dims();
        let queries = self.queries(b);
        let hidden = if self.code_form {
            self.qformer.fuse(queries, instruction, &images.0.join(images.1), noise, None)
        } else {
            let prompt = Tensor::cat(vec![queries, looked.0.clone(), looked.1.clone()], 1);
            self.qformer.prompt(prompt, instruction, instruction.bias.clone(), noise, None)
        };
        let composed = hidden.slice([0..b, 0..n]);
        fold(&self.projection, Tensor::cat(vec![looked.0, looked.1, composed], 1))
    }
}

/// The tokens around the images in the decoder's input, and the one that ends an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// Before the images.
    pub before: Vec<u32>,
    /// q_ins, after the images.
    pub after: Vec<u32>,
    /// Ends an answer.
    pub end: u32,
}

impl Prompt {
    /// The prompt of a configuration.
    ///
    /// # Errors
    /// [`ModelError::Config`] when a chat template is asked for that the decoder does not have; [`ModelError::Format`] when the
    /// tokenizer has no token for a character of the instruction.
    pub fn new(config: &MtstConfig, words: &Bpe) -> Result<Self> {
        let end = words.end();
        if !config.chat {
            let after = config.instruction_form.tokens(&config.instruction, words)?;
            return Ok(Self { before: Vec::new(), after, end });
        }
        // Where the images go: a character that no instruction has.
        const IMAGES: &str = "\u{e000}";
        let text = words.chat(&[("user", &format!("{IMAGES}{}", config.instruction))], true)?;
        let (before, after) = text.split_once(IMAGES).ok_or_else(|| ModelError::Config {
            place: "the chat template".into(),
            problem: "it loses what the user says".into(),
            mend: "use the plain prompt".into(),
        })?;
        Ok(Self { before: words.encode_with_control(before)?, after: words.encode_with_control(after)?, end })
    }

    /// Embeddings of the prompt around `visual` `[B, 3N, W]`: `[B, n, W]`.
    pub fn embed(&self, visual: Tensor<3>, decoder: &dyn Decoder) -> Tensor<3> {
        let b = visual.dims()[0];
        let mut parts = Vec::new();
        if !self.before.is_empty() {
            parts.push(decoder.embed(&vec![self.before.clone(); b]));
        }
        parts.push(visual);
        if !self.after.is_empty() {
            parts.push(decoder.embed(&vec![self.after.clone(); b]));
        }
        Tensor::cat(parts, 1)
    }
}

/// Logits of answers, for training.
///
/// `prompt` `[B, n, W]` and the answers' tokens (the one that ends an answer among them) give the logits `[R, V]` that predict
/// those tokens, R of them, answer after answer.
pub fn answer_logits(decoder: &dyn Decoder, prompt: Tensor<3>, answers: &[Vec<u32>]) -> Tensor<2> {
    let [b, n, w] = prompt.dims();
    let longest = answers.iter().map(Vec::len).max().unwrap_or(1).max(1);
    // The last token is predicted, not read.
    let read = longest - 1;
    let rows: Vec<Vec<u32>> =
        answers.iter().map(|answer| (0..read).map(|i| answer.get(i).copied().unwrap_or(0)).collect()).collect();
    let x = if read == 0 { prompt } else { Tensor::cat(vec![prompt, decoder.embed(&rows)], 1) };
    // Padding stands behind everything that is read: causal attention never sees it.
    let hidden = decoder.forward(x, &vec![vec![true; n + read]; b], None);
    let places = answers
        .iter()
        .enumerate()
        .flat_map(|(i, answer)| (0..answer.len()).map(move |at| (i * (n + read) + n - 1 + at) as i32));
    let places: Vec<i32> = places.collect();
    let count = places.len();
    let places = Tensor::from_data(burn::tensor::TensorData::new(places, [count]), &hidden.device());
    decoder.logits(hidden.reshape([b * (n + read), w]).select(0, places))
}

/// What a tensor of an InstructBLIP or MTST_PTHA generator checkpoint is made into in [`Mtst`]; nothing for one that has
/// no place there. `language_projection` and `llm_proj` are FC_llm.
pub fn head_pieces(key: &str) -> Vec<Piece> {
    let key = key.strip_prefix("module.").unwrap_or(key);
    for projection in ["language_projection.", "llm_proj."] {
        if let Some(leaf) = key.strip_prefix(projection) {
            let rule = if leaf == "weight" { Rule::Transposed } else { Rule::Same };
            return vec![Piece { name: format!("projection.{leaf}"), rule }];
        }
    }
    let ours = ["qformer.", "query_tokens", "image_norm."];
    let key = key.replace("qformer.embeddings.layernorm.", "qformer.layernorm.");
    let mut pieces = upstream::pieces(&key, VitFamily::Eva);
    pieces.retain(|piece| ours.iter().any(|part| piece.name.starts_with(part)));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tokenizer::{Kind, Piece, Prefix};

    #[test]
    fn a_description_is_not_part_of_the_text() {
        let plain = MtstConfig::new(MtstForm::Paper);
        let describing = MtstConfig { describe: true, ..plain.clone() };
        assert_eq!(plain.text(" but red "), "but red");
        assert_eq!(describing.text("from a sun to a moon\nmake it a moon \n"), "make it a moon");
        assert_eq!(describing.text("from a sun to a moon"), "");
    }

    #[test]
    fn the_instruction_stands_as_the_weights_were_trained() {
        // <unk> <s> </s> and, as SentencePiece's, a piece a character and one a byte.
        let bytes: Vec<String> = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
        let piece = |(text, kind)| Piece { text, score: 0.0, kind };
        let control = [("<unk>", Kind::Unknown), ("<s>", Kind::Control), ("</s>", Kind::Control)];
        let bytes = bytes.iter().map(|text| (text.as_str(), Kind::Byte));
        let letters = ["\u{2581}", "H", "o", "w", "?"].map(|text| (text, Kind::Normal));
        let pieces: Vec<Piece> = control.into_iter().chain(bytes).chain(letters).map(piece).collect();
        let words = Bpe::from_pieces(&pieces, Prefix::Always).unwrap().with_ends(Some(1), 2).unwrap();
        let prompt = |instruction_form| {
            let config =
                MtstConfig { instruction: "How?".into(), instruction_form, ..MtstConfig::new(MtstForm::Paper) };
            Prompt::new(&config, &words).unwrap()
        };
        let (space, letters) = (259, [260, 261, 262, 263]);
        let line = prompt(InstructionForm::Line);
        // A new line is byte 10.
        assert_eq!(line.after, [&[1, space][..], &letters, &[3 + 10]].concat());
        // LlamaTokenizer with bos_token set to </s>, as LAVIS does: [2, …], and no new line.
        let lavis = prompt(InstructionForm::Lavis);
        assert_eq!(lavis.after, [&[2, space][..], &letters].concat());
        assert_eq!((line.end, lavis.end), (2, 2));
        let before = r#"{"form": "paper", "instruction": "How?", "answer_length": 64}"#;
        let before: MtstConfig = serde_json::from_str(before).unwrap();
        assert_eq!(before.instruction_form, InstructionForm::Line, "a checkpoint of before there was a choice");
    }
}
