//! A service in full work, and naive totals of all that it recorded.
//!
//! What a histogram receives in a tick is one of some batches that were drawn beforehand. So recording is cheap, and how
//! often each batch came says all about a period: counts, sums, extremes, and the exact rank of any quantile.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_recall::{RecallRecorder, Timestamp};
use std::collections::VecDeque;

/// A sequence of numbers that is the same everywhere (Steele et al., "Fast splittable pseudorandom number generators").
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % n
    }

    /// At least 0, below 1.
    pub fn uniform(&mut self) -> f64 {
        f64::from((self.next() >> 32) as u32) / f64::from(u32::MAX).next_up()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// How many events happen in a tick, if `mean` do on average.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let mut rest = mean;
        let mut n = 0;
        loop {
            rest += self.uniform().max(f64::MIN_POSITIVE).ln();
            if rest < 0.0 {
                return n;
            }
            n += 1;
        }
    }
}

/// Shapes of what is measured: latencies, which are whole nanoseconds in seconds, and sizes in bytes.
const SHAPES: [fn(&mut Dice) -> f64; 4] = [
    |dice| (4_000.0 * (0.3 * dice.normal()).exp()).round(),
    |dice| seconds(8e6 * (0.6 * dice.normal()).exp()),
    |dice| seconds(3e7 * dice.normal().exp()),
    // Hits and misses.
    |dice| match dice.below(10) {
        0 => seconds(4e7 * (0.5 * dice.normal()).exp()),
        _ => seconds(3e5 * (0.4 * dice.normal()).exp()),
    },
];

fn seconds(nanos: f64) -> f64 {
    nanos.round() / 1e9
}

/// Batches of each shape.
const BATCHES: usize = 256;

/// What a busy histogram receives in one tick: a hundred values, more or less.
struct Batch {
    values: Vec<f64>,
    sum: f64,
    min: f64,
    max: f64,
}

/// The batches of one shape, and all of their values, ascending, with the batch of each.
struct Shape {
    batches: Vec<Batch>,
    sorted: Vec<(f64, usize)>,
}

impl Shape {
    fn new(draw: fn(&mut Dice) -> f64, dice: &mut Dice) -> Self {
        let mut batches = Vec::new();
        let mut sorted = Vec::new();
        for at in 0..BATCHES {
            let n = dice.poisson(100.0).max(1);
            let values: Vec<f64> = (0..n).map(|_| draw(dice)).collect();
            sorted.extend(values.iter().map(|value| (*value, at)));
            batches.push(Batch {
                sum: values.iter().sum(),
                min: values.iter().copied().fold(f64::INFINITY, f64::min),
                max: values.iter().copied().fold(0.0, f64::max),
                values,
            });
        }
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { batches, sorted }
    }
}

/// What a histogram should say of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub p99: f64,
}

/// What a gauge should say of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    pub last: f64,
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub count: u64,
}

/// All that was recorded in one period.
pub struct Period {
    pub start: Timestamp,
    pub end: Timestamp,
    pub counters: Vec<u64>,
    pub gauges: Vec<Option<Level>>,
    /// By histogram: how often each batch came.
    batches: Vec<[u32; BATCHES]>,
}

/// How many series of each kind there are.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub counters: usize,
    pub gauges: usize,
    pub histograms: usize,
}

impl Load {
    pub const SERVICE: Self = Self {
        counters: 300,
        gauges: 100,
        histograms: 200,
    };

    pub const fn times(self, n: usize) -> Self {
        Self {
            counters: self.counters * n,
            gauges: self.gauges * n,
            histograms: self.histograms * n,
        }
    }
}

pub struct Service {
    dice: Dice,
    counters: Vec<Counter>,
    gauges: Vec<(Gauge, f64)>,
    histograms: Vec<Histogram>,
    shapes: Vec<Shape>,
    /// Numbers of events in a tick, fifty on average.
    events: Vec<u64>,
    pub periods: Vec<Period>,
    /// The batches of the newest ticks, newest last.
    pub recent: VecDeque<Vec<u8>>,
}

/// Ticks of which the batches are known.
const RECENT: usize = 600;

/// Series of a metric.
const SERIES: usize = 10;

/// Name and label of the series number `n` of a kind.
pub fn key(kind: &str, n: usize) -> (String, String) {
    (format!("{kind}_{}", n / SERIES), format!("/{}", n % SERIES))
}

