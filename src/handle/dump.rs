//! The dump: everything that the store knows of a window, as one JSON document, for the moment of an incident.

use super::Recall;
use crate::{
    engine::{MetricInfo, Value},
    error::Error,
    exposition::json::{float, string},
    model::{Labels, MetricKind, Timestamp},
    query::{Aggregation, Answer, EveryBy, Kind, OverBy, Selection},
};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::Path,
    time::Duration,
};

/// Steps that a window is cut into at most; where a metric has too many series for that, fewer.
const STEPS: [u32; 3] = [600, 120, 24];

/// Bytes that are gathered before they go to the writer.
const CHUNK: usize = 64 << 10;

/// What was asked of a kind step by step, by its name in the document.
type Rows = [(&'static str, Aggregation)];

const COUNTER: &Rows = &[("rate", Aggregation::Rate)];
const GAUGE: &Rows = &[
    ("min", Aggregation::Min),
    ("avg", Aggregation::Avg),
    ("max", Aggregation::Max),
];
const HISTOGRAM: &Rows = &[
    ("rate", Aggregation::Rate),
    ("p50", Aggregation::Quantile(0.5)),
    ("p99", Aggregation::Quantile(0.99)),
    ("max", Aggregation::Max),
];

/// What was asked over the whole window.
const COUNTER_WINDOW: &Rows = &[
    ("increase", Aggregation::Increase),
    ("rate", Aggregation::Rate),
];
const GAUGE_WINDOW: &Rows = GAUGE;
const HISTOGRAM_WINDOW: &Rows = &[
    ("count", Aggregation::Count),
    ("rate", Aggregation::Rate),
    ("min", Aggregation::Min),
    ("avg", Aggregation::Avg),
    ("p50", Aggregation::Quantile(0.5)),
    ("p90", Aggregation::Quantile(0.9)),
    ("p99", Aggregation::Quantile(0.99)),
    ("max", Aggregation::Max),
];

/// The panic that a document is about.
pub(super) struct Panic {
    pub(super) message: String,
    pub(super) location: String,
    pub(super) thread: String,
}

impl Recall {
    /// Writes everything that is known of the last `window` to a file, as one JSON document: each series with what it is at
    /// and what it did step by step, alerts, health, memory, and how far history reaches. [`Duration::MAX`] is all that is
    /// kept. A program's own trigger may call it; so may a panic: see
    /// [`dump_on_panic`](crate::RecallBuilder::dump_on_panic). `examples/recall_dump.rs` prints such a file.
    ///
    /// The call ticks first. The document is written to a file beside `path` and then renamed, so a reader finds an old
    /// one or a new one, never a half. Cost: some questions about each metric.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    ///
    /// ```
    /// use metrics_recall::{Recall, mins};
    ///
    /// let (recorder, recall) = Recall::builder().build()?;
    /// recorder.scope(|| metrics::counter!("orders_total").increment(3));
    /// let path = std::env::temp_dir().join("incident.json");
    /// recall.dump(&path, mins(10))?;
    /// # assert!(std::fs::read_to_string(&path).unwrap().contains("orders_total"));
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn dump(&self, path: impl AsRef<Path>, window: Duration) -> Result<(), Error> {
        self.0.tick();
        self.dump_file(path.as_ref(), window, None)
    }

    /// As [`dump`](Self::dump), to a writer.
    ///
    /// # Errors
    ///
    /// Those of the writer; it has got a part then.
    ///
    /// ```
    /// use metrics_recall::{Recall, mins};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// recall.dump_to(mins(10), &mut std::io::stdout())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dump_to(&self, window: Duration, to: &mut impl Write) -> io::Result<()> {
        self.0.tick();
        self.write_dump(window, None, to)
    }

    /// Without a tick.
    pub(super) fn dump_file(
        &self,
        path: &Path,
        window: Duration,
        panic: Option<&Panic>,
    ) -> Result<(), Error> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.tmp", std::process::id()));
        let beside = Path::new(&beside);
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(beside)?;
            self.write_dump(window, panic, &mut file)?;
            file.sync_all()?;
            fs::rename(beside, path)
        };
        write().map_err(|e| {
            // What is left of a failure is of no use; that it cannot be removed says nothing new.
            let _ = fs::remove_file(beside);
            Error::system(format!(
                "the dump could not be written to `{}`: {e}",
                path.display()
            ))
        })
    }

    fn write_dump(
        &self,
        window: Duration,
        panic: Option<&Panic>,
        to: &mut impl Write,
    ) -> io::Result<()> {
        let mut out = Vec::with_capacity(2 * CHUNK);
        let dump = Dump::new(self, window);
        dump.head(panic, &mut out);
        let metrics = self.0.metrics();
        for (at, metric) in metrics.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b",\n" } else { b"\n" });
            dump.metric(metric, &mut out);
            if out.len() >= CHUNK {
                to.write_all(&out)?;
                out.clear();
            }
        }
        out.extend_from_slice(b"\n]}\n");
        to.write_all(&out)
    }
}

