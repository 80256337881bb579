//! What a recipe or the command line may choose about the two-pass family.

use super::{Losses, TwoPassSettings};
use crate::error::Result;
use crate::ranges;
use crate::train::choices::{LOSSES, MODEL, or_each, word};
use crate::train::defaults;
use crate::train::objective::FamilyChoices;
use crate::train::objective::choices::SharedChoices;
use serde::Deserialize;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{ReadOut, SecondPassMask};

defaults::table! {
    losses: Losses = Losses::Ptha;
    t2t: f64 = 0.4;
    p2p: f64 = 0.5;
    label_smoothing: f64 = 0.0;
    bank: bool = false;
    bank_references: bool = false;
    fuse_by_image: bool = false;
    free_temperature: bool = false;
    keep_false_negatives: bool = false;
    teacher_weight: f64 = 0.0;
    teacher_temperature: f64 = 0.1;
}

/// The family's options and recipe keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case")]
pub struct TwoPassChoices {
    /// How the query is read: cls, mean-prompt-cls, or prototype, which has no second pass.
    #[arg(long, value_parser = word::<ReadOut>, help_heading = MODEL, hide_short_help = true)]
    pub read_out: Option<ReadOut>,
    /// What the second pass attends to: padding (hides it) or all-ones.
    #[arg(long, value_name = "MASK", value_parser = word::<SecondPassMask>, help_heading = MODEL, hide_short_help = true)]
    pub second_pass_mask: Option<SecondPassMask>,
    /// Give the second pass a Q-Former of its own, which starts as a copy of the first's.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub own_second_pass: Option<bool>,
    /// Dropout on attention's weights during training (BERT, and so the papers: 0.1).
    #[arg(long, value_name = "SHARE", help_heading = MODEL, hide_short_help = true)]
    #[arg(value_parser = ranges::PART.parser::<f64>())]
    pub attention_dropout: Option<f64>,
    /// λ, weight of t2t (SPRC: 0.4 for CIRR).
    #[arg(long, value_parser = ranges::NOT_NEGATIVE.parser::<f64>(), value_name = "WEIGHT", help_heading = LOSSES)]
    pub t2t: Option<f64>,
    /// α, weight of p2p (paper: 0.5), or of SPRC's align.
    #[arg(long, value_parser = ranges::NOT_NEGATIVE.parser::<f64>(), value_name = "WEIGHT", help_heading = LOSSES)]
    pub p2p: Option<f64>,
    /// Label smoothing of q2t (MTST_PTHA's code: 0.1).
    #[arg(long, value_name = "SHARE", help_heading = LOSSES, hide_short_help = true)]
    #[arg(value_parser = ranges::PART.parser::<f64>())]
    pub label_smoothing: Option<f64>,
    /// Every training target is a negative, embedded once by the starting weights; its side must be frozen.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub bank: Option<bool>,
    /// The bank holds the training references too.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub bank_references: Option<bool>,
    /// With a bank: the first pass reads the text that the reference was last fused with, not the row's own.
    ///
    /// With a bank: the first pass reads the text of the last row that has the reference, not the row's own, as SPN4CIR's code
    /// does with extended captions.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub fuse_by_image: Option<bool>,
    /// τ may take any value, as in the published code, rather than stay within 0.001 and 0.5.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub free_temperature: Option<bool>,
    /// Weight of the teacher's loss: images alike to the model as to what ImageNet knows, in words (0: none).
    ///
    /// Weight of the teacher's loss: that target images of a batch are alike to the model as they are to what ImageNet knows, in
    /// words. Its vectors are those of `thisbut features --teacher`.
    #[arg(long, value_name = "WEIGHT", help_heading = LOSSES, hide_short_help = true)]
    #[arg(value_parser = ranges::NOT_NEGATIVE.parser::<f64>())]
    pub teacher_weight: Option<f64>,
    /// What the teacher's and the model's similarities are divided by in that loss.
    #[arg(long, value_name = "NUMBER", help_heading = LOSSES, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    pub teacher_temperature: Option<f64>,
}

impl FamilyChoices for TwoPassChoices {
    type Settings = TwoPassSettings;

    /// Pretraining is q2t alone.
    const PRETRAINING: &'static [(&'static str, &'static str)] = &[("t2t", "0.0"), ("p2p", "0.0")];

    const ELSEWHERE: &'static [(&'static str, &'static str)] = &[
        ("read_out", "the preset's"),
        ("second_pass_mask", "the preset's"),
        ("own_second_pass", "the preset's"),
        ("attention_dropout", "the preset's"),
    ];

    fn default_of(id: &str) -> Option<String> {
        own(id)
    }

    fn over(self, base: Self) -> Self {
        or_each!(self, base,
            read_out second_pass_mask own_second_pass attention_dropout t2t p2p label_smoothing bank bank_references
            fuse_by_image free_temperature teacher_weight teacher_temperature)
    }

    fn pretraining(&mut self) {
        self.t2t.get_or_insert(0.0);
        self.p2p.get_or_insert(0.0);
    }

    fn configure(&self, config: &mut RetrievalConfig) -> Result<()> {
        let own = config.two_pass_mut()?;
        own.read_out = self.read_out.unwrap_or(own.read_out);
        own.second_pass_mask = self.second_pass_mask.unwrap_or(own.second_pass_mask);
        own.own_second_pass = self.own_second_pass.unwrap_or(own.own_second_pass);
        if let Some(share) = self.attention_dropout {
            ranges::PART.check("--attention-dropout", share)?;
        }
        own.qformer.attention_dropout = self.attention_dropout.unwrap_or(own.qformer.attention_dropout);
        Ok(())
    }

    fn settings(&self, shared: &SharedChoices) -> Result<TwoPassSettings> {
        Ok(TwoPassSettings {
            losses: shared.losses_of("two-pass")?.unwrap_or(DEFAULTS.losses),
            label_smoothing: self.label_smoothing.unwrap_or(DEFAULTS.label_smoothing),
            t2t: self.t2t.unwrap_or(DEFAULTS.t2t),
            p2p: self.p2p.unwrap_or(DEFAULTS.p2p),
            bank: self.bank.unwrap_or(DEFAULTS.bank),
            bank_references: self.bank_references.unwrap_or(DEFAULTS.bank_references),
            fuse_by_image: self.fuse_by_image.unwrap_or(DEFAULTS.fuse_by_image),
            free_temperature: self.free_temperature.unwrap_or(DEFAULTS.free_temperature),
            keep_false_negatives: shared.keep_false_negatives.unwrap_or(DEFAULTS.keep_false_negatives),
            teacher_weight: self.teacher_weight.unwrap_or(DEFAULTS.teacher_weight),
            teacher_temperature: self.teacher_temperature.unwrap_or(DEFAULTS.teacher_temperature),
        })
    }
}
