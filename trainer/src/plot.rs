//! `metrics.jsonl` of a training run → one standalone SVG with a panel for each kind of figure.

mod series;
mod svg;

pub use series::{Run, Series, read};

use crate::error::Result;
use crate::fsx;
use std::path::{Path, PathBuf};

/// Reads `run` (a folder with `metrics.jsonl`, or the file itself) and writes the curves to `out`
/// (default: `curves.svg` beside the metrics). Returns the file written and the lines that could not be read.
pub fn plot(run: &Path, out: Option<&Path>) -> Result<(PathBuf, Vec<String>)> {
    let file = if run.is_dir() { run.join("metrics.jsonl") } else { run.to_path_buf() };
    let out = out.map_or_else(|| file.with_file_name("curves.svg"), Path::to_path_buf);
    let name = file.canonicalize().ok().and_then(|p| Some(p.parent()?.file_name()?.to_string_lossy().into_owned()));
    let run = read(&file)?;
    fsx::write_atomic(&out, svg::draw(&name.unwrap_or_else(|| "run".into()), &run).as_bytes())?;
    Ok((out, run.complaints))
}
