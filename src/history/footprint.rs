//! How many bytes a point takes once it is sealed: of data as the goals name them, and of three recordings of programs.
//!
//! Each kind is counted apart, with all that a segment needs to find a series; what a point of time takes, once for all
//! series, is not.

use super::{tests::tiered, *};
use crate::{
    codec::{
        distribution,
        noise::{Noise, each},
        segment::Block,
    },
    model::{
        frame::{GaugePoint, HistogramPoint, SeriesId},
        schema::Schema,
    },
};
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;

/// What one tick brought.
#[derive(Default)]
struct Heard {
    counters: BTreeMap<SeriesId, u64>,
    /// Last, min, max.
    gauges: BTreeMap<SeriesId, [f64; 3]>,
    histograms: BTreeMap<SeriesId, Vec<f64>>,
}

/// Gauges hold their values from tick to tick.
struct Feed {
    history: History,
    held: BTreeMap<SeriesId, f64>,
    at: u64,
}

impl Feed {
    fn new() -> Self {
        let (_, history) = tiered(512 << 20, &[(1, 86_400)]);
        Self {
            history,
            held: BTreeMap::new(),
            at: 0,
        }
    }

    fn tick(&mut self, heard: Heard) {
        let mut draft = Draft::default();
        for (id, increment) in heard.counters {
            draft.counters.0.push(id);
            draft.counters.1.push(increment);
        }
        for (id, [last, min, max]) in heard.gauges {
            let before = self.held.insert(id, last);
            // As the tick has it: a gauge that was set to what it was did not change.
            if before.is_some_and(|before| {
                [before; 3].map(f64::to_bits) == [last, min, max].map(f64::to_bits)
            }) {
                continue;
            }
            let prev = before.unwrap_or(f64::NAN);
            draft.gauges.0.push(id);
            draft.gauges.1.push(GaugePoint {
                last,
                min,
                max,
                prev,
            });
        }
        for (id, values) in heard.histograms {
            let schema = Schema::get(4);
            let mut cells = BTreeMap::new();
            for code in values.iter().filter_map(|value| schema.code(*value)) {
                *cells.entry(code).or_insert(0) += 1;
            }
            let cells: Vec<_> = cells.into_iter().collect();
            distribution::encode(&[], &cells, &mut draft.bytes);
            draft.histograms.0.push(id);
            draft.histograms.1.push(HistogramPoint {
                count: values.len() as u64,
                sum: values.iter().sum(),
                min: values.iter().copied().fold(f64::INFINITY, f64::min),
                max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                end: u32::try_from(draft.bytes.len()).expect("some bytes"),
            });
        }
        self.at += 1;
        let span = Span {
            start_ns: (self.at - 1) * SECOND,
            end_ns: self.at * SECOND,
            wall_ms: 0,
        };
        let commit = self.history.commit(&mut draft, span, self.at);
        assert_eq!(commit, Commit::Added);
        self.history.seal();
    }

    /// Bytes of each kind, and how many points a series has in them.
    fn sealed(&mut self) -> ([usize; 3], usize) {
        // What is frozen is finished first; the newest frame is always left.
        for tier in 0..self.history.tiers.len() {
            self.history.seal_now(tier);
        }
        let mut bytes = [0; 3];
        let mut points = 0;
        for segment in &self.history.current.archive.tiers[0].segments {
            points += segment.axis.len();
            for chunks in segment.chunks.iter().flatten() {
                for (bytes, blocks) in bytes.iter_mut().zip(&chunks.blocks) {
                    *bytes += blocks.iter().map(Block::bytes).sum::<usize>();
                }
            }
        }
        (bytes, points)
    }
}

