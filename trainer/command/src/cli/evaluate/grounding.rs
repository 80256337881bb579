//! `evaluate --grounding`: how much of a model's attention falls on what the text changes.

use super::Args;
use anyhow::{Result, bail};
use serde::Serialize;
use thisbut_trainer::data::Table;
use thisbut_trainer::device::choose;
use thisbut_trainer::why::{Grounding, ground, of_bundle, of_checkpoint, untrained};
use thisbut_trainer::{fsx, terminal};

/// Of the random weights that stand beside the model's.
const SEED: u64 = 1;

/// As `--figures` writes them.
#[derive(Serialize)]
struct Figures {
    model: String,
    trained: Grounding,
    random: Grounding,
}

impl Args {
    pub(super) fn grounded(&self, table: &Table) -> Result<()> {
        let device = choose(self.device)?;
        let (retrieval, path) = match (&self.checkpoint, &self.bundle) {
            (Some(path), _) => (of_checkpoint(path, &self.weights, &device)?, path),
            (None, Some(root)) => (of_bundle(root, &device)?, root),
            (None, None) => bail!("nothing to measure; give --checkpoint FILE or --bundle FOLDER"),
        };
        let measure = |retrieval| {
            let bar = super::super::progress("queries");
            let found = ground(retrieval, table, &mut |done, all| super::super::advance(&bar, done, all));
            bar.finish_and_clear();
            found
        };
        let (trained, random) = (measure(&retrieval)?, measure(&untrained(&retrieval, SEED)?)?);
        let (Some(trained), Some(random)) = (trained, random) else {
            bail!(
                "{}: no reference and target of the split '{}' are two states of one picture, so nothing says what changed",
                self.dataset.display(),
                self.split.name()
            );
        };
        let figures = Figures { model: path.display().to_string(), trained, random };
        if let Some(path) = &self.figures {
            fsx::write_atomic(path, serde_json::to_string_pretty(&figures)?.as_bytes())?;
        }
        super::super::print(told(&figures))
    }
}

fn told(figures: &Figures) -> String {
    let Figures { model, trained, random } = figures;
    let head = ["phrases", "over drawn", "query", "over drawn"].map(|head| format!("{head:>16}")).concat();
    let control = &trained.control;
    format!(
        "Grounding of {}: {} of {} queries are two states of one picture\n\n{:<26}{head}\n{:<26}{trained}\n{:<26}{random}\n\n\
         Percent of the attention that falls on the changed part; ± is half of the 95 % interval over queries.\n\
         Without a preference: {} spread over the picture, {} over what is drawn; at most {} in one cell of the grid.",
        terminal::line(model),
        trained.triplets,
        trained.of,
        "attention of",
        "  the model",
        "  random weights",
        control.picture,
        control.drawn,
        control.best
    )
}
