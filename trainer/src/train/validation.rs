//! Recall on the validation split while a run goes on, and the figure that chooses the best checkpoint.

use super::finetune::Inputs;
use super::learner::Learner;
use super::objective::Objective;
use super::settings::{Selection, Settings};
use crate::data::table::Table;
use crate::embed::{self, Tokenized};
use crate::error::{Result, TrainerError};
use crate::features::ImageTokens;
use crate::metrics::{Accumulator, Recall};
use crate::report::Incomplete;
use burn::tensor::Device;
use serde_json::json;
use std::collections::BTreeMap;
use thisbut_model::Retrieval;
use thisbut_model::method::similarity;
use thisbut_model::text::Tokens;

/// Queries embedded together.
const BATCH: usize = 128;

/// What a validation found.
pub struct Validated {
    /// By the data set's protocol, over all chosen queries.
    pub total: Recall,
    /// The same of each group of queries.
    pub groups: BTreeMap<String, Recall>,
    /// What the best checkpoint is chosen by, and its value in percent.
    pub selection: (&'static str, f64),
    /// What the figures do not cover, as images are missing.
    pub incomplete: Option<Incomplete>,
}

impl Validated {
    /// The metrics file's keys: R@1 and R@10 of all and of each group, every figure of the protocol, the selection, and what
    /// missing images leave out.
    pub fn line(&self) -> serde_json::Map<String, serde_json::Value> {
        let two = |recall: &Recall| json!({ "r1": recall.r1, "r10": recall.r10 });
        let groups: serde_json::Map<_, _> = self.groups.iter().map(|(name, r)| (name.clone(), two(r))).collect();
        let mut val = two(&self.total);
        val["groups"] = groups.into();
        let known = self.total.figures().into_iter().filter_map(|f| Some((f.key.to_owned(), f.value?.into())));
        let figures: serde_json::Map<_, serde_json::Value> = known.collect();
        let selection = json!({ "rule": self.selection.0, "value": self.selection.1 });
        let line = [("val", val), ("figures", figures.into()), ("selection", selection)];
        let incomplete = self.incomplete.map(|found| ("incomplete", json!(found)));
        line.into_iter().chain(incomplete).map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// Ranks the whole validation gallery for `settings.validate_queries` of its queries, after `step` steps.
///
/// # Errors
/// When images or the device fail, and when a query or a target is not finite.
pub fn validate<O: Objective>(
    objective: &O,
    (learner, step): (&Learner<O::Model>, usize),
    settings: &Settings,
    inputs: &Inputs,
    device: &Device,
) -> Result<Validated> {
    let model = format!("{}, step {step}", inputs.run.display());
    let counted = settings.right_targets.unwrap_or(inputs.validation.right_targets);
    let table = &Table { right_targets: counted, ..inputs.validation.clone() };
    let learner = learner.valid();
    let images = learner.images(inputs.features);
    let rows = embed::rows(table, &images)?;
    let texts = Tokenized::new(inputs.texts, table);
    let method = learner.model.clone();
    let retrieval = Retrieval::new(inputs.config.clone(), None, method, inputs.texts.clone(), device);
    let gallery = embed::gallery(&retrieval, &images, &table.gallery, &rows)?;
    let [_, targets, width] = gallery.dims();
    let target = |at: usize| format!("the target of image '{}'", table.image_name(table.gallery[at]));
    embed::check_finite(&embed::read(gallery.clone())?, targets * width, &model, target)?;
    // Every n-th query: the file is ordered by group.
    let count = if settings.validate_queries > 0 { settings.validate_queries } else { table.triplets.len() };
    let every = table.triplets.len().div_ceil(count.max(1)).max(1);
    let chosen: Vec<u32> = (0..table.triplets.len() as u32).step_by(every).collect();
    let positions = table.gallery_positions();
    let mut ranks = Accumulator::with(table.protocol);
    for batch in chosen.chunks(BATCH) {
        let tokens: Vec<&Tokens> = batch.iter().map(|triplet| texts.tokens(*triplet)).collect();
        let references = batch.iter().map(|triplet| rows[table.triplets[*triplet as usize].reference as usize]);
        let references = match objective.composes() {
            true => Some(retrieval.encoded(images.tokens(&references.collect::<Vec<_>>(), device)?)),
            false => None,
        };
        let queries = retrieval.query(references.as_ref(), &tokens)?;
        let query = |at: usize| format!("the query of triplet {}", table.triplets[batch[at] as usize].id);
        let [_, width] = queries.dims();
        embed::check_finite(&embed::read(queries.clone())?, width, &model, query)?;
        let scores = embed::read(similarity(queries, gallery.clone()))?;
        for (scores, triplet) in scores.chunks(table.gallery.len()).zip(batch) {
            let triplet = &table.triplets[*triplet as usize];
            let mut query = table.query(&positions, triplet);
            query.group.get_or_insert_with(|| "other".into());
            ranks.add(scores, &query)?;
        }
    }
    let total = ranks.overall().ok_or_else(|| {
        TrainerError::data("the validation split", "has no queries", "add some, or train on another data set")
    })?;
    let selection = total.selection(table.protocol, settings.selection == Selection::Mean);
    Ok(Validated { total, groups: ranks.groups(), selection, incomplete: Incomplete::of(table) })
}