/// Bytes a point, over all series of a recording, by kind; and how many series and points those are.
fn recorded(name: &str, text: &str) -> [f64; 3] {
    let mut feed = Feed::new();
    let mut series = [0_usize; 3];
    let mut heard: Option<Heard> = None;
    for line in text.lines() {
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let mut number = || {
            let n: SeriesId = words.next().and_then(|n| n.parse().ok()).expect("a number");
            // All of the default retention.
            n * u32::try_from(CLASSES).expect("a few")
        };
        match word {
            "#" => {}
            "tick" => {
                if let Some(heard) = heard.replace(Heard::default()) {
                    feed.tick(heard);
                }
            }
            "counter" => series[0] += 1,
            "gauge" => series[1] += 1,
            "histogram" => series[2] += 1,
            _ => {
                let heard = heard.as_mut().expect("a tick has begun");
                let id = number();
                match word {
                    "c" => {
                        let increment = words.next().and_then(|n| n.parse().ok());
                        heard.counters.insert(id, increment.expect("an increment"));
                    }
                    "g" => {
                        let values: Vec<f64> = words.filter_map(|v| v.parse().ok()).collect();
                        let values = match values[..] {
                            [value] => [value; 3],
                            [last, min, max] => [last, min, max],
                            _ => panic!("{line}"),
                        };
                        heard.gauges.insert(id, values);
                    }
                    "h" => {
                        let steps = words.map(|step| step.parse::<u32>().expect("nanoseconds"));
                        let values = steps.scan(0, |sum, step| {
                            *sum += step;
                            Some(f64::from(*sum) / 1e9)
                        });
                        heard.histograms.insert(id, values.collect());
                    }
                    _ => panic!("{line}"),
                }
            }
        }
    }
    if let Some(heard) = heard {
        feed.tick(heard);
    }
    let (bytes, points) = feed.sealed();
    let mut of = [0.0; 3];
    for kind in 0..3 {
        of[kind] = each(bytes[kind], (series[kind] * points).max(1));
    }
    println!(
        "{name:<8} {points} points; counters {:.2} ({}), gauges {:.2} ({}), histograms {:.1} ({})",
        of[0], series[0], of[1], series[1], of[2], series[2]
    );
    of
}

const SERIES: u32 = 200;
const TICKS: usize = 601;

/// Bytes a point of counters that rise like this.
fn counters(name: &str, mut next: impl FnMut(&mut Noise) -> u64) -> f64 {
    let mut feed = Feed::new();
    let mut noise = Noise::new(1);
    for _ in 0..TICKS {
        let mut heard = Heard::default();
        for n in 0..SERIES {
            let increment = next(&mut noise);
            if increment > 0 {
                heard.counters.insert(n * 4, increment);
            }
        }
        feed.tick(heard);
    }
    let (bytes, points) = feed.sealed();
    let each = each(bytes[0], points * SERIES as usize);
    println!("counter, {name}: {each:.3}");
    each
}

/// Bytes a point of gauges that go like this.
fn gauges(name: &str, start: f64, mut next: impl FnMut(&mut Noise, f64) -> f64) -> f64 {
    let mut feed = Feed::new();
    let mut noise = Noise::new(1);
    let mut values = vec![start; SERIES as usize];
    for _ in 0..TICKS {
        let mut heard = Heard::default();
        for (n, value) in (0..SERIES).zip(&mut values) {
            *value = next(&mut noise, *value);
            heard.gauges.insert(n * 4, [*value; 3]);
        }
        feed.tick(heard);
    }
    let (bytes, points) = feed.sealed();
    let each = each(bytes[1], points * SERIES as usize);
    println!("gauge, {name}: {each:.3}");
    each
}

#[test]
fn sealed_points_take_as_few_bytes_as_the_goals_say() {
    let poisson = counters("Poisson(50)", |noise| noise.poisson(50.0));
    let active = counters("5 % active", |noise| u64::from(noise.unit() < 0.05));
    let mut ticks = 0;
    let idle = counters("idle after its first tick", |_| {
        ticks += 1;
        u64::from(ticks <= SERIES)
    });
    let memory = gauges("memory, bytes", 1e9, |noise, v| {
        if noise.unit() < 0.2 {
            v + 4_096.0 * (noise.unit() * 64.0 - 32.0).round()
        } else {
            v
        }
    });
    let percent = gauges("percent, one decimal", 50.0, |noise, v| {
        let next = (v + noise.normal()).clamp(0.0, 100.0);
        (next * 10.0).round() / 10.0
    });
    let walk = gauges("random walk", 100.0, |noise, v| v + noise.normal());
    assert!(poisson <= 0.72 && active <= 0.13 && idle <= 0.02);
    assert!(memory <= 0.8 && percent <= 1.0 && walk <= 6.9);
}

#[test]
fn sealed_points_of_recordings_take_few_bytes() {
    let service = recorded("service", include_str!("../../tests/data/service.txt"));
    let machine = recorded("machine", include_str!("../../tests/data/machine.txt"));
    let batch = recorded("batch", include_str!("../../tests/data/batch.txt"));
    let most = [[1.0, 0.95, 23.0], [0.5, 1.05, 0.0], [0.55, 1.05, 4.6]];
    for (of, most) in [service, machine, batch].iter().zip(most) {
        assert!(
            of.iter().zip(&most).all(|(of, most)| of <= most),
            "{of:?} {most:?}"
        );
    }
}
