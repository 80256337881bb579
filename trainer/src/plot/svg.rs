//! Draws a run: one panel a kind of figure, axes with round ticks, raw and smoothed lines, light and dark.

use super::series::{Run, Series};
use crate::train::objective::LOSSES;
use std::fmt::Write;

const WIDTH: f64 = 1000.0;
const PANEL: f64 = 270.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 240.0;
const TOP: f64 = 64.0;
const INNER: f64 = 190.0;
/// Points a drawn line has at most; more are averaged in buckets.
const POINTS: usize = 600;
/// Series with more points than this get a smoothed line over the faint raw one.
const SMOOTH_FROM: usize = 40;
const COLOURS: usize = 8;

const STYLE: &str = "
svg{--ink:#1f2430;--soft:#6b7280;--grid:#e5e7eb;--back:#fff;
--c0:#2563eb;--c1:#ea580c;--c2:#059669;--c3:#c026d3;--c4:#ca8a04;--c5:#0891b2;--c6:#dc2626;--c7:#7c3aed;
font:12px system-ui,sans-serif;background:var(--back)}
@media(prefers-color-scheme:dark){svg{--ink:#e5e7eb;--soft:#9ca3af;--grid:#2d3340;--back:#12151c;
--c0:#60a5fa;--c1:#fb923c;--c2:#34d399;--c3:#e879f9;--c4:#facc15;--c5:#22d3ee;--c6:#f87171;--c7:#a78bfa}}
text{fill:var(--ink)}.soft{fill:var(--soft)}.title{font-size:18px;font-weight:600}.panel{font-size:14px;font-weight:600}
.grid{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.raw{stroke-width:1;opacity:.28}
.end{text-anchor:end}.mid{text-anchor:middle}";

/// The whole drawing.
pub fn draw(title: &str, run: &Run) -> String {
    let panels = panels(&run.series);
    let height = TOP + PANEL * panels.len() as f64 + 8.0;
    let mut out = String::new();
    let last = run.series.iter().filter_map(|s| s.points.last()).map(|p| p.0).fold(0.0, f64::max);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\"><title>Training curves of {title}</title><style>{STYLE}</style>\
         <rect width=\"100%\" height=\"100%\" fill=\"var(--back)\"/>\
         <text class=\"title\" x=\"24\" y=\"34\">{title}</text><text class=\"soft\" x=\"24\" y=\"52\">to {} {}</text>",
        escape(&run.axis),
        number(last),
        title = escape(title),
    );
    for (at, (name, series)) in panels.iter().enumerate() {
        panel(&mut out, TOP + PANEL * at as f64, name, series, &run.axis, last);
    }
    out.push_str("</svg>\n");
    out
}

/// Losses together, validation figures together, everything else by itself.
fn panels(series: &[Series]) -> Vec<(String, Vec<&Series>)> {
    let mut panels: Vec<(String, Vec<&Series>)> = Vec::new();
    for one in series {
        let name = match one.name.as_str() {
            "loss" => "loss",
            name if LOSSES.iter().any(|names| names.contains(&name)) => "loss",
            "lr" => "learning rate",
            other => other.split_once('.').map_or(other, |(head, _)| if head == "val" { "validation" } else { head }),
        };
        match panels.iter_mut().find(|(n, _)| n == name) {
            Some((_, members)) => members.push(one),
            None => panels.push((name.to_owned(), vec![one])),
        }
    }
    let order = |name: &str| ["loss", "validation", "learning rate"].iter().position(|n| *n == name).unwrap_or(3);
    panels.sort_by_key(|(name, _)| order(name));
    panels
}

fn panel(out: &mut String, top: f64, name: &str, series: &[&Series], axis: &str, last: f64) {
    let values = || series.iter().flat_map(|s| &s.points).map(|p| p.1);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let y_ticks = ticks(low, high, 5);
    let (y0, y1) = (first(&y_ticks).min(low), y_ticks.last().copied().unwrap_or(high).max(high));
    let first_x = series.iter().filter_map(|s| s.points.first()).map(|p| p.0).fold(f64::INFINITY, f64::min).min(0.0);
    let x_ticks = ticks(first_x, last, 7);
    let (x0, x1) = (first_x, last.max(first_x + 1e-9));
    let wide = WIDTH - LEFT - RIGHT;
    let base = top + 34.0 + INNER;
    let px = |x: f64| LEFT + (x - x0) / (x1 - x0) * wide;
    let py = |y: f64| base - (y - y0) / (y1 - y0).max(1e-12) * INNER;
    let _ = write!(out, "<text class=\"panel\" x=\"{LEFT}\" y=\"{}\">{}</text>", top + 20.0, escape(name));
    for y in &y_ticks {
        let at = py(*y);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"soft end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT + wide,
            LEFT - 8.0,
            at + 4.0,
            number(*y)
        );
    }
    for x in x_ticks.iter().filter(|x| **x >= x0 && **x <= x1) {
        let at = px(*x);
        let _ = write!(
            out,
            "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{base:.1}\" y2=\"{:.1}\"/>\
             <text class=\"soft mid\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            base + 5.0,
            base + 19.0,
            number(*x)
        );
    }
    let _ = write!(
        out,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{base:.1}\" y2=\"{base:.1}\"/>\
         <text class=\"soft end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        LEFT + wide,
        LEFT + wide,
        top + 20.0,
        escape(axis)
    );
    for (at, one) in series.iter().enumerate() {
        let colour = at % COLOURS;
        // A second round through the colours is told apart by dashes.
        let dash = if at >= COLOURS { " stroke-dasharray=\"5 3\"" } else { "" };
        // A schedule has no noise to smooth.
        let smooth = one.points.len() > SMOOTH_FROM && one.name != "lr";
        let mut line = |points: &[(f64, f64)], class: &str| {
            let path: Vec<String> = points.iter().map(|(x, y)| format!("{:.1},{:.1}", px(*x), py(*y))).collect();
            let _ = match (path.as_slice(), points.first()) {
                ([_], Some((x, y))) => {
                    write!(out, "<circle r=\"3\" cx=\"{:.1}\" cy=\"{:.1}\" fill=\"var(--c{colour})\"/>", px(*x), py(*y))
                }
                _ => write!(
                    out,
                    "<polyline class=\"line {class}\" stroke=\"var(--c{colour})\"{dash} points=\"{}\"/>",
                    path.join(" ")
                ),
            };
        };
        line(&thin(&one.points), if smooth { "raw" } else { "" });
        if smooth {
            line(&thin(&smoothed(&one.points)), "");
        }
        let (x, y) = (LEFT + wide + 16.0, top + 42.0 + 18.0 * at as f64);
        let shown = one.points.last().map_or(0.0, |p| p.1);
        let label = one.name.split_once('.').map_or(one.name.as_str(), |(_, tail)| tail);
        let label = label.strip_prefix("groups.").unwrap_or(label);
        let _ = write!(
            out,
            "<line class=\"line\" x1=\"{x:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"var(--c{colour})\"{dash}/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">{}</text><text class=\"soft end\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            x + 16.0,
            y - 4.0,
            y - 4.0,
            x + 22.0,
            escape(label),
            WIDTH - 24.0,
            number(shown)
        );
    }
}

fn first(ticks: &[f64]) -> f64 {
    ticks.first().copied().unwrap_or(0.0)
}

/// About `wanted` round values that span `low..=high`.
fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    if !(low.is_finite() && high.is_finite()) {
        return vec![0.0, 1.0];
    }
    let spread = if high > low { high - low } else { low.abs().max(1.0) * 0.1 };
    let rough = spread / wanted.max(1) as f64;
    let size = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * size).find(|s| *s >= rough).unwrap_or(size * 10.0);
    let (from, to) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    (from..=to.max(from + 1).min(from + 64)).map(|i| i as f64 * step).collect()
}

