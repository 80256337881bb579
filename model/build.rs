//! Lists the presets, so that a file in `configs/` is one.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
    files.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    let entry = |file: &std::path::PathBuf| Some(format!("({:?}, include_str!({:?})),", file.file_stem()?, file));
    let list: String = files.iter().filter_map(entry).collect();
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names no OUT_DIR"))?;
    fs::write(Path::new(&out).join("presets.rs"), format!("&[{list}]"))
}
