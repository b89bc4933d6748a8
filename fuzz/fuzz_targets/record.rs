//! A small store against a naive model of it: whatever is recorded and asked in whatever order, the budget holds,
//! nothing panics, totals are exact, and windows tell what was recorded in them.
#![no_main]

#[path = "record/input.rs"]
mod input;
#[path = "record/model.rs"]
mod model;
#[path = "record/questions.rs"]
mod questions;
#[path = "common/text.rs"]
mod text;

use input::{Input, Op, Setup, What};
use libfuzzer_sys::fuzz_target;
use metrics_recall::{
    Clock, ManualClock, MetricKind, Recall, RecallRecorder,
    metrics::{Counter, Gauge, Histogram, Key, KeyName, Level, Metadata, Recorder, Unit},
};
use model::Model;
use std::time::Duration;

static METADATA: Metadata<'static> = Metadata::new("fuzz", Level::INFO, None);

/// A handle that is kept, and the key that it was made for.
#[derive(Clone)]
struct Held {
    handle: Handle,
    key: Key,
}

#[derive(Clone)]
enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// The store and everything that is known of it.
struct Bench {
    recorder: RecallRecorder,
    recall: Recall,
    hands: ManualClock,
    model: Model,
    held: Vec<Held>,
    budget: usize,
    /// What this input may still cost.
    patience: Patience,
}

/// Things that take long, and how many of them are left.
struct Patience {
    flood: u32,
    threads: u32,
    points: u64,
}

const MOST_HELD: usize = 32;

impl Bench {
    fn new(setup: &Setup) -> Self {
        let (clock, hands) = Clock::manual();
        hands.advance(setup.elapsed.get());
        let budget = setup.budget();
        let builder = setup
            .apply(Recall::builder())
            .clock(clock)
            .memory_budget(budget)
            .resolution(setup.resolution())
            .retention(setup.retention())
            .idle_timeout(setup.resolution() * (1 + u32::from(setup.idle)))
            .max_series_per_metric(setup.series())
            .max_metrics(setup.metrics());
        let (recorder, recall) = match builder.build() {
            Ok(built) => built,
            Err(error) => panic!("{error} from {setup:?}"),
        };
        Self {
            model: Model::new(setup),
            recorder,
            recall,
            hands,
            held: Vec::new(),
            budget,
            patience: Patience {
                flood: 1_500,
                threads: 3,
                points: 200_000,
            },
        }
    }

    fn step(&mut self, op: &Op<'_>) {
        match op {
            Op::Record(key, what) => {
                let held = self.make(key.get(), what.kind());
                self.record(&held, what);
            }
            Op::Keep(key, kind) => {
                let held = self.make(key.get(), kind.get());
                self.keep(held);
            }
            Op::Use(at, what) => {
                if let Some(held) = pick(&self.held, *at).cloned() {
                    self.record(&held, what);
                }
            }
            Op::Drop(at) => {
                if !self.held.is_empty() {
                    let at = usize::from(*at) % self.held.len();
                    self.held.swap_remove(at);
                }
            }
            Op::Flood(name, n, what) => self.flood(*name, *n, what),
            Op::Elsewhere(ops) => self.elsewhere(ops),
            Op::Describe(name, kind, unit, text) => {
                let (name, text) = (KeyName::from(name.shared()), text.shared());
                let unit = unit.then_some(Unit::Seconds);
                match kind.get() {
                    MetricKind::Counter => self.recorder.describe_counter(name, unit, text),
                    MetricKind::Gauge => self.recorder.describe_gauge(name, unit, text),
                    _ => self.recorder.describe_histogram(name, unit, text),
                }
            }
            Op::Tick(advance) => self.tick(advance.get()),
            Op::StepWall(seconds) => self.hands.step_wall(*seconds),
            Op::Ask(question) => {
                questions::ask(
                    &self.recall,
                    &self.model,
                    question,
                    &mut self.patience.points,
                );
            }
            Op::Show => {
                assert!(!self.recall.summary().to_string().is_empty());
                assert!(!format!("{:?} {}", self.recall, self.recall.health()).is_empty());
                let all = self.recall.metrics();
                assert!(all.is_sorted_by(|a, b| (&a.name, a.kind) < (&b.name, b.kind)));
                assert!(all.iter().all(|metric| !metric.to_string().is_empty()));
            }
            Op::Check => self.check(),
            Op::Shutdown => {
                self.recall.shutdown();
                self.model.tick();
            }
            Op::Reset(name) => self.reset(&name.shared()),
            Op::Delete(name) => self.delete(&name.shared()),
            Op::ResetAll => {
                let done = self.recall.reset_all();
                assert!(done.is_ok(), "{done:?}");
                self.model.tick();
                self.model.reset_all();
            }
        }
        self.watch();
        self.within_budget();
    }

    fn make(&mut self, key: Key, kind: MetricKind) -> Held {
        self.model.meet(&key);
        hold(&self.recorder, key, kind)
    }

    fn keep(&mut self, held: Held) {
        if self.held.len() == MOST_HELD {
            self.held.swap_remove(0);
        }
        self.held.push(held);
    }

    /// Records through a handle, and into the model.
    fn record(&mut self, held: &Held, what: &What) {
        put(&held.handle, what);
        self.note(held, what);
    }

    fn note(&mut self, held: &Held, what: &What) {
        match (&held.handle, what) {
            (Handle::Counter(_), _) => match what.integer() {
                (n, false) => self.model.count(held.key.name(), n),
                (n, true) => self.model.raise(held.key.name(), n),
            },
            (Handle::Gauge(_), What::GaugeAdd(by)) => self.model.add(&held.key, by.get()),
            (Handle::Gauge(_), What::GaugeSub(by)) => self.model.add(&held.key, -by.get()),
            (Handle::Gauge(_), _) => self.model.set(&held.key, what.float().0),
            (Handle::Histogram(_), _) => {
                let (value, count) = what.float();
                self.model.observe(held.key.name(), value, count);
            }
        }
    }

