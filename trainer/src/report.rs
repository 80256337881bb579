//! Evaluation results as a table for people and as JSON: methods as rows, recalls as columns, groups apart.

use crate::baselines::Method;
use crate::metrics::Recall;
use std::fmt;

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

/// An evaluation's results. `Display` prints the table; serde gives the JSON.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// What was evaluated, on what.
    pub title: String,
    /// Queries that have no right target in the gallery and so count nowhere.
    pub without_target: usize,
    /// The published total first, then the groups by name.
    pub sections: Vec<Section>,
}

impl Report {
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
    let name = format!("{name} ({n} queries)");
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
        writeln!(f, "{}", self.title)?;
        for section in &self.sections {
            let rows: Vec<(&str, &Recall)> = section.rows.iter().map(|row| (row.method.label(), &row.recall)).collect();
            table(f, &section.name, &rows)?;
        }
        writeln!(f, "\nPercent; ± is half of the 95 % interval over queries.")?;
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
        assert!(report.sections.iter().all(|s| s.rows.len() == 4));
        assert!((report.margin().unwrap() - 66.667).abs() < 0.01);
        let text = report.to_string();
        for part in
            ["all (3 queries)", "unseen (1 queries)", "averaged (image + text)", "66.67 ±", "Avg", "+66.67 points"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let back: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(back, report);
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
