//! The page for a browser: one document, without scripts and without anything from elsewhere. Text of the application's is
//! escaped wherever it stands.

use super::{
    overview::{Overview, Shown, Table},
    rows::{Line, Row},
};
use crate::engine::time;
use std::{
    fmt::{self, Write},
    time::Duration,
};

/// What the page may load: its own styles. Not even a mistake in here would run a script.
pub(in crate::http) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Points of a line.
pub(super) const POINTS: u32 = 60;

/// The size in which lines are drawn, before they are stretched.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 32.0;

const STYLE: &str = include_str!("page.css");

/// Seconds after which the page is loaded anew.
const REFRESH: u32 = 5;

/// Windows to choose from.
const WINDOWS: [(&str, u64); 6] = [
    ("1m", 60),
    ("5m", 300),
    ("15m", 900),
    ("1h", 3600),
    ("6h", 21_600),
    ("24h", 86_400),
];

/// Text in a document, or in the quotes of an attribute.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

pub(super) fn write(overview: &Overview) -> String {
    let mut page = String::with_capacity(32 << 10);
    // A string is a writer that never fails.
    let _ = document(overview, &mut page);
    page
}

fn document(overview: &Overview, page: &mut String) -> fmt::Result {
    let title = match overview.globals.as_str() {
        "" => "metrics-recall",
        globals => globals,
    };
    write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"{REFRESH}\">\
         <link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head><body><main>",
        Text(title)
    )?;
    head(overview, title, page)?;
    for table in &overview.tables {
        section(table, overview, page)?;
    }
    if overview.tables.is_empty() {
        page.push_str("<section class=\"empty\">Nothing was recorded yet: <code>counter!(\"orders_total\").increment(1)</code></section>");
    }
    page.push_str(
        "<footer><a href=\"metrics\">metrics</a><a href=\"healthz\">healthz</a><span>the same as text: <code>curl</code> this address</span>\
         </footer></main></body></html>\n",
    );
    Ok(())
}

fn head(overview: &Overview, title: &str, page: &mut String) -> fmt::Result {
    let (class, word) = if overview.is_healthy {
        ("pill", "healthy")
    } else {
        ("pill bad", "degraded")
    };
    write!(
        page,
        "<header><h1>{}</h1><span class=\"{class}\">{word}</span><nav>",
        Text(title)
    )?;
    for (name, seconds) in WINDOWS {
        let here = if overview.window == Duration::from_secs(seconds) {
            " aria-current=\"page\""
        } else {
            ""
        };
        write!(page, "<a href=\"?window={name}\"{here}>{name}</a>")?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a percentage")]
    let used = 100.0 * overview.memory.used as f64 / overview.memory.budget as f64;
    write!(
        page,
        "</nav></header><p class=\"facts\"><span>{} metrics, {} series</span><span>{} of history</span>\
         <span>{}<span class=\"meter\"><i style=\"width:{used:.1}%\"></i></span></span></p>",
        overview.metrics,
        overview.series,
        time(overview.reach.as_secs_f64()),
        overview.memory
    )?;
    let alerts: Vec<String> = overview.alerts.iter().map(ToString::to_string).collect();
    list(
        "box fire",
        "active alerts",
        &alerts,
        overview.more_alerts,
        page,
    )?;
    list("box", "what is degraded", &overview.reasons, 0, page)
}

fn list(class: &str, title: &str, items: &[String], more: usize, page: &mut String) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    write!(page, "<div class=\"{class}\"><b>{title}</b><ul>")?;
    for item in items {
        write!(page, "<li>{}</li>", Text(item))?;
    }
    if more > 0 {
        write!(page, "<li>and {more} more</li>")?;
    }
    page.push_str("</ul></div>");
    Ok(())
}