    /// Many values of one label.
    fn flood(&mut self, name: text::Text<'_>, n: u16, what: &What) {
        let n = u32::from(n % 512).min(self.patience.flood);
        self.patience.flood -= n;
        for i in 0..n {
            let label = ("flood".to_owned(), i.to_string());
            let key = Key::from_parts(name.shared(), [label].as_slice());
            let held = self.make(key, what.kind());
            self.record(&held, what);
        }
    }

    /// Another thread, which has caches and cells of its own.
    fn elsewhere(&mut self, ops: &[(input::KeyOf<'_>, What, u8, bool)]) {
        if self.patience.threads == 0 {
            return;
        }
        self.patience.threads -= 1;
        let (recorder, held) = (&self.recorder, &self.held);
        let used: Vec<Held> = std::thread::scope(|scope| {
            let work = || {
                let one = |(key, what, at, known): &(input::KeyOf<'_>, What, u8, bool)| {
                    let known = if *known { pick(held, *at) } else { None };
                    let used = known.cloned().unwrap_or_else(|| {
                        // Often enough to get a cell of its own beside another thread's.
                        let mut new = hold(recorder, key.get(), what.kind());
                        for _ in 0..*at % 16 {
                            new = hold(recorder, key.get(), what.kind());
                        }
                        new
                    });
                    put(&used.handle, what);
                    used
                };
                ops.iter().map(one).collect()
            };
            match scope.spawn(work).join() {
                Ok(used) => used,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        });
        for (used, (_, what, ..)) in used.into_iter().zip(ops) {
            self.model.meet(&used.key);
            self.note(&used, what);
            if matches!(what, What::Observe(_) | What::Count(_)) {
                self.keep(used);
            }
        }
    }

    fn reset(&mut self, name: &str) {
        let done = self.recall.reset(name);
        self.model.tick();
        match done {
            Ok(()) => self.model.reset(name),
            Err(error) => self.is_unknown(name, &error),
        }
    }

    fn delete(&mut self, name: &str) {
        let done = self.recall.delete(name);
        self.model.tick();
        match done {
            Ok(()) => self.model.delete(name),
            // Some are deleted, and others were in the way.
            Err(error) if error.is_refused() => self.model.lose_sight(name),
            Err(error) => self.is_unknown(name, &error),
        }
    }

    fn is_unknown(&self, name: &str, error: &metrics_recall::Error) {
        assert!(error.is_unknown_metric(), "{error}");
        let is_vague = self.model.nameless || self.model.unread || self.model.limited;
        assert!(is_vague || !self.model.knows(name), "{error}");
    }

    fn tick(&mut self, advance: Duration) {
        self.hands.advance(advance);
        self.model.advance(advance);
        let tick = self.recall.tick();
        let merged = self.model.tick();
        self.watch();
        assert_eq!(tick.at, self.recall.now());
        if self.unbroken() {
            assert_eq!(tick.merged, merged);
        }
    }

    fn within_budget(&self) {
        let memory = self.recall.memory();
        assert_eq!(memory.budget, self.budget);
        assert!(memory.used <= memory.budget, "{memory}");
        assert!(memory.used <= memory.peak && memory.peak <= memory.budget);
        let parts: usize = memory.parts.iter().map(|part| part.1).sum();
        assert_eq!(parts, memory.used, "{memory:?}");
    }

    /// Takes down what health forgets again.
    fn watch(&mut self) {
        let health = self.recall.health().to_string();
        let lost = ["are missing in history", "came a tick late"];
        self.model.broken |= lost.iter().any(|words| health.contains(words));
        self.model.nameless |= health.contains("no room for more names");
    }

    /// Whether windows have everything.
    fn unbroken(&self) -> bool {
        let health = self.recall.health().to_string();
        !self.model.broken && !health.contains("history reaches back")
    }

    fn check(&self) {
        questions::check(&self.recall, &self.model, self.unbroken());
    }
}

fn pick(held: &[Held], at: u8) -> Option<&Held> {
    held.get(usize::from(at) % held.len().max(1))
}

fn hold(recorder: &RecallRecorder, key: Key, kind: MetricKind) -> Held {
    let handle = match kind {
        MetricKind::Counter => Handle::Counter(recorder.register_counter(&key, &METADATA)),
        MetricKind::Gauge => Handle::Gauge(recorder.register_gauge(&key, &METADATA)),
        _ => Handle::Histogram(recorder.register_histogram(&key, &METADATA)),
    };
    Held { handle, key }
}

fn put(handle: &Handle, what: &What) {
    match (handle, what) {
        (Handle::Counter(counter), _) => match what.integer() {
            (n, false) => counter.increment(n),
            (n, true) => counter.absolute(n),
        },
        (Handle::Gauge(gauge), What::GaugeAdd(by)) => gauge.increment(by.get()),
        (Handle::Gauge(gauge), What::GaugeSub(by)) => gauge.decrement(by.get()),
        (Handle::Gauge(gauge), _) => gauge.set(what.float().0),
        (Handle::Histogram(histogram), _) => match what.float() {
            (value, 1) => histogram.record(value),
            (value, n) => histogram.record_many(value, n),
        },
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut bench = Bench::new(&input.setup);
    for op in &input.ops {
        bench.step(op);
    }
    bench.tick(input.setup.resolution());
    bench.check();
    bench.within_budget();
});