/// A document that is being written.
struct Dump<'a> {
    recall: &'a Recall,
    /// No more than history covers.
    window: Duration,
    resolution: Duration,
}

impl<'a> Dump<'a> {
    fn new(recall: &'a Recall, window: Duration) -> Self {
        let covered = Duration::from_nanos(recall.0.timeline().reach_ns());
        Self {
            recall,
            window: window.min(covered),
            resolution: recall.plan().resolution,
        }
    }

    fn head(&self, panic: Option<&Panic>, out: &mut Vec<u8>) {
        let recall = self.recall;
        let last = recall.0.timeline().last().map(|frame| frame.span.wall_ms);
        let at = last.map_or_else(|| recall.now(), Timestamp::from_millis);
        out.extend_from_slice(b"{\"dump\":\"metrics-recall\",\"version\":1");
        number("at_ms", at.as_millis(), out);
        number("process_id", std::process::id(), out);
        seconds("window_seconds", self.window, out);
        if let Some(panic) = panic {
            key("panic", out);
            out.push(b'{');
            first_text("message", &panic.message, out);
            text("location", &panic.location, out);
            text("thread", &panic.thread, out);
            out.push(b'}');
        }
        let memory = recall.memory();
        key("memory", out);
        out.extend_from_slice(b"{\"used\":");
        write(memory.used, out);
        number("budget", memory.budget, out);
        number("peak", memory.peak, out);
        out.push(b'}');
        let health = recall.health();
        list(
            "health",
            health.reasons(),
            |reason, out| string(reason, out),
            out,
        );
        list(
            "retention",
            &recall.retention(),
            |tier, out| {
                out.extend_from_slice(b"{\"interval_seconds\":");
                float(tier.interval.as_secs_f64(), out);
                seconds("reach_seconds", tier.effective, out);
                number("points", tier.points, out);
                number("bytes", tier.bytes, out);
                out.push(b'}');
            },
            out,
        );
        self.alerts(out);
        key("metrics", out);
        out.push(b'[');
    }

    fn alerts(&self, out: &mut Vec<u8>) {
        let alerts = self.recall.alerts();
        key("alerts", out);
        out.extend_from_slice(b"{\"rules\":");
        write(alerts.rules().len(), out);
        list(
            "active",
            &alerts.active(),
            |alert, out| {
                out.push(b'{');
                first_text("rule", &alert.rule, out);
                text("state", &alert.state.to_string(), out);
                text("severity", &alert.severity.to_string(), out);
                key("labels", out);
                labels(&alert.labels, out);
                key("value", out);
                float(alert.value, out);
                number("since_ms", alert.since.as_millis(), out);
                text("text", &alert.to_string(), out);
                out.push(b'}');
            },
            out,
        );
        let recent = alerts.recent();
        list(
            "recent",
            &recent,
            |event, out| {
                out.extend_from_slice(b"{\"at_ms\":");
                write(event.at().as_millis(), out);
                text("text", &event.to_string(), out);
                out.push(b'}');
            },
            out,
        );
        out.push(b'}');
    }

    fn metric(&self, metric: &MetricInfo, out: &mut Vec<u8>) {
        out.push(b'{');
        first_text("name", &metric.name, out);
        text("kind", &metric.kind.to_string(), out);
        if let Some(unit) = metric.unit {
            text("unit", unit, out);
        }
        if let Some(description) = &metric.description {
            text("description", description, out);
        }
        if metric.overflowed > 0 {
            number("overflowed", metric.overflowed, out);
        }
        let recall = self.recall;
        match metric.kind {
            MetricKind::Counter => {
                let ask = recall.counters(&metric.name);
                self.series(metric, &ask, COUNTER_WINDOW, COUNTER, out);
            }
            MetricKind::Gauge => {
                let ask = recall.gauges(&metric.name);
                self.series(metric, &ask, GAUGE_WINDOW, GAUGE, out);
            }
            MetricKind::Histogram => {
                let ask = recall.histograms(&metric.name);
                self.series(metric, &ask, HISTOGRAM_WINDOW, HISTOGRAM, out);
            }
        }
        out.push(b'}');
    }

