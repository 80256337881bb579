//! The files that a run reads: caches of image tokens, images without labels, phrases, the checkpoint to start from.

use super::{Args, ON_THE_FLY, Unlabelled, say_left_out};
use crate::cli;
use crate::cli::adapted::Encoder;
use crate::cli::beside;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{AdapterConfig, MatchingScore};
use thisbut_model::text::TextReader;
use thisbut_trainer::data::{ImageEntry, LoadOptions, Table, unlabelled};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::features::{Features, ImageTokens, Live};
use thisbut_trainer::teacher;
use thisbut_trainer::teacher::vectors::{self, Vectors};
use thisbut_trainer::train::checkpoint::{self, Reader};
use thisbut_trainer::train::finetune::{check_folder, check_resume, header};
use thisbut_trainer::train::settings::Settings;
use thisbut_trainer::train::start;
use thisbut_trainer::train::unlabelled::{readable, readable_rows};
use thisbut_trainer::{embed, phrases};

impl Args {
    /// The tokens of `images`, from `cache` or the encoder.
    pub(super) fn features<'a>(
        &self,
        config: &RetrievalConfig,
        device: DeviceKind,
        images: impl Iterator<Item = &'a ImageEntry>,
        cache: &Path,
    ) -> Result<Box<dyn ImageTokens>> {
        if cache == Path::new(ON_THE_FLY) {
            let device = choose(device)?;
            let encoder = self.encoder(config).load(self.encoder_precision, &device)?;
            let images = images.map(|image| (image.name.clone(), image.path.clone())).collect();
            return Ok(Box::new(Live::new(encoder, config, &device, images)));
        }
        Ok(Box::new(Features::of_encoder(cache, config, &self.encoder(config).fingerprint()?)?))
    }

    /// The image encoder, with the adapters that the run starts from.
    pub(super) fn encoder<'a>(&'a self, config: &'a RetrievalConfig) -> Encoder<'a> {
        Encoder { config, start: self.start.as_deref(), weights: &self.weights }
    }

    /// The cache of the data set's images.
    pub(super) fn cache(&self, config: &RetrievalConfig) -> PathBuf {
        self.features.clone().unwrap_or_else(|| cli::features_path(&self.dataset, config))
    }

    /// The images without labels that a run of `settings` reads beside its triplets, and where their tokens are; none where it
    /// reads none, or those of the data set.
    pub(super) fn unlabelled(&self, settings: &Settings, config: &RetrievalConfig) -> Result<Option<Unlabelled>> {
        self.check_unlabelled(settings)?;
        let Some((source, cache)) = self.unlabelled_places(config) else { return Ok(None) };
        let (images, complaints) = unlabelled::images(source, &LoadOptions::default())?;
        cli::complain(&complaints, 20);
        let features = self.features(config, settings.device, images.iter(), &cache)?;
        let (images, left_out) = readable(images, &*features)?;
        say_left_out(left_out, source);
        Ok(Some((images, features)))
    }

    /// Gives the triplets the noun phrases that the losses read, where they read any.
    pub(super) fn add_phrases(&self, settings: &Settings, train: &mut Table) -> Result<()> {
        let Some(rule) = settings.objective.family().reads_phrases() else {
            if let Some(file) = &self.phrases {
                bail!("--phrases {}: these losses read no noun phrases; leave it out", file.display());
            }
            return Ok(());
        };
        let filled = phrases::file::fill(train, rule, self.phrases.as_deref())?;
        cli::complain(&filled.complaints, 20);
        let unnamed = match (&self.phrases, filled.unnamed) {
            (Some(file), count) if count > 0 => format!(", {count} of them as {} does not name them", file.display()),
            _ => String::new(),
        };
        cli::note(format_args!("noun phrases: {} of {} texts have none{unnamed}", filled.without, filled.texts));
        Ok(())
    }

    /// The images without labels, and the cache of their tokens.
    pub(super) fn unlabelled_places(&self, config: &RetrievalConfig) -> Option<(&Path, PathBuf)> {
        let source = self.unlabelled.as_deref()?;
        let folder = if source.is_dir() { source } else { source.parent().unwrap_or(Path::new("")) };
        let cache = self.unlabelled_features.clone().unwrap_or_else(|| cli::features_path(folder, config));
        Some((source, cache))
    }

    /// The files of the teacher's vectors, each with what stands before its images' names; none where no loss reads them.
    pub(super) fn teacher_places(&self, settings: &Settings) -> Result<Vec<(PathBuf, String)>> {
        if settings.objective.family().teacher().is_none() {
            if let Some(file) = &self.teacher_features {
                bail!(
                    "--teacher-features {}: no loss reads a teacher's vectors; give --teacher-weight, or leave it out",
                    file.display()
                );
            }
            return Ok(Vec::new());
        }
        let main = self.teacher_features.clone().unwrap_or_else(|| self.dataset.join(vectors::FILE));
        let beside = self.beside.iter().map(|beside| beside.teacher());
        std::iter::once(Ok((main, String::new()))).chain(beside).collect()
    }

    /// The teacher's vectors of the images that `train` looks for; none where no loss reads them.
    pub(super) fn teacher(&self, settings: &Settings, train: &Table) -> Result<Option<Vectors>> {
        let places = self.teacher_places(settings)?;
        if places.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.vectors(&places, Some(&teacher::fingerprint(&self.weights)?), train)?))
    }

    fn vectors(&self, places: &[(PathBuf, String)], fingerprint: Option<&str>, train: &Table) -> Result<Vectors> {
        let open = |(file, prefix): &(PathBuf, String)| vectors::Source::open(file, prefix, fingerprint);
        let sources = places.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Vectors::read(train, &sources)?)
    }

    /// The cache at this place. Without the encoder's weights here nobody can say whose it is.
    fn opened(&self, cache: &Path, config: &RetrievalConfig) -> Result<Features> {
        Ok(match self.encoder(config).fingerprint() {
            Ok(expected) => Features::of_encoder(cache, config, &expected)?,
            Err(_) => Features::open(cache)?,
        })
    }

    /// Refuses images without labels for losses that read none.
    fn check_unlabelled(&self, settings: &Settings) -> Result<()> {
        match &self.unlabelled {
            Some(source) if settings.objective.family().image_batch() == 0 => {
                bail!("--unlabelled {}: these losses read no images beside their rows; leave it out", source.display())
            }
            _ => Ok(()),
        }
    }

    /// Opens the checkpoint to start from, which must be of a model like this one.
    pub(super) fn starting(&self, path: &Path, config: &RetrievalConfig, texts: Option<&TextReader>) -> Result<Reader> {
        let reader = checkpoint::open(path)?;
        if reader.header.generator.is_some() {
            bail!("--start {}: it is a generator's; give a retrieval model's checkpoint", path.display());
        }
        let mut found = reader.header.clone();
        // Adapters that the checkpoint does not hold are the identity, so that a run may have them otherwise.
        let holds = reader.shapes().keys().any(|name| AdapterConfig::owns(name));
        if let (false, Some((adapters, _))) = (holds, found.config.image_encoder.adapters_mut()) {
            *adapters = config.image_encoder.adapters().copied();
        }
        if let Some(note) = matched_otherwise(&mut found.config, config) {
            cli::note(format_args!("--start {}: {note}", path.display()));
        }
        start::check_start(path, &found, config)?;
        if let Some(texts) = texts {
            reader.header.check_vocabulary(path, texts.fingerprint())?;
        }
        Ok(reader)
    }

    /// The run's checks of the files that are there: what a dry run looks at. What is missing may come before the run.
    pub(super) fn check_files(
        &self,
        settings: &Settings,
        config: &RetrievalConfig,
        tables: [&Table; 2],
        texts: Option<&TextReader>,
    ) -> Result<()> {
        self.check_unlabelled(settings)?;
        if let Some((source, cache)) = self.unlabelled_places(config) {
            if source.exists() {
                unlabelled::images(source, &LoadOptions { images_required: false, ..LoadOptions::default() })?;
            }
            if cache != Path::new(ON_THE_FLY) && cache.exists() {
                self.opened(&cache, config)?;
            }
        }
        if let Some(path) = &self.start {
            self.starting(path, config, texts)?;
        }
        let places = self.teacher_places(settings)?;
        if !places.is_empty() && places.iter().all(|(file, _)| file.exists()) {
            // Without the teacher's files here nobody can say whose the vectors are.
            let fingerprint = teacher::fingerprint(&self.weights).ok();
            self.vectors(&places, fingerprint.as_deref(), tables[0])?;
        }
        if let Some(out) = &self.out {
            check_folder(out)?;
        }
        // A dry run without the pictures sees rows that the run may leave out.
        if tables.iter().any(|table| table.images.iter().any(|image| !image.path.is_file())) {
            return Ok(());
        }
        if let Some(out) = self.out.as_ref().filter(|out| out.is_dir()) {
            check_resume(out, header(settings, config, tables, texts))?;
        }
        let cache = self.cache(config);
        let lacks = |cache: &Path| !cache.exists();
        if cache == Path::new(ON_THE_FLY) || lacks(&cache) || self.beside.iter().any(|b| lacks(&b.cache(config))) {
            return Ok(());
        }
        if settings.trains_image_encoder() {
            bail!("--features {}: a part of the image encoder trains; use --features {ON_THE_FLY}", cache.display());
        }
        let features = beside::cached(&cache, &self.beside, config, &|cache| self.opened(cache, config))?;
        for table in tables {
            embed::rows(&readable_rows(table.clone(), &*features)?.0, &*features)?;
        }
        Ok(())
    }
}

/// Gives `found`, the architecture of a checkpoint of the matching family, the form of comparison of `config`, and says what that
/// means for its weights; nothing where the forms are one. No other weights than the mixers depend on the form.
fn matched_otherwise(found: &mut RetrievalConfig, config: &RetrievalConfig) -> Option<&'static str> {
    let (there, here) = (found.matching_mut().ok()?, config.matching().ok()?);
    if there.score == here.score {
        return None;
    }
    (there.score, there.heads, there.head_width) = (here.score, here.heads, here.head_width);
    found.projection = there.projection();
    Some(match here.score {
        MatchingScore::Global => "its token and channel mixing are left out, which --matching global does not read",
        MatchingScore::Heads => "it has no token and channel mixing; they start from the seed",
    })
}
