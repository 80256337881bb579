//! `evaluate --parts`: texts in a row and what is not wanted, beside the plain ones.

use anyhow::{Result, bail};
use std::path::Path;
use thisbut_trainer::data::{Table, described};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::parts::{self, Parts};
use thisbut_trainer::query::Asker;

/// Asks the bundle in `root` at most `most` queries a comparison, of the table of the data set in a folder.
pub(super) fn measure(
    root: &Path,
    (dataset, table): (&Path, &Table),
    most: usize,
    device: DeviceKind,
) -> Result<Parts> {
    let Some(known) = described::load(dataset)? else {
        bail!("--parts: {} has no {}, which names attributes; leave it out", dataset.display(), described::FILE);
    };
    let asker = Asker::open(root, &choose(device)?)?;
    let bar = super::super::progress("queries in parts");
    let found = parts::measure(&asker, table, &known, most, &mut |done, all| super::super::advance(&bar, done, all))?;
    bar.finish_and_clear();
    Ok(found)
}