    /// The series of a metric: what they are at, what they did over the window, and step by step.
    fn series<K: Kind>(
        &self,
        metric: &MetricInfo,
        ask: &Selection<K>,
        overall: &Rows,
        rows: &Rows,
        out: &mut Vec<u8>,
    ) {
        let values = self.recall.0.values_of(metric.kind, &metric.name);
        let names: BTreeSet<&str> = values
            .iter()
            .flat_map(|series| series.labels.iter().map(|(name, _)| name))
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let each = ask.clone().by(&names[..]).over(self.window);
        let overall = Self::overall(&each, overall);
        let (step, rows) = self.by_step(&each, rows);
        match &rows {
            Ok(_) => seconds("step_seconds", step, out),
            Err(error) => text("error", &error.to_string(), out),
        }
        let rows = rows.unwrap_or_default();
        list(
            "series",
            &values,
            |series, out| {
                out.extend_from_slice(b"{\"labels\":");
                labels(&series.labels, out);
                match series.value {
                    Value::Counter(total) => number("total", total, out),
                    Value::Fraction(total) => {
                        key("total", out);
                        float(total, out);
                    }
                    Value::Gauge(now) => {
                        key("value", out);
                        float(now, out);
                    }
                    Value::Histogram { count, sum } => {
                        number("count", count, out);
                        key("sum", out);
                        float(sum, out);
                    }
                }
                key("window", out);
                object(
                    overall.iter().filter_map(|(name, groups)| {
                        Some((*name, find(groups, &series.labels)?.value))
                    }),
                    out,
                );
                key("steps", out);
                out.push(b'{');
                for (at, (name, groups)) in rows.iter().enumerate() {
                    let points = find(groups, &series.labels);
                    if at > 0 {
                        out.push(b',');
                    }
                    string(name, out);
                    out.extend_from_slice(b":[");
                    for (at, point) in points.into_iter().flatten().enumerate() {
                        if at > 0 {
                            out.push(b',');
                        }
                        maybe(point.value, out);
                    }
                    out.push(b']');
                }
                out.extend_from_slice(b"}}");
            },
            out,
        );
    }

    fn overall<K: Kind>(
        each: &Selection<K, OverBy>,
        rows: &Rows,
    ) -> Vec<(&'static str, Vec<(Labels, Answer)>)> {
        let rows = rows.iter();
        // What has no answer is left out; why is said once, by the steps.
        rows.filter_map(|(name, aggregation)| Some((*name, each.eval(*aggregation).ok()?)))
            .collect()
    }

    /// As many steps as there is working memory for.
    #[expect(clippy::type_complexity, reason = "rows, each with its groups")]
    fn by_step<K: Kind>(
        &self,
        each: &Selection<K, OverBy>,
        rows: &Rows,
    ) -> (
        Duration,
        Result<Vec<(&'static str, Vec<(Labels, Vec<Answer>)>)>, Error>,
    ) {
        let mut last = (self.window, Err(Error::refused("nothing was asked")));
        for most in STEPS {
            let step = self.step(most);
            let every: Selection<K, EveryBy> = each.clone().every(step);
            let answers = rows
                .iter()
                .map(|(name, aggregation)| Ok((*name, every.eval(*aggregation)?)));
            let answers: Result<Vec<_>, Error> = answers.collect();
            let is_refused = answers.as_ref().is_err_and(Error::is_refused);
            last = (step, answers);
            if !is_refused {
                break;
            }
        }
        last
    }

    /// The shortest step of whole ticks that cuts the window into no more than `most`.
    fn step(&self, most: u32) -> Duration {
        let ticks = self
            .window
            .as_nanos()
            .div_ceil(self.resolution.as_nanos().max(1));
        let ticks = ticks.div_ceil(most.into()).max(1);
        self.resolution * u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

/// The group of a series; groups are sorted by their labels.
fn find<'a, T>(groups: &'a [(Labels, T)], of: &Labels) -> Option<&'a T> {
    let at = groups.binary_search_by(|(labels, _)| labels.cmp(of)).ok()?;
    groups.get(at).map(|(_, answer)| answer)
}

fn key(name: &str, out: &mut Vec<u8>) {
    out.push(b',');
    string(name, out);
    out.push(b':');
}

fn write(x: impl std::fmt::Display, out: &mut Vec<u8>) {
    // A vector is a writer that never fails.
    let _ = write!(out, "{x}");
}

fn number(name: &str, x: impl std::fmt::Display, out: &mut Vec<u8>) {
    key(name, out);
    write(x, out);
}

fn seconds(name: &str, time: Duration, out: &mut Vec<u8>) {
    key(name, out);
    float(time.as_secs_f64(), out);
}

fn text(name: &str, text: &str, out: &mut Vec<u8>) {
    key(name, out);
    string(text, out);
}

fn first_text(name: &str, text: &str, out: &mut Vec<u8>) {
    string(name, out);
    out.push(b':');
    string(text, out);
}

fn maybe(x: Option<f64>, out: &mut Vec<u8>) {
    match x {
        Some(x) => float(x, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn object<'a>(pairs: impl Iterator<Item = (&'a str, Option<f64>)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (name, x)) in pairs.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(name, out);
        out.push(b':');
        maybe(x, out);
    }
    out.push(b'}');
}

fn labels(labels: &Labels, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        first_text(name, value, out);
    }
    out.push(b'}');
}

fn list<T>(name: &str, items: &[T], write: impl Fn(&T, &mut Vec<u8>), out: &mut Vec<u8>) {
    key(name, out);
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b",\n ");
        }
        write(item, out);
    }
    out.push(b']');
}
