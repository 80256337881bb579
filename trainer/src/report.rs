//! Evaluation results as a table for people and as JSON: methods as rows, recalls as columns, groups apart.

use crate::baselines::Method;
use crate::data::Format;
use crate::data::table::{Missing, Split, Table};
use crate::device::DeviceKind;
use crate::metrics::Recall;
use crate::terminal;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// One method's figures.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// How the query was made.
    pub method: Method,
    /// Its recall.
    pub recall: Recall,
}

/// All queries ("all"; "mean of groups" where the data set's total is that), or one group of them.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Section {
    /// "all", "mean of groups", or the group's name.
    pub name: String,
    /// One row a method.
    pub rows: Vec<Row>,
}

/// What the figures do not cover, as image files are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Incomplete {
    /// Images of the split, those without a file counted too.
    pub images: usize,
    /// Images without a file.
    pub missing_images: usize,
    /// Queries that need one of them.
    pub queries_left_out: usize,
    /// Queries that stay without their subset.
    pub subsets_left_out: usize,
}

impl Incomplete {
    /// Of a split; none when nothing is missing.
    pub fn of(table: &Table) -> Option<Self> {
        let Missing { images, queries, subsets } = table.missing;
        let all = table.images.len() + images;
        let found = Self { images: all, missing_images: images, queries_left_out: queries, subsets_left_out: subsets };
        (images > 0).then_some(found)
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, missing_images, queries_left_out, subsets_left_out } = self;
        write!(
            f,
            "INCOMPLETE: {missing_images} of {images} images are missing, {queries_left_out} queries and \
             {subsets_left_out} subsets are left out"
        )
    }
}

/// An evaluation's results. `Display` prints the table; serde gives the JSON.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// What was evaluated, on what.
    pub title: String,
    /// Queries that have no right target in the gallery and so count nowhere.
    pub without_target: usize,
    /// What the figures do not cover: they are not comparable with those of the whole split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<Incomplete>,
    /// Where the figures come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Box<About>>,
    /// The published total first, then the groups by name.
    pub sections: Vec<Section>,
}

/// Where figures come from: enough to make them again.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct About {
    /// What answered.
    pub model: AboutModel,
    /// What was asked.
    pub data: AboutData,
    /// What computed.
    pub device: String,
    /// The programs that did, by name.
    pub versions: BTreeMap<String, String>,
}

/// The model behind figures.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AboutModel {
    /// The checkpoint, or the bundle's folder.
    pub path: String,
    /// SHA-256 of the checkpoint, or of the bundle's `bundle.json`, which holds the hashes of all its files.
    pub sha256: String,
    /// The preset's name.
    pub preset: String,
    /// Steps that it was trained for; a bundle does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The run's seed, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Target tokens of an image that were scored.
    pub target_tokens: usize,
    /// Their width.
    pub projection: usize,
}

/// The data behind figures.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AboutData {
    /// The data set's folder.
    pub folder: String,
    /// Its layout.
    pub format: String,
    /// The split.
    pub split: String,
    /// Queries that were asked.
    pub queries: usize,
    /// Images of the split that have a file.
    pub images: usize,
    /// Images that were ranked.
    pub gallery: usize,
}

impl About {
    /// Of a model's answers to the queries of `table`.
    pub fn new(model: AboutModel, data: (&Path, Format, Split), table: &Table, device: DeviceKind) -> Self {
        let (folder, format, split) = data;
        let data = AboutData {
            folder: folder.display().to_string(),
            format: format.name().to_owned(),
            split: split.name().to_owned(),
            queries: table.triplets.len(),
            images: table.images.len(),
            gallery: table.gallery.len(),
        };
        let versions = [("thisbut", env!("CARGO_PKG_VERSION")), ("burn", BURN)];
        let versions = versions.map(|(name, version)| (name.to_owned(), version.to_owned())).into();
        Self { model, data, device: format!("{device:?}").to_lowercase(), versions }
    }
}

/// The version of burn in the workspace's Cargo.toml; a test compares them.
const BURN: &str = "0.22.1";

/// What the first section of an incomplete split is called.
const WHAT_IS_LEFT: &str = "what is left";

impl Report {
    /// Says in the title and in the first section's name what the figures do not cover.
    pub fn mark_incomplete(&mut self, table: &Table) {
        let Some(incomplete) = Incomplete::of(table) else { return };
        self.title = format!("{} ({incomplete})", self.title);
        if let Some(first) = self.sections.first_mut() {
            WHAT_IS_LEFT.clone_into(&mut first.name);
        }
        self.incomplete = Some(incomplete);
    }

    /// Takes over the rows of another report about the same queries.
    pub fn append(&mut self, other: Self) {
        for section in other.sections {
            match self.sections.iter_mut().find(|own| own.name == section.name) {
                Some(own) => own.rows.extend(section.rows),
                None => self.sections.push(section),
            }
        }
    }

    /// The figures of `method` over all queries.
    pub fn overall(&self, method: Method) -> Option<&Recall> {
        self.sections.first()?.rows.iter().find(|r| r.method == method).map(|r| &r.recall)
    }

    /// R@1 of the composed query minus the best R@1 of the baselines, in points.
    pub fn margin(&self) -> Option<f64> {
        let composed = self.overall(Method::Composed)?.r1;
        let others = Method::ALL.into_iter().skip(1).filter_map(|m| self.overall(m)).map(|r| r.r1);
        Some(composed - others.reduce(f64::max)?)
    }
}