/// The mean over a window around each point, a fortieth of the series wide; centred, so that it does not lag.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let half = (points.len() / 80).max(3);
    let mean = |at: usize| {
        let window = &points[at.saturating_sub(half)..(at + half + 1).min(points.len())];
        window.iter().map(|p| p.1).sum::<f64>() / window.len().max(1) as f64
    };
    points.iter().enumerate().map(|(at, (x, _))| (*x, mean(at))).collect()
}

/// At most [`POINTS`] points, each the mean of its bucket.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    points
        .chunks(points.len().div_ceil(POINTS))
        .map(|part| {
            let n = part.len() as f64;
            (part.iter().map(|p| p.0).sum::<f64>() / n, part.iter().map(|p| p.1).sum::<f64>() / n)
        })
        .collect()
}

/// A number in few characters.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        return format!("{value:.1e}");
    }
    let digits = if size >= 1000.0 || value.fract() == 0.0 {
        0
    } else if size >= 1.0 {
        2
    } else {
        4
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, points: Vec<(f64, f64)>) -> Series {
        Series { name: name.into(), points }
    }

    #[test]
    fn ticks_are_round_and_span_the_values() {
        assert_eq!(ticks(0.0, 10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        for (low, high) in [(3.2, 3.2), (-1e-7, 2e-7), (0.0, 0.0), (-5e9, 8e12), (f64::NAN, 1.0)] {
            let got = ticks(low, high, 5);
            assert!((2..=12).contains(&got.len()) && got.windows(2).all(|w| w[0] < w[1]), "{low} {high} {got:?}");
            assert!(low.is_nan() || (got[0] <= low && *got.last().unwrap() >= high), "{low} {high} {got:?}");
        }
        assert_eq!([number(0.00001), number(1234.5), number(0.25), number(3.0)], ["1.0e-5", "1234", "0.25", "3"]);
    }

    #[test]
    fn long_series_are_thinned_and_smoothed() {
        let noisy: Vec<_> = (0..5000).map(|i| (f64::from(i), 2.0 + f64::from(i % 2))).collect();
        assert!(thin(&noisy).len() <= POINTS);
        let end = smoothed(&noisy).last().unwrap().1;
        assert!((end - 2.5).abs() < 0.1, "{end}");
    }

    #[test]
    fn every_series_is_drawn_in_its_panel_with_names_escaped() {
        let run = Run {
            axis: "step".into(),
            series: vec![
                series("lr", vec![(1.0, 1e-4), (2.0, 2e-4)]),
                series("loss", (1..100).map(|i| (f64::from(i), 1.0 / f64::from(i))).collect()),
                series("q2t", vec![(1.0, 1.0)]),
                series("val.r1", vec![(50.0, 10.0), (99.0, 20.0)]),
                series("grad<norm>", vec![(1.0, 0.0), (2.0, 0.0)]),
            ],
            complaints: vec![],
        };
        let svg = draw("a & b", &run);
        assert!(svg.contains("a &amp; b") && svg.contains("grad&lt;norm&gt;") && !svg.contains("NaN"));
        assert!(svg.contains("prefers-color-scheme:dark"));
        let names: Vec<_> = panels(&run.series).into_iter().map(|(n, s)| (n, s.len())).collect();
        let expected = [("loss", 2), ("validation", 1), ("learning rate", 1), ("grad<norm>", 1)];
        assert_eq!(names, expected.map(|(n, c)| (n.to_owned(), c)));
        // loss is raw + smoothed, lr, val and grad one line each; q2t is a single point.
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (5, 1));
    }
}
