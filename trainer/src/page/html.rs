//! The page's HTML.

use super::pictures::Pictures;
use super::{Options, Reasons, Run, Shown};
use crate::evaluate::Answer;
use crate::images::inline::base64;
use std::fmt::Write;

/// Right targets that are shown; CIRCO has up to 23.
pub(super) const TARGETS: usize = 3;

pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--right:#1a8f3c;--quiet:#8a8a8a}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:84rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem}
table{border-collapse:collapse}td,th{padding:.25rem .9rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}
article{border-top:1px solid var(--line);padding:1rem 0}
.text{font-size:1.05rem;font-weight:600;margin:0 0 .4rem}.about,.name{color:var(--quiet);font-size:.8rem}
.strip{display:flex;flex-wrap:wrap;gap:.5rem;margin:.3rem 0 .8rem}
figure{margin:0;width:7.5rem}
.pic{height:7.5rem;background:#fff center/contain no-repeat;border:1px solid var(--line);border-radius:4px;
display:flex;align-items:center;justify-content:center;color:#555;font-size:.7rem;overflow:hidden;word-break:break-all}
.right .pic{outline:3px solid var(--right)}
figcaption{font-size:.72rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.gap{border-left:1px solid var(--line);margin:0 .4rem}
";

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub(super) fn page(runs: &[Run], lists: &[(String, Vec<Shown<'_>>)], pictures: &Pictures, options: &Options) -> String {
    let title = escape(options.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}{}</style></head>\n<body><h1>{title}</h1>\n",
        pictures.styles()
    );
    out.push_str(&summary(runs));
    for (heading, shown) in lists {
        let _ = writeln!(out, "<section><h2>{}</h2>", escape(heading));
        if shown.is_empty() {
            out.push_str("<p>None.</p>");
        }
        for answers in shown {
            article(&mut out, runs, answers, (pictures, options));
        }
        out.push_str("</section>\n");
    }
    out.push_str("</body></html>\n");
    out
}

/// How often each run finds a right target among the first K, over its own queries.
fn summary(runs: &[Run]) -> String {
    const AT: [usize; 4] = [1, 5, 10, 50];
    let mut out = String::from("<table><tr><th>run</th><th>queries</th>");
    for k in AT {
        let _ = write!(out, "<th>first {k}</th>");
    }
    out.push_str("<th>median rank</th></tr>\n");
    for run in runs {
        let mut ranks: Vec<usize> = run.answers.iter().filter_map(|answer| answer.rank).collect();
        ranks.sort_unstable();
        let _ = write!(out, "<tr><td>{}</td><td>{}</td>", escape(&run.name), ranks.len());
        for k in AT {
            let share = 100.0 * ranks.iter().filter(|rank| **rank < k).count() as f64 / ranks.len().max(1) as f64;
            let _ = write!(out, "<td>{share:.2} %</td>");
        }
        let median = ranks.get(ranks.len() / 2).map_or_else(|| "–".to_owned(), |rank| (rank + 1).to_string());
        let _ = writeln!(out, "<td>{median}</td></tr>");
    }
    out + "</table>\n<p class=\"about\">Share of queries with a right target among the first K. Right targets are framed.</p>\n"
}

fn article(out: &mut String, runs: &[Run], answers: &[&Answer], (pictures, options): (&Pictures, &Options)) {
    let Some(first) = answers.first() else { return };
    let parts = [first.group.as_deref(), first.kind.as_deref()];
    let about: Vec<String> = parts.into_iter().flatten().map(escape).collect();
    let _ = writeln!(
        out,
        "<article><p class=\"text\">{}</p><p class=\"about\">query {} {}</p><div class=\"strip\">",
        escape(&first.text),
        first.id,
        about.join(" · ")
    );
    figure(out, pictures, &first.reference, "reference", false);
    out.push_str("<div class=\"gap\"></div>");
    for target in first.targets.iter().take(TARGETS) {
        figure(out, pictures, target, "target", true);
    }
    if first.targets.len() > TARGETS {
        let _ = write!(out, "<p class=\"about\">and {} more targets</p>", first.targets.len() - TARGETS);
    }
    out.push_str("</div>\n");
    if let Some(reasons) = options.reasons.and_then(|reasons| reasons.get(&first.id)) {
        counted(out, reasons);
    }
    for (run, answer) in runs.iter().zip(answers) {
        let rank = answer.rank.map_or_else(|| "not in the gallery".to_owned(), |rank| format!("rank {}", rank + 1));
        let name = escape(&run.name);
        let _ = writeln!(out, "<div class=\"about\">{name}: target at {rank}</div><div class=\"strip\">");
        for (place, (image, score)) in (1..).zip(answer.top.iter().take(options.top)) {
            let right = answer.targets.contains(image);
            figure(out, pictures, image, &format!("{place}. {score:.3}"), right);
        }
        out.push_str("</div>\n");
    }
    out.push_str("</article>\n");
}

/// What counted in a query.
fn counted(out: &mut String, reasons: &Reasons) {
    let words = escape(&reasons.words);
    let _ = writeln!(out, "<div class=\"about\">what counted, by attention: {words}</div><div class=\"strip\">");
    for (caption, png) in &reasons.pictures {
        let (caption, png) = (escape(caption), base64(png));
        let _ = writeln!(
            out,
            "<figure><div class=\"pic\" role=\"img\" aria-label=\"{caption}\" \
             style=\"background-image:url(data:image/png;base64,{png})\"></div>\
             <figcaption title=\"{caption}\">{caption}</figcaption></figure>"
        );
    }
    out.push_str("</div>\n");
}

pub(super) fn figure(out: &mut String, pictures: &Pictures, name: &str, caption: &str, right: bool) {
    let class = pictures.class(name);
    let (name, frame) = (escape(name), if right { " class=\"right\"" } else { "" });
    let _ = match class {
        Some(class) => {
            write!(out, "<figure{frame}><div class=\"pic {class}\" role=\"img\" aria-label=\"{name}\"></div>")
        }
        None => write!(out, "<figure{frame}><div class=\"pic\">{name}</div>"),
    };
    let _ = writeln!(
        out,
        "<figcaption title=\"{name}\">{} <span class=\"name\">{name}</span></figcaption></figure>",
        escape(caption)
    );
}
