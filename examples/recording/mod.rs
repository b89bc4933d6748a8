//! A recorder that writes down what it is told, tick by tick, as text; `tests/data/README.md` has the format.

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use std::{
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
};

/// Series in the order in which they were met.
#[derive(Clone, Default)]
pub struct Recording(Arc<Mutex<Vec<Arc<Series>>>>);

struct Series {
    kind: &'static str,
    key: Key,
    since: Mutex<Since>,
}

/// What came since the tick before.
#[derive(Default)]
struct Since {
    is_named: bool,
    increments: u64,
    /// The greatest value that `absolute` gave.
    floor: Option<u64>,
    /// Last, min, max.
    gauge: Option<[f64; 3]>,
    current: f64,
    /// Nanoseconds.
    values: Vec<u64>,
}

impl Recording {
    fn series(&self, kind: &'static str, key: &Key) -> Arc<Series> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().find(|s| s.kind == kind && s.key == *key);
        let series = known.cloned().unwrap_or_else(|| {
            Arc::new(Series {
                kind,
                key: key.clone(),
                since: Mutex::default(),
            })
        });
        if Arc::strong_count(&series) == 1 {
            all.push(series.clone());
        }
        series
    }

    /// What came since the last call, as text.
    pub fn take_tick(&self) -> String {
        let mut text = "tick\n".to_owned();
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (n, series) in all.iter().enumerate() {
            series.with(|since| series.take(n, since, &mut text));
        }
        text
    }
}

impl Series {
    fn with<T>(&self, f: impl FnOnce(&mut Since) -> T) -> T {
        f(&mut self.since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writing to a string cannot fail.
    fn take(&self, n: usize, since: &mut Since, text: &mut String) {
        if !std::mem::replace(&mut since.is_named, true) {
            let _ = write!(text, "{} {n} {}", self.kind, self.key.name());
            for label in self.key.labels() {
                let _ = write!(text, " {}={}", label.key(), label.value());
            }
            text.push('\n');
        }
        let increments = std::mem::take(&mut since.increments);
        if increments > 0 {
            let _ = writeln!(text, "c {n} {increments}");
        }
        if let Some([last, min, max]) = since.gauge.take() {
            let _ = if min.to_bits() == max.to_bits() {
                writeln!(text, "g {n} {last}")
            } else {
                writeln!(text, "g {n} {last} {min} {max}")
            };
        }
        if !since.values.is_empty() {
            since.values.sort_unstable();
            let _ = write!(text, "h {n}");
            let mut before = 0;
            for value in since.values.drain(..) {
                let _ = write!(text, " {}", value - before);
                before = value;
            }
            text.push('\n');
        }
    }

    fn set(&self, next: impl FnOnce(f64) -> f64) {
        self.with(|since| {
            let value = next(since.current);
            let [_, min, max] = since.gauge.unwrap_or([value; 3]);
            since.gauge = Some([value, min.min(value), max.max(value)]);
            since.current = value;
        });
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.with(|since| since.increments += value);
    }

    /// The first is where it starts.
    fn absolute(&self, value: u64) {
        self.with(|since| {
            since.increments += value.saturating_sub(since.floor.unwrap_or(value));
            since.floor = since.floor.max(Some(value));
        });
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        self.set(|now| now + value);
    }

    fn decrement(&self, value: f64) {
        self.set(|now| now - value);
    }

    fn set(&self, value: f64) {
        self.set(|_| value);
    }
}

impl HistogramFn for Series {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "durations of a few seconds at most"
    )]
    fn record(&self, seconds: f64) {
        self.with(|since| since.values.push((seconds * 1e9).round() as u64));
    }
}

impl Recorder for Recording {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.series("counter", key).into()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.series("gauge", key).into()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.series("histogram", key).into()
    }
}
