//! What alert rules add to a tick: a thousand of them, over ten thousand series of all kinds.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_recall::{AlertRule, Condition, Measure, Recall, mins, secs};
use std::time::Duration;

use crate::history::store;
use crate::measure::{Samples, median, nanos_each, note, pin, report, unit, yard};
use crate::subject::{Rig, Setup, Subject};

/// Metrics of each kind, shards of each metric, hosts of each shard; a rule selects a shard.
const METRICS: usize = 10;
const SHARDS: usize = 34;
const HOSTS: usize = 10;
const RULES: usize = 1_000;
const WINDOWS: [Duration; 4] = [secs(30), secs(60), secs(300), secs(900)];

/// Ticks before the first measurement, between the two, and of each.
const WARM: usize = 1_000;
const MORE: usize = 3_000;
const TICKS: usize = 130;

struct Load {
    counters: Vec<Counter>,
    gauges: Vec<Gauge>,
    histograms: Vec<Histogram>,
    state: u64,
}

impl Load {
    fn new() -> Self {
        let mut load = Self {
            counters: Vec::new(),
            gauges: Vec::new(),
            histograms: Vec::new(),
            state: 7,
        };
        for at in 0..METRICS * SHARDS * HOSTS {
            let (metric, shard, host) = (at / (SHARDS * HOSTS), at / HOSTS % SHARDS, at % HOSTS);
            let labels = [("shard", shard.to_string()), ("host", host.to_string())];
            load.counters
                .push(counter!(format!("requests_{metric}_total"), &labels));
            load.gauges
                .push(gauge!(format!("queue_{metric}_depth"), &labels));
            load.histograms
                .push(histogram!(format!("took_{metric}_seconds"), &labels));
        }
        load
    }

    /// One second: every series moves, histograms by three values of one distribution.
    fn second(&mut self) {
        for counter in &self.counters {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            counter.increment(self.state >> 58);
        }
        for gauge in &self.gauges {
            gauge.set((unit(&mut self.state) * 100.0).floor());
        }
        for histogram in &self.histograms {
            for _ in 0..3 {
                histogram.record(0.01 / (0.02 + unit(&mut self.state)));
            }
        }
    }
}

/// The measure of rule `at`: kind, shard and window go round at different speeds.
fn measure(at: usize, shard: usize) -> Measure {
    let (kind, metric, window) = (at % 3, at / 3 % METRICS, WINDOWS[at / 7 % 4]);
    let is_grouped = at.is_multiple_of(2);
    let shard = shard.to_string();
    macro_rules! of {
        ($kind:ident, $name:expr) => {{
            let all = Condition::$kind($name).label("shard", &shard).over(window);
            if is_grouped { all.by("host") } else { all }
        }};
    }
    match kind {
        0 => {
            let all = of!(counters, format!("requests_{metric}_total"));
            if at % 4 < 2 {
                all.rate()
            } else {
                all.increase()
            }
        }
        1 => {
            let all = of!(gauges, format!("queue_{metric}_depth"));
            match at % 4 {
                0 | 1 => all.avg(),
                2 => all.max(),
                _ => all.min(),
            }
        }
        _ => {
            let all = of!(histograms, format!("took_{metric}_seconds"));
            match at % 4 {
                0 | 1 => all.quantile(0.99),
                2 => all.avg(),
                _ => all.rate(),
            }
        }
    }
}

fn condition(at: usize) -> Condition {
    let shard = at / 30 % SHARDS;
    let own = || measure(at, shard);
    match at % 10 {
        0 => own().ratio_to(measure(at, (shard + 1) % SHARDS)).above(2.0),
        1 => own().absent_for(mins(10)),
        2 => own().change_from(secs(300)).above(1e6),
        3 => own().crosses(1e9, secs(600)),
        _ => own().above(1e9),
    }
}

/// Nanoseconds that this thread has been on a core, as far as the system says: on a busy machine, what a tick costs.
fn on_core() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|ns| ns.parse().ok()).unwrap_or(f64::NAN)
}

fn ticks(rig: &Rig, load: &mut Load) -> (Samples, Vec<f64>, f64) {
    let (mut samples, mut all) = (Samples::default(), Vec::new());
    let mut core = 0.0;
    for _ in 0..TICKS {
        load.second();
        let yard = yard();
        let before = on_core();
        let nanos = nanos_each(1, |_| rig.upkeep());
        core += on_core() - before;
        samples.push(yard, nanos);
        all.push(nanos);
    }
    (samples, all, core / TICKS as f64)
}

fn warm(rig: &Rig, load: &mut Load, ticks: usize) {
    for _ in 0..ticks {
        load.second();
        rig.upkeep();
    }
}

fn add(recall: &Recall) {
    for at in 0..RULES {
        let rule = AlertRule::new(format!("Rule{at}")).when(condition(at));
        recall.alerts().add(rule).expect("a good rule");
    }
}

fn take(recall: &Recall) {
    for at in 0..RULES {
        recall
            .alerts()
            .remove(format!("Rule{at}"))
            .expect("it was added");
    }
}

/// Group `alerts`: ticks without rules, and with them; then the same with five times the history.
pub fn alerts(subject: Subject) {
    pin(0);
    let setup = Setup {
        budget: Some(512 << 20),
        ..Setup::default()
    };
    let rig = subject.install(setup);
    let recall = store(&rig);
    let mut load = Load::new();
    let mut medians = Vec::new();
    for (round, before) in [WARM, MORE].into_iter().enumerate() {
        warm(&rig, &mut load, before);
        let (_, alone, core_alone) = ticks(&rig, &mut load);
        add(recall);
        // What is kept up to date is built by the first ticks.
        warm(&rig, &mut load, 20);
        let (samples, with, core) = ticks(&rig, &mut load);
        let status = recall.alerts().rules();
        let failed = status.iter().filter(|rule| rule.error.is_some()).count();
        let groups: usize = status.iter().map(|rule| rule.groups).sum();
        let (of, by) = (median(with.iter().copied()), median(alone.iter().copied()));
        let slowest = with.iter().copied().fold(0.0, f64::max);
        note(&format!(
            "alerts after {before} s more: ticks of {:.1} ms with rules, {:.1} without; slowest {:.1}; on a core, the mean {:.1} and {:.1}; {groups} groups, {failed} rules failed",
            of / 1e6,
            by / 1e6,
            slowest / 1e6,
            core / 1e6,
            core_alone / 1e6,
        ));
        if round == 0 {
            drop(samples);
            report("alerts_tick", of - by);
            report("alerts_slowest", slowest - by);
        }
        medians.push(of - by);
        take(recall);
    }
    report("alerts_history", medians[1] / medians[0]);
}