fn section(table: &Table, overview: &Overview, page: &mut String) -> fmt::Result {
    let is_used = table.heads.map(|head| !head.is_empty());
    let title = table.title;
    write!(
        page,
        "<section class=\"{title}\"><table><thead><tr><th>{title}</th><th class=\"chart\">{}, {}</th>",
        table.charted,
        time(overview.shown.as_secs_f64())
    )?;
    for head in table.heads.iter().filter(|head| !head.is_empty()) {
        write!(page, "<th>{head}</th>")?;
    }
    page.push_str("</tr></thead><tbody>");
    for shown in &table.metrics {
        for row in &shown.rows {
            line(shown, row, is_used, page)?;
        }
    }
    page.push_str("</tbody></table>");
    if table.more > 0 {
        write!(
            page,
            "<p class=\"more\">and {} more {title}</p>",
            table.more
        )?;
    }
    page.push_str("</section>");
    Ok(())
}

fn line(shown: &Shown, row: &Row, is_used: [bool; 4], page: &mut String) -> fmt::Result {
    match &row.labels {
        None => {
            let help = shown.info.description.as_deref().unwrap_or_default();
            write!(
                page,
                "<tr><td title=\"{}\">{}",
                Text(help),
                Text(&shown.info.name)
            )?;
            if shown.info.series > 1 {
                write!(page, "<small>{} series</small>", shown.info.series)?;
            }
        }
        Some(labels) => write!(page, "<tr class=\"part\"><td>{}", Text(&labels.to_string()))?,
    }
    page.push_str("</td><td class=\"chart\">");
    chart(&row.line, page)?;
    page.push_str("</td>");
    for (cell, _) in row
        .cells
        .iter()
        .zip(is_used)
        .filter(|(_, is_used)| *is_used)
    {
        write!(page, "<td>{}</td>", Text(cell))?;
    }
    page.push_str("</tr>");
    Ok(())
}

/// A line and what is below it, in as many pieces as there are without a gap. The newest point is at the right.
fn chart(line: &Line, page: &mut String) -> fmt::Result {
    let heights = line.heights();
    let points = f64::from(POINTS);
    #[expect(clippy::cast_precision_loss, reason = "some tens of points")]
    let x = |at: usize| WIDTH * (points - heights.len() as f64 + at as f64) / (points - 1.0);
    let y = |height: f64| HEIGHT - 2.0 - height * (HEIGHT - 4.0);
    let mut path = String::new();
    let mut area = String::new();
    let mut start = None;
    for (at, height) in heights.iter().enumerate() {
        let Some(height) = *height else { continue };
        let is_first = start.is_none();
        let (x0, y0) = (x(at), y(height));
        if is_first {
            start = Some(x0);
            write!(path, "M{x0:.1} {y0:.1}")?;
            write!(area, "M{x0:.1} {HEIGHT}L{x0:.1} {y0:.1}")?;
        } else {
            write!(path, "L{x0:.1} {y0:.1}")?;
            write!(area, "L{x0:.1} {y0:.1}")?;
        }
        if heights.get(at + 1).copied().flatten().is_none() {
            if is_first {
                // A point alone is a dot, by its round ends.
                path.push_str("h.01");
            }
            write!(area, "L{x0:.1} {HEIGHT}Z")?;
            start = None;
        }
    }
    write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    )?;
    if !path.is_empty() {
        write!(
            page,
            "<path class=\"a\" d=\"{area}\"/><path class=\"l\" d=\"{path}\"/>"
        )?;
    }
    page.push_str("</svg>");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        let text = "</td><script>\"'&\n\u{7}";
        assert_eq!(
            Text(text).to_string(),
            "&lt;/td&gt;&lt;script&gt;&quot;&#39;&amp;\\n\\u{7}"
        );
    }

    #[test]
    fn a_gap_parts_a_line() {
        let values = vec![Some(0.0), Some(1.0), None, Some(1.0)];
        let mut page = String::new();
        chart(
            &Line {
                values,
                is_from_zero: true,
            },
            &mut page,
        )
        .unwrap();
        assert_eq!(page.matches('M').count(), 4, "{page}");
        assert!(
            page.contains("240.0 2.0h.01"),
            "the newest point is a dot at the right: {page}"
        );
    }
}
