//! For build scripts: the files of a folder as a list, so that a file in it is an entry.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Writes `list` into the build's folder: each file of `folder` that ends in `ending`, by name, as a pair of its name and its text.
pub fn write(folder: &Path, ending: &str, list: &str) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|found| found == ending));
    files.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    let entry = |file: &PathBuf| Some(format!("({:?}, include_str!({:?})),", file.file_stem()?, file));
    let entries: String = files.iter().filter_map(entry).collect();
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names no OUT_DIR"))?;
    fs::write(Path::new(&out).join(list), format!("&[{entries}]"))
}
