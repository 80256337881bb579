//! `thisbut suggest`: what a bundle's page offers with each picture.

use super::index::{AboutArgs, swept};
use anyhow::Result;
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::index::About;
use thisbut_trainer::suggest::{MOST_CHANGES, Options, Outcome, complete};

/// Make the suggestions of a bundle: what each picture offers, and searches that show what the model does
///
/// Texts come from the differences between the titles of neighbouring pictures; the bundle's own model says which of them it
/// answers. `thisbut index` and `thisbut export` do this too. Weights, gallery and thumbnails stay as they are.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut suggest my-gallery")]
pub struct Args {
    /// The bundle's folder.
    bundle: PathBuf,
    #[command(flatten)]
    offers: Offers,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
    #[command(flatten, next_help_heading = "What people read")]
    about: AboutArgs,
}

/// How much a page offers.
#[derive(clap::Args)]
pub struct Offers {
    /// Modification texts that each picture offers; 0: none.
    #[arg(long, value_name = "N", default_value_t = Options::default().changes, value_parser = changes)]
    changes: usize,
    /// Searches that the page shows with their answers before the model is loaded; 0: none.
    #[arg(long, value_name = "N", default_value_t = Options::default().examples, value_parser = examples, hide_short_help = true)]
    examples: usize,
}

/// Most searches that a page shows at first.
const MOST_EXAMPLES: usize = 12;

fn within(text: &str, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number <= most => Ok(number),
        _ => Err(format!("is no number from 0 to {most}")),
    }
}

fn changes(text: &str) -> Result<usize, String> {
    within(text, MOST_CHANGES)
}

fn examples(text: &str) -> Result<usize, String> {
    within(text, MOST_EXAMPLES)
}

impl Offers {
    /// Names what is offered: other options offer something else.
    pub fn name(&self) -> String {
        format!("{} changes, {} examples", self.changes, self.examples)
    }

    /// Asks the model of the bundle in `root`, and says what it found.
    pub fn make(&self, root: &Path, about: &About, device: &Device) -> Result<()> {
        let options = Options { changes: self.changes, examples: self.examples };
        let bar = super::progress("pictures asked");
        let done = complete(root, (options, about), device, &mut |at, all| super::advance(&bar, at, all));
        bar.finish_and_clear();
        let Outcome { images, offering, texts, first, near, examples, swept: left } = done?;
        left.iter().for_each(|path| swept(path));
        super::note(format_args!(
            "{offering} of {images} pictures offer a change, {texts} in all; the right picture is first for {first}, among the \
             first three for {near}; {examples} searches are shown"
        ));
        Ok(())
    }
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        self.offers.make(&self.bundle, &self.about.about(), &choose(self.device)?)
    }
}