/// A p-value for people.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("= {p:.3}") }
}

/// A section's table: rows with their names, a column for each figure that some row has.
pub fn table(f: &mut fmt::Formatter<'_>, name: &str, rows: &[(&str, &Recall)]) -> fmt::Result {
    let n = rows.iter().map(|(_, recall)| recall.n).max().unwrap_or(0);
    let mut heads: Vec<&str> = Vec::new();
    for figure in rows.first().iter().flat_map(|(_, recall)| recall.figures()) {
        let has = |recall: &Recall| recall.figures().iter().any(|f| f.key == figure.key && f.value.is_some());
        if rows.iter().any(|(_, recall)| has(recall)) {
            heads.push(figure.head);
        }
    }
    let name = format!("{} ({n} queries)", terminal::line(name));
    let columns: String = heads.iter().map(|head| format!("{head:>15}")).collect();
    writeln!(f, "\n{name:<34}{columns}")?;
    for (label, recall) in rows {
        write!(f, "  {label:<32}")?;
        for figure in recall.figures().iter().filter(|figure| heads.contains(&figure.head)) {
            let cell = match (figure.value, recall.ci.get(figure.key)) {
                (Some(v), Some([low, high])) => format!("{v:.2} ±{:.2}", (high - low) / 2.0),
                (Some(v), None) => format!("{v:.2}"),
                (None, _) => "–".to_owned(),
            };
            write!(f, "{cell:>15}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", terminal::line(&self.title))?;
        for section in &self.sections {
            let rows: Vec<(&str, &Recall)> = section.rows.iter().map(|row| (row.method.label(), &row.recall)).collect();
            table(f, &section.name, &rows)?;
        }
        writeln!(f, "\nPercent; ± is half of the 95 % interval over queries.")?;
        if self.incomplete.is_some() {
            writeln!(
                f,
                "A smaller gallery is an easier one: these figures do not compare with those of the whole split."
            )?;
        }
        if let Some(margin) = self.margin() {
            writeln!(f, "Composed R@1 against the best baseline: {margin:+.2} points.")?;
        }
        if self.without_target > 0 {
            writeln!(f, "{} queries have no right target in the gallery and are not counted.", self.without_target)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::Comparison;
    use crate::metrics::Query;

    #[test]
    fn the_table_has_every_method_group_and_the_margin() {
        let mut all = Comparison::new();
        for (i, group) in ["seen", "seen", "unseen"].into_iter().enumerate() {
            let (right, subset, group) = (vec![2], vec![1, 2, 3], Some(group.to_owned()));
            let query = Query { exclude: Some(0), right, subset, group, ..Query::default() };
            for method in Method::ALL {
                let high = if method == Method::Composed && i < 2 { 1.0 } else { 0.1 };
                all.add(method, &[0.9, 0.5, high, 0.0], &query).unwrap();
            }
        }
        let report = all.report("model x on test");
        assert_eq!(report.sections.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["all", "seen", "unseen"]);
        assert!(report.sections.iter().all(|s| s.rows.len() == Method::ALL.len()));
        assert!((report.margin().unwrap() - 66.667).abs() < 0.01);
        let text = report.to_string();
        for part in
            ["all (3 queries)", "unseen (1 queries)", "averaged (image + text)", "66.67 ±", "Avg", "+66.67 points"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let back: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(back, report);
        // A group's name is somebody's: it begins no line of its own.
        let mut forged = report;
        forged.sections[1].name = "seen\nall (9 queries)".into();
        assert_eq!(forged.to_string().lines().count(), text.lines().count());
        assert!(forged.to_string().contains("seen\\u000aall (9 queries) (2 queries)"), "{forged}");
    }

    #[test]
    fn the_version_of_burn_is_the_workspaces() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        assert!(std::fs::read_to_string(manifest).unwrap().contains(&format!("burn = {{ version = \"={BURN}\"")));
    }

    #[test]
    fn an_incomplete_split_says_so_in_title_section_and_json() {
        let mut all = Comparison::new();
        all.add(Method::Composed, &[0.1, 0.2], &Query { right: vec![1], ..Query::default() }).unwrap();
        let mut table = Table { missing: Missing { images: 3, queries: 2, subsets: 1 }, ..Table::default() };
        table.images.push(crate::data::ImageEntry { name: "a".into(), path: "a".into() });
        let mut report = all.report("x on val");
        report.mark_incomplete(&table);
        let said = "x on val (INCOMPLETE: 3 of 4 images are missing, 2 queries and 1 subsets are left out)";
        assert_eq!(report.title, said);
        assert_eq!(report.sections[0].name, WHAT_IS_LEFT);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["incomplete"]["missing_images"], &json["incomplete"]["images"]), (&3.into(), &4.into()));
        assert!(report.to_string().contains("do not compare"), "{report}");
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
        table.missing = Missing::default();
        let mut whole = all.report("x on val");
        whole.mark_incomplete(&table);
        assert_eq!((whole.title.as_str(), whole.sections[0].name.as_str()), ("x on val", "all"));
    }

    #[test]
    fn columns_that_no_query_has_are_left_out() {
        let mut all = Comparison::new();
        all.add(Method::Composed, &[0.1, 0.2], &Query { right: vec![1], ..Query::default() }).unwrap();
        let text = all.report("x").to_string();
        assert!(!text.contains("Rs@1") && !text.contains("Avg") && text.contains("R@50"), "{text}");
        assert!(Comparison::new().report("x").to_string().starts_with('x'), "an empty report still prints");
    }
}
