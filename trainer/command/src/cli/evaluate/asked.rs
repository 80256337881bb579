//! What is asked of an evaluation: its queries, its switches, and the title that names them.

use super::Args;
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::Composition;
use thisbut_trainer::data::Table;
use thisbut_trainer::evaluate::HALF;
use thisbut_trainer::metrics::Protocol;

impl Args {
    /// Keeps the queries that are asked for.
    pub(super) fn choose(&self, table: &mut Table) -> Result<()> {
        let kinds: BTreeSet<&str> = table.triplets.iter().filter_map(|t| t.kind.as_deref()).collect();
        if let Some(unknown) = self.without.iter().find(|kind| !kinds.contains(kind.as_str())) {
            let known = match kinds.is_empty() {
                true => "the data set names no kinds".to_owned(),
                false => format!("give one of {}", kinds.into_iter().collect::<Vec<_>>().join(", ")),
            };
            bail!("--without {unknown}: no query is of this kind; {known}");
        }
        let mut at = 0;
        table.triplets.retain(|t| {
            at += 1;
            let unwanted = t.kind.as_ref().is_some_and(|k| self.without.contains(k));
            (t.people || !self.people) && !unwanted && (at - 1) % self.every == 0
        });
        let (place, split) = (self.dataset.display(), self.split.name());
        if table.triplets.is_empty() {
            bail!("{place}: no query of the split '{split}' is left; leave out --people, --without or --every");
        }
        let positions = table.gallery_positions();
        let has_target = |image: &u32| positions.get(*image as usize).is_some_and(Option::is_some);
        if self.submission.is_none() && !table.triplets.iter().any(|t| t.targets.iter().any(has_target)) {
            bail!(
                "{place}: the split '{split}' has no right target in its files, so there is nothing to measure; \
                 use --split val, or write the files for the data set's server with --submission"
            );
        }
        if self.submission.is_some() && table.missing.images > 0 {
            bail!(
                "--submission: {} images of {place} are missing, and the server asks for every query over all images; \
                 bring them first",
                table.missing.images
            );
        }
        Ok(())
    }

    /// The first target tokens of a model's `all` that are kept.
    pub(super) fn kept(&self, all: usize) -> Result<Option<usize>> {
        match self.target_tokens {
            Some(kept) if kept > all => bail!("--target-tokens {kept} for a model of {all}; give 1 to {all}"),
            kept => Ok(kept),
        }
    }

    pub(super) fn title(&self, what: &Path, table: &Table) -> Result<String> {
        let people = if self.people { ", people only" } else { "" };
        let without =
            if self.without.is_empty() { String::new() } else { format!(", without {}", self.without.join(", ")) };
        let mut read = String::new();
        if let Some(words) = self.counted(table) {
            read.push_str(&format!(", {words}"));
        }
        for (what, chosen) in [
            ("triplets of", self.triplets.as_ref().map(|path| path.display().to_string())),
            ("read-out", written(self.read_out)?),
            ("second-pass mask", written(self.second_pass_mask)?),
            ("composition", self.composition.clone()),
            ("the image's weight", self.composition_weight.map(|weight| weight.to_string())),
            ("prompt", self.prompt.clone()),
            ("target tokens", self.target_tokens.map(|kept| kept.to_string())),
            ("projection", self.projection.map(|width| width.to_string())),
        ] {
            read.extend(chosen.map(|word| format!(", {what} {word}")));
        }
        if self.every > 1 {
            read.push_str(&format!(", one query in {}", self.every));
        }
        if let Some(ranked) = table.ranks_reference {
            read.push_str(if ranked { ", references ranked" } else { ", references left out" });
        }
        let (what, set, split) = (what.display(), self.dataset.display(), self.split.name());
        Ok(format!("{what} on {set} {split}{people}{without}{read}"))
    }

    /// What the title says of the targets that count, where a query has several.
    fn counted(&self, table: &Table) -> Option<&'static str> {
        let several = table.triplets.iter().any(|triplet| triplet.targets.len() > 1);
        (several && table.protocol == Protocol::Cirr || self.right_targets.is_some())
            .then(|| table.right_targets.words())
    }

    /// The switches of a model of `config` that are set otherwise.
    pub(super) fn switches(&self, config: &RetrievalConfig) -> Result<Vec<(&'static str, Value)>> {
        let mut switches = Vec::new();
        if let Some(read_out) = self.read_out {
            switches.push(("read_out", serde_json::to_value(read_out)?));
        }
        if let Some(mask) = self.second_pass_mask {
            switches.push(("second_pass_mask", serde_json::to_value(mask)?));
        }
        let now = config.pseudo_word().map(|own| own.composition);
        // Pseudo-words have no weight, nor has a dual encoder of another family: then it is the baselines' alone.
        let composes = now.is_ok() || !config.method.family().is_dual_encoder();
        let weight = self.composition_weight.filter(|_| composes).filter(|_| {
            let name = self.composition.as_deref().or(now.as_ref().ok().map(|now| now.name()));
            name != Some(Composition::PseudoWords.name())
        });
        if self.composition.is_some() || weight.is_some() {
            let chosen = now?.chosen(self.composition.as_deref(), weight)?;
            switches.push(("composition", serde_json::to_value(chosen)?));
        }
        Ok(switches)
    }

    /// The image's weight in the baselines of a model of `config`.
    pub(super) fn baseline_weight(&self, config: &RetrievalConfig) -> f64 {
        let own = config.pseudo_word().ok().and_then(|own| own.composition.weight());
        self.composition_weight.or(own).unwrap_or(HALF)
    }
}

/// A choice as on the command line.
fn written(choice: Option<impl serde::Serialize>) -> Result<Option<String>> {
    Ok(choice.map(serde_json::to_value).transpose()?.and_then(|word| word.as_str().map(str::to_owned)))
}
