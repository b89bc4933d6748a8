//! Measures every number that the design promises, beside metrics-exporter-prometheus (MEP), and prints one table.
//!
//! `cargo bench --bench scoreboard [-- <part of a row's id, group or name>]`. It reports; it does not assert.
//!
//! A process has one global recorder, so each group of rows runs in a child process per subject: this same binary with
//! hidden arguments. A child prints one line per measurement; the parent makes the table. Times are ratios to FA, one
//! uncontended relaxed `fetch_add`, measured right before each sample: absolute times drift, ratios less so.

#![expect(
    clippy::cast_precision_loss,
    reason = "numbers that people read; all are far below 2^52"
)]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "scoreboard/alerts.rs"]
mod alerts;
#[path = "scoreboard/alloc.rs"]
mod alloc;
#[path = "scoreboard/collect.rs"]
mod collect;
#[path = "scoreboard/history.rs"]
mod history;
#[path = "scoreboard/hot.rs"]
mod hot;
#[path = "scoreboard/measure.rs"]
mod measure;
#[path = "scoreboard/memory.rs"]
mod memory;
#[path = "scoreboard/questions.rs"]
mod questions;
#[path = "scoreboard/render.rs"]
mod render;
#[path = "scoreboard/rows.rs"]
mod rows;
#[path = "scoreboard/runner.rs"]
mod runner;
#[path = "scoreboard/scrape.rs"]
mod scrape;
#[path = "scoreboard/sites.rs"]
mod sites;
#[path = "scoreboard/store.rs"]
mod store;
#[path = "scoreboard/subject.rs"]
mod subject;
#[path = "scoreboard/table.rs"]
mod table;
#[path = "scoreboard/timing.rs"]
mod timing;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, group, subject] = arguments.as_slice()
        && flag == runner::CHILD
    {
        return runner::child(group, subject);
    }
    // Cargo itself passes `--bench`.
    let filter = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    runner::parent(filter.map_or("", String::as_str));
}
