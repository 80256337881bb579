//! `--beside`: further data sets of a run.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_trainer::data::{DataSet, LoadOptions, Split, Table, mix};
use thisbut_trainer::features::{Features, ImageTokens, Mixed};
use thisbut_trainer::ranges;
use thisbut_trainer::teacher::vectors;

/// A data set whose training triplets a run reads beside its own.
#[derive(Clone, Debug)]
pub struct Beside {
    folder: PathBuf,
    share: f64,
}

impl Beside {
    /// `FOLDER` or `FOLDER=SHARE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (folder, share) = match text.rsplit_once('=') {
            Some((folder, share)) => (folder, ranges::POSITIVE.parser::<f64>()(share)?),
            None => (text, 1.0),
        };
        Ok(Self { folder: folder.into(), share })
    }

    /// The folder's last name, which stands before the names of its images.
    fn name(&self) -> Result<&str> {
        match self.folder.file_name().and_then(|name| name.to_str()).filter(|name| !name.is_empty()) {
            Some(name) => Ok(name),
            None => bail!("--beside {}: the folder has no name; give the path with it", self.folder.display()),
        }
    }

    /// Adds its training triplets to `table`.
    pub fn add(&self, table: &mut Table, seed: u64, options: &LoadOptions) -> Result<()> {
        let (other, complaints) = DataSet::open(&self.folder, None)?.load(Split::Train, options)?;
        super::complain(&complaints, 20);
        let (of, added) = (other.triplets.len(), mix::add(table, other, self.name()?, self.share, seed)?);
        super::note(format_args!("{}: {added} triplets of {of}", self.folder.display()));
        Ok(())
    }

    /// The file of a teacher's vectors of its images, and what stands before their names.
    pub fn teacher(&self) -> Result<(PathBuf, String)> {
        Ok((self.folder.join(vectors::FILE), mix::prefix(self.name()?)))
    }

    /// The cache of its images.
    pub fn cache(&self, config: &RetrievalConfig) -> PathBuf {
        super::features_path(&self.folder, config)
    }
}

/// The tokens of a run's images, each data set's from its own cache, which `open` opens.
pub fn cached(
    main: &Path,
    beside: &[Beside],
    config: &RetrievalConfig,
    open: &dyn Fn(&Path) -> Result<Features>,
) -> Result<Box<dyn ImageTokens>> {
    let main = Box::new(open(main)?);
    if beside.is_empty() {
        return Ok(main);
    }
    let part = |beside: &Beside| -> Result<(String, Box<dyn ImageTokens>)> {
        Ok((mix::prefix(beside.name()?), Box::new(open(&beside.cache(config))?)))
    };
    Ok(Box::new(Mixed::new(main, beside.iter().map(part).collect::<Result<_>>()?)))
}
