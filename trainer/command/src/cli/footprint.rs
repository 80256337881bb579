//! `thisbut footprint`: what a bundle would take in a browser, before there is one.

use super::export::Packed;
use anyhow::Result;
use thisbut_model::bundle::Form;
use thisbut_model::quant::CodeWidth;
use thisbut_trainer::export::Packing;
use thisbut_trainer::footprint::{Footprint, heading};

/// Say what a preset would take in a browser, in every form and number format
#[derive(clap::Args)]
#[command(after_help = "Example:\n  thisbut footprint web-xs")]
pub struct Args {
    /// A preset or a configuration file.
    preset: String,
    #[command(flatten)]
    packed: Packed,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let config = super::preset(&self.preset)?;
        let tokens = self.packed.tokens(config.target_tokens)?;
        super::print(heading())?;
        let mut remarks = Vec::new();
        for form in [Form::GalleryReference, Form::Full] {
            for width in [CodeWidth::Q4, CodeWidth::Q8].map(Some) {
                let packing = Packing { form, width, split: self.packed.split(), tokens };
                let footprint = Footprint::of(&config, packing)?;
                super::print(&footprint)?;
                remarks.extend(footprint.problem());
            }
        }
        super::print(
            "a reference: fetched when an image is chosen; an image: the gallery's share; memory: of the page, about",
        )?;
        remarks.into_iter().try_for_each(super::print)
    }
}
