//! What `prepare catalogue` did, in numbers.

use crate::splits::Splits;
use crate::statistics::{self, SplitReport};
use crate::world::{Role, World};
use serde::Serialize;
use std::collections::BTreeMap;
use thisbut_trainer::data::Split;

/// Marks a report as this builder's.
pub const MADE_BY: &str = "thisbut prepare catalogue";

/// One attribute in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ColumnReport {
    /// Different values.
    pub values: usize,
    /// Pictures that have one.
    pub pictures: usize,
    /// "names", "steps" or "measure".
    pub role: &'static str,
    /// A picture may have several.
    pub several: bool,
    /// Attributes that this one tells.
    pub tells: Vec<String>,
    /// The ten most frequent values, with the number of pictures.
    pub frequent: Vec<(String, usize)>,
}

/// Everything that is reported.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CatalogueReport {
    /// What wrote it.
    pub made_by: &'static str,
    /// Pictures with attributes.
    pub pictures: usize,
    /// Pictures and lines that could not be used, and why.
    pub left_out: Vec<String>,
    /// Of the pictures, look-alikes that were left out.
    pub look_alikes: usize,
    /// Look-alikes of which another split, or other attributes, said otherwise.
    pub at_odds: Vec<String>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, ColumnReport>,
    /// Pictures by split; "held out" are those of no split.
    pub images: BTreeMap<String, usize>,
    /// Values that training never sees, with the split that has them.
    pub held_out_values: BTreeMap<String, &'static str>,
    /// Combinations that training never sees.
    pub held_out_combinations: usize,
    /// "train", "val", "test1".
    pub splits: BTreeMap<String, SplitReport>,
    /// What was decided on the way.
    pub notes: Vec<String>,
}

/// What is known before triplets are drawn.
pub fn of(world: &World, splits: &Splits) -> CatalogueReport {
    let of = Split::ALL.into_iter().map(|split| (split.name().to_owned(), splits.count(Some(split))));
    CatalogueReport {
        made_by: MADE_BY,
        attributes: columns(world),
        images: of.chain([("held out".to_owned(), splits.count(None))]).collect(),
        held_out_values: splits.values.iter().map(|(value, split)| (value.clone(), split.name())).collect(),
        held_out_combinations: splits.combinations,
        notes: world.notes.clone(),
        ..CatalogueReport::default()
    }
}

/// The attributes in numbers.
fn columns(world: &World) -> BTreeMap<String, ColumnReport> {
    let mut out = BTreeMap::new();
    for (c, column) in world.columns.iter().enumerate() {
        let mut counts = vec![0; column.values.len()];
        let shown = world.items.iter().filter_map(|item| item.values.get(c));
        let mut pictures = 0;
        for values in shown.filter(|values| !values.is_empty()) {
            pictures += 1;
            values.iter().for_each(|v| counts[*v as usize] += 1);
        }
        let mut frequent: Vec<(String, usize)> = column.values.iter().cloned().zip(counts).collect();
        frequent.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        frequent.truncate(10);
        let role = match column.role {
            Role::Plain => "names",
            Role::Ordered => "steps",
            Role::Measure => "measure",
        };
        let told = world.columns.iter().enumerate().filter(|(b, _)| world.determines[c][*b]);
        let tells = told.map(|(_, column)| column.name.clone()).collect();
        let report =
            ColumnReport { values: column.values.len(), pictures, role, several: column.several, tells, frequent };
        out.insert(column.name.clone(), report);
    }
    out
}

impl CatalogueReport {
    /// The printed table.
    pub fn table(&self) -> String {
        let mut text = format!("{} pictures, {} look-alikes left out\n", self.pictures, self.look_alikes);
        for (name, column) in &self.attributes {
            let frequent: Vec<String> = column.frequent.iter().map(|(value, n)| format!("{value} {n}")).collect();
            let several = if column.several { ", several a picture" } else { "" };
            let tells =
                if column.tells.is_empty() { String::new() } else { format!("; tells {}", column.tells.join(", ")) };
            text.push_str(&format!(
                "{name}: {} values ({}{several}) in {} pictures{tells}: {}\n",
                column.values,
                column.role,
                column.pictures,
                frequent.join(", ")
            ));
        }
        let images: Vec<String> = self.images.iter().map(|(split, n)| format!("{split} {n}")).collect();
        text.push_str(&format!("images: {}\n", images.join(", ")));
        if !self.held_out_values.is_empty() || self.held_out_combinations > 0 {
            let values: Vec<String> = self.held_out_values.iter().map(|(v, split)| format!("{v} ({split})")).collect();
            let values = if values.is_empty() { "no values".to_owned() } else { values.join(", ") };
            text.push_str(&format!("held out from training: {values}; {} combinations\n", self.held_out_combinations));
        }
        text.push_str(&statistics::table(&self.splits));
        text
    }
}
