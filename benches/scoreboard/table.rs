//! The table: columns, units, verdicts, and the notes below.

use std::time::Duration;

use crate::rows::{Row, Unit};
use crate::runner::{Cell, Results};
use crate::subject::Subject::{self, Facade, Mep, Recall};

const COLUMNS: usize = 13;
const LAST: usize = COLUMNS - 1;

/// FA on the machine that the goals were set on. Where FA is cheaper, a ratio to it is a stricter goal.
const DESIGN_YARD: f64 = 4.7;

const HEADS: [&str; COLUMNS] = [
    "what", "FA ns", "recall", "in FA", "MEP", "in FA", "of MEP", "facade", "in FA", "proto",
    "goal", "must", "verdict",
];

const NOTES: [&str; 6] = [
    "FA: one uncontended relaxed fetch_add, measured right before each sample; medians of 15 samples; threads pinned",
    "verdict: on ratios to FA as measured; in brackets with FA = 4.7 ns, as on the machine that the goals were set on",
    "MEP: metrics-exporter-prometheus with its defaults; run_upkeep() between samples, or its histograms grow without bound",
    "recall: Production profile unless the row needs more, manual clock, a tick of 1 s between samples",
    "facade: a recorder that does nothing; allocations are judged beyond the facade's own",
    "registrations and percentiles of a record: the best of 3 runs; 256 threads: wall time x cores / calls",
];

/// Prints everything.
pub fn print(rows: &[&Row], results: &Results, took: Duration) {
    let lines: Vec<[String; COLUMNS]> = rows.iter().map(|row| line(row, results)).collect();
    let heads = HEADS.map(String::from);
    let width = |column: usize| {
        let texts = lines.iter().chain([&heads]).map(|line| line[column].len());
        texts.max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    println!();
    print_line(&heads, &widths);
    for line in &lines {
        print_line(line, &widths);
    }
    println!();
    for note in NOTES {
        println!("- {note}");
    }
    for note in results.notes() {
        println!("- {note}");
    }
    println!(
        "- {}; FA {:.2} ns; took {:.0} s",
        machine(),
        results.yard(),
        took.as_secs_f64()
    );
}

fn print_line(line: &[String; COLUMNS], widths: &[usize; COLUMNS]) {
    let cells = line.iter().zip(widths).enumerate();
    let padded = cells.map(|(i, (text, &width))| match i {
        0 | LAST => format!("{text:<width$}"),
        _ => format!("{text:>width$}"),
    });
    println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
}

fn line(row: &Row, results: &Results) -> [String; COLUMNS] {
    let cell = |subject| results.cell(row.id, subject);
    let yard = [Recall, Mep]
        .into_iter()
        .find_map(cell)
        .map_or(f64::NAN, |cell| cell.yard);
    let value = |subject| cell(subject).map_or_else(String::new, |cell| show(row.unit, cell.value));
    let ratio = |subject: Subject| cell(subject).map_or_else(String::new, |cell| plain(cell.ratio));
    [
        row.what.to_owned(),
        plain(yard),
        value(Recall),
        ratio(Recall),
        value(Mep),
        ratio(Mep),
        share(cell(Recall), cell(Mep)),
        value(Facade),
        ratio(Facade),
        row.proto.to_owned(),
        limit(row.unit, row.goal),
        limit(row.unit, row.must),
        verdict(row, cell(Recall), cell(Facade)),
    ]
}

/// Compares what the row's unit says is to be compared; where the yardstick decides, also with the one of the design.
fn verdict(row: &Row, ours: Option<Cell>, facade: Option<Cell>) -> String {
    let Some(ours) = ours else {
        return "not measured".to_owned();
    };
    let judged = match row.unit {
        Unit::Yards => ours.ratio,
        Unit::Nanos | Unit::Bytes | Unit::Times => ours.value,
        Unit::Calls => ours.value - facade.map_or(0.0, |facade| facade.value),
    };
    let here = judge(row, judged);
    let there = judge(row, ours.value / DESIGN_YARD);
    if row.unit == Unit::Yards && here != there {
        format!("{here} ({there} at {DESIGN_YARD} ns)")
    } else {
        here.to_owned()
    }
}

fn judge(row: &Row, value: f64) -> &'static str {
    match (row.goal, row.must) {
        (None, None) => "",
        (_, Some(must)) if value > must => "MUST MISSED",
        (Some(goal), _) if value > goal => "missed",
        _ => "met",
    }
}

fn limit(unit: Unit, most: Option<f64>) -> String {
    most.map_or_else(String::new, |most| match unit {
        Unit::Yards => format!("{most}"),
        Unit::Calls => format!("+{most}"),
        Unit::Nanos | Unit::Bytes | Unit::Times => show(unit, most),
    })
}

fn show(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Yards | Unit::Nanos => scaled(value, &[(1e6, "ms"), (1e3, "us"), (1.0, "ns")]),
        Unit::Bytes => scaled(value, &[(1e9, "GB"), (1e6, "MB"), (1e3, "KB"), (1.0, "B")]),
        Unit::Times => format!("{value:.2} x"),
        Unit::Calls => format!("{value}"),
    }
}

/// In the largest unit that leaves at least 1; the last one otherwise.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fits = units
        .iter()
        .find(|(size, _)| value >= *size)
        .or(units.last());
    fits.map_or_else(String::new, |(size, name)| {
        let number = value / size;
        let decimals = if number >= 100.0 { 0 } else { 2 };
        format!("{number:.decimals$} {name}")
    })
}

fn plain(value: f64) -> String {
    if value.is_nan() {
        String::new()
    } else {
        format!("{value:.2}")
    }
}

/// Our part of the peer's value, which depends less on the machine than either ratio to FA.
fn share(ours: Option<Cell>, peer: Option<Cell>) -> String {
    match (ours, peer) {
        (Some(ours), Some(peer)) if peer.value > 0.0 => {
            format!("{:.0} %", 100.0 * ours.value / peer.value)
        }
        _ => String::new(),
    }
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{} with {cores} cores",
        model.map_or("unknown processor", |(_, name)| name)
    )
}