impl Service {
    pub fn new(recorder: &RecallRecorder, load: Load) -> Self {
        let mut dice = Dice(1);
        let shapes = SHAPES.map(|draw| Shape::new(draw, &mut dice));
        let events = (0..4_096).map(|_| dice.poisson(50.0)).collect();
        recorder.scope(|| Self {
            counters: (0..load.counters)
                .map(|n| key("requests", n))
                .map(|(name, route)| counter!(name, "route" => route))
                .collect(),
            gauges: (0..load.gauges)
                .map(|n| key("level", n))
                .map(|(name, route)| (gauge!(name, "route" => route), 50.0))
                .collect(),
            histograms: (0..load.histograms)
                .map(|n| key("micros", n))
                .map(|(name, route)| histogram!(name, "route" => route))
                .collect(),
            dice,
            shapes: shapes.into(),
            events,
            periods: Vec::new(),
            recent: VecDeque::new(),
        })
    }

    /// What follows belongs to a new period.
    pub fn start_period(&mut self, start: Timestamp) {
        self.periods.push(Period {
            start,
            end: start,
            counters: vec![0; self.counters.len()],
            gauges: vec![None; self.gauges.len()],
            batches: vec![[0; BATCHES]; self.histograms.len()],
        });
    }

    /// Records what happens in one tick, which ends at `end`.
    pub fn work(&mut self, end: Timestamp) {
        let Some(period) = self.periods.last_mut() else {
            return;
        };
        period.end = end;
        let dice = &mut self.dice;
        for (n, (counter, total)) in self.counters.iter().zip(&mut period.counters).enumerate() {
            let events = self.events[dice.below(self.events.len())];
            let by = match n % SERIES {
                0..4 => events,
                4..6 => 20 * events,
                6 => u64::from(dice.below(20) == 0),
                7 => u64::from(dice.below(2) == 0),
                // Idle, but for once an hour or so.
                _ => u64::from(dice.below(4_000) == 0),
            };
            if by > 0 {
                counter.increment(by);
                *total += by;
            }
        }
        for (n, (gauge, value)) in self.gauges.iter_mut().enumerate() {
            let next = match n % SERIES {
                // Memory, in pages.
                0 | 1 => match dice.below(5) {
                    0 => (*value + 4_096.0 * (dice.below(64) as f64 - 31.0)).abs(),
                    _ => *value,
                },
                // Percent, with one decimal.
                2..5 => f64::from((dice.below(1_000)) as u32) / 10.0,
                // How much is in work.
                5..8 => dice.below(40) as f64,
                // A random walk.
                8 => *value + dice.normal(),
                _ => 17.0,
            };
            gauge.set(next);
            // A spike within a tick is in the extremes.
            let spike = next.max(if dice.below(600) == 0 {
                next + 1e6
            } else {
                next
            });
            if spike > next {
                gauge.set(spike);
                gauge.set(next);
            }
            *value = next;
            let level = period.gauges[n].get_or_insert(Level {
                last: next,
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
                sum: 0.0,
                count: 0,
            });
            level.last = next;
            level.min = level.min.min(next);
            level.max = level.max.max(spike);
            level.sum += next;
            level.count += 1;
        }
        let mut tick = Vec::with_capacity(self.histograms.len());
        for (n, histogram) in self.histograms.iter().enumerate() {
            let at = dice.below(BATCHES);
            let batch = &self.shapes[n % SHAPES.len()].batches[at];
            for value in &batch.values {
                histogram.record(*value);
            }
            period.batches[n][at] += 1;
            tick.push(u8::try_from(at).unwrap_or(0));
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(tick);
    }

    /// What histogram `n` received in a period.
    pub fn expected(&self, n: usize, period: usize) -> Expected {
        self.all(n, &self.periods[period].batches[n])
    }

    /// What histogram `n` received in the newest ticks.
    pub fn expected_lately(&self, n: usize, ticks: usize) -> Expected {
        let mut batches = [0; BATCHES];
        for tick in self.recent.iter().rev().take(ticks) {
            batches[usize::from(tick[n])] += 1;
        }
        self.all(n, &batches)
    }

    fn all(&self, n: usize, times: &[u32; BATCHES]) -> Expected {
        let shape = &self.shapes[n % SHAPES.len()];
        let mut all = Expected {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            p99: f64::NAN,
        };
        for (batch, times) in shape.batches.iter().zip(times).filter(|(_, n)| **n > 0) {
            all.count += batch.values.len() as u64 * u64::from(*times);
            all.sum += batch.sum * f64::from(*times);
            all.min = all.min.min(batch.min);
            all.max = all.max.max(batch.max);
        }
        // The smallest rank that 99 % do not pass.
        let rank = (all.count * 99).div_ceil(100);
        let mut passed = 0;
        for (value, batch) in &shape.sorted {
            passed += u64::from(times[*batch]);
            if passed >= rank {
                all.p99 = *value;
                break;
            }
        }
        all
    }
}
