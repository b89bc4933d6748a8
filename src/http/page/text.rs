//! The text for a terminal: `curl localhost:9100`.

use super::{
    overview::{Overview, Shown, Table},
    rows::{Line, Row},
};
use crate::{
    engine::time,
    util::text::{Shown as Escaped, clip},
};
use std::fmt::Write;

/// Characters of a sparkline.
pub(super) const COLUMNS: u32 = 30;

/// Bytes of a name with its labels.
const LONGEST: usize = 60;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn write(overview: &Overview) -> String {
    let mut text = String::new();
    // A string is a writer that never fails.
    let _ = head(overview, &mut text);
    for table in &overview.tables {
        let _ = write_table(table, overview, &mut text);
    }
    text.push_str("\n/metrics  /healthz  /api/dump  /-/healthy  /-/ready  and here ?window=1h\n");
    text
}

fn head(overview: &Overview, text: &mut String) -> std::fmt::Result {
    let Overview {
        metrics,
        series,
        memory,
        ..
    } = overview;
    if !overview.globals.is_empty() {
        writeln!(text, "{}", Escaped(&overview.globals))?;
    }
    writeln!(
        text,
        "{metrics} metrics, {series} series, {} of history in {memory}",
        time(overview.reach.as_secs_f64())
    )?;
    let word = if overview.is_healthy {
        "healthy"
    } else {
        "degraded"
    };
    writeln!(text, "{word}")?;
    for reason in &overview.reasons {
        writeln!(text, "  - {reason}")?;
    }
    match overview.alerts.len() + overview.more_alerts {
        0 => writeln!(text, "no active alerts"),
        n => {
            writeln!(text, "{n} active alert{}", if n == 1 { "" } else { "s" })?;
            for alert in &overview.alerts {
                writeln!(text, "  - {}", Escaped(&alert.to_string()))?;
            }
            match overview.more_alerts {
                0 => Ok(()),
                n => writeln!(text, "  - and {n} more"),
            }
        }
    }
}

fn write_table(table: &Table, overview: &Overview, text: &mut String) -> std::fmt::Result {
    let rows = || {
        table
            .metrics
            .iter()
            .flat_map(|shown| shown.rows.iter().map(move |row| (shown, row)))
    };
    let names: Vec<String> = rows().map(|(shown, row)| name(shown, row)).collect();
    let wide = |text: &str| text.chars().count();
    let first = names
        .iter()
        .map(|name| wide(name))
        .chain([wide(table.title)])
        .max()
        .unwrap_or(0);
    let mut widths = table.heads.map(wide);
    for (_, row) in rows() {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(wide(cell));
        }
    }
    let spark = COLUMNS as usize;
    let charted = format!("{}, {}", table.charted, time(overview.shown.as_secs_f64()));
    write!(text, "\n{:first$}  {charted:>spark$}", table.title)?;
    cells(&table.heads, &widths, text)?;
    for ((_, row), name) in rows().zip(&names) {
        write!(text, "\n{name:first$}  {:>spark$}", sparkline(&row.line))?;
        cells(&row.cells.each_ref().map(String::as_str), &widths, text)?;
    }
    if table.more > 0 {
        write!(text, "\nand {} more {}", table.more, table.title)?;
    }
    text.push('\n');
    Ok(())
}

fn cells(cells: &[&str; 4], widths: &[usize; 4], text: &mut String) -> std::fmt::Result {
    for (cell, width) in cells.iter().zip(widths).filter(|(_, width)| **width > 0) {
        write!(text, "  {cell:>width$}")?;
    }
    text.truncate(text.trim_end_matches(' ').len());
    Ok(())
}

fn name(shown: &Shown, row: &Row) -> String {
    let whole = match &row.labels {
        None => Escaped(&shown.info.name).to_string(),
        Some(labels) => format!("  {}", Escaped(&labels.to_string())),
    };
    if whole.len() <= LONGEST {
        return whole;
    }
    format!("{}…", clip(&whole, LONGEST))
}

fn sparkline(line: &Line) -> String {
    let bar = |height: Option<f64>| match height {
        None => ' ',
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share, of eight bars"
        )]
        Some(height) => BARS[((height * 8.0) as usize).min(7)],
    };
    line.heights().into_iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparklines_are_bars() {
        let values = [0.0, 1.0, 2.0, 4.0, 7.9, 8.0].map(Some);
        let mut line = Line {
            values: values.into(),
            is_from_zero: true,
        };
        assert_eq!(sparkline(&line), "▁▂▃▅██");
        line.values[1] = None;
        assert_eq!(sparkline(&line), "▁ ▃▅██");
        assert_eq!(sparkline(&Line::default()), "");
    }
}
