//! What may be in a segment, and what never is.

use arbitrary::Arbitrary;
use metrics_recall::fuzzing::{
    chunks::{self, Received},
    segment,
};
use std::collections::BTreeMap;

#[derive(Arbitrary, Debug)]
pub enum Input<'a> {
    Chunk {
        n: u8,
        bytes: &'a [u8],
    },
    Block {
        index: Vec<(u32, u32)>,
        ids: Vec<u32>,
        bytes: &'a [u8],
    },
    Stored(&'a [u8]),
    Counter(Counts),
    Gauge(Levels),
    Histogram {
        scale: u8,
        points: Vec<Option<Point>>,
        from: u8,
        edit: (u16, u8),
    },
    Find {
        series: BTreeMap<u32, &'a [u8]>,
        each: u8,
        other: u32,
    },
    Whole(Whole<'a>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Number {
    Few(u8),
    Some(u16),
    Any(u64),
}

impl Number {
    fn get(self) -> u64 {
        match self {
            Self::Few(n) => n.into(),
            Self::Some(n) => n.into(),
            Self::Any(n) => n,
        }
    }
}

/// What a counter did in some points: how often the same, its increment, and its peak, if that is another.
#[derive(Arbitrary, Debug)]
pub struct Counts {
    list: Vec<(u8, Number, Option<Number>)>,
    pub edit: (u16, u8),
}

impl Counts {
    fn each(&self) -> impl Iterator<Item = (u64, u64)> {
        let all = self.list.iter().flat_map(|(times, by, peak)| {
            let by = by.get();
            // One that did not rise has no peak.
            let peak = peak.filter(|_| by > 0).map_or(by, Number::get);
            std::iter::repeat_n((by, peak), usize::from(times % 16) + 1)
        });
        all.take(chunks::MOST_POINTS)
    }

    pub fn increments(&self) -> Vec<u64> {
        self.each().map(|each| each.0).collect()
    }

    pub fn peaks(&self) -> Vec<u64> {
        self.each().map(|each| each.1).collect()
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Value {
    Bits(u64),
    Tenths(i16),
    Whole(i32),
}

impl Value {
    fn get(self) -> f64 {
        match self {
            Self::Bits(bits) => f64::from_bits(bits),
            Self::Tenths(n) => f64::from(n) / 10.0,
            Self::Whole(n) => n.into(),
        }
    }
}

/// A gauge in some points; in some it is absent.
#[derive(Arbitrary, Debug)]
pub struct Levels {
    list: Vec<(u8, Option<Level>)>,
    pub edit: (u16, u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Level {
    last: Value,
    min: Option<Value>,
    max: Option<Value>,
    sum: Option<Value>,
    count: u8,
}

impl Levels {
    fn each(&self) -> impl Iterator<Item = Option<Level>> {
        let all = self
            .list
            .iter()
            .flat_map(|(times, level)| std::iter::repeat_n(*level, usize::from(times % 16) + 1));
        all.take(chunks::MOST_POINTS)
    }

    /// Last, least, greatest value and sum.
    pub fn columns(&self) -> [Vec<f64>; 4] {
        let column = |value: fn(Level) -> f64, absent| {
            let levels = self.each();
            levels.map(|level| level.map_or(absent, value)).collect()
        };
        [
            column(|level| level.last.get(), f64::NAN),
            column(|level| level.min.unwrap_or(level.last).get(), f64::NAN),
            column(|level| level.max.unwrap_or(level.last).get(), f64::NAN),
            column(Level::sum, 0.0),
        ]
    }

    pub fn counts(&self) -> Vec<u64> {
        let levels = self.each();
        levels.map(|level| level.map_or(0, Level::count)).collect()
    }
}

impl Level {
    /// NaN in all of them says that there is none.
    fn is_absent(self) -> bool {
        let all = [Some(self.last), self.min, self.max];
        all.into_iter().flatten().all(|value| value.get().is_nan())
    }

    fn sum(self) -> f64 {
        if self.is_absent() {
            return 0.0;
        }
        self.sum.unwrap_or(self.last).get()
    }

    fn count(self) -> u64 {
        if self.is_absent() {
            0
        } else {
            self.count.into()
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    Near(u8),
    Any(i32),
}

impl Code {
    fn get(self) -> i32 {
        match self {
            Self::Near(code) => code.into(),
            Self::Any(code) => code,
        }
    }
}

/// What a histogram received in one point.
#[derive(Arbitrary, Debug)]
pub struct Point {
    head: [Value; 3],
    buckets: Vec<(Code, Number)>,
    spans: Vec<(Code, Code, Number)>,
}

impl Point {
    pub fn received(&self) -> Received {
        let buckets = self.buckets.iter();
        let buckets: BTreeMap<i32, u64> = buckets
            .map(|(code, n)| (code.get(), n.get().max(1)))
            .collect();
        let spans = self.spans.iter();
        (
            self.head.map(Value::get),
            buckets.into_iter().collect(),
            spans
                .map(|(from, to, n)| (from.get(), to.get(), n.get()))
                .collect(),
        )
    }
}

#[derive(Arbitrary, Debug)]
pub struct Series<'a> {
    pub class: u8,
    pub kind: u8,
    pub number: u16,
    pub chunk: &'a [u8],
}

/// A whole segment, and what is done to its bytes.
#[derive(Arbitrary, Debug)]
pub struct Whole<'a> {
    pub tick: u64,
    pub is_coarse: bool,
    pub scale: u8,
    rows: Vec<(u32, u32, u32)>,
    pub each: u8,
    pub series: Vec<Series<'a>>,
    pub edits: Vec<(u16, u8)>,
    pub cut: u16,
}

impl Whole<'_> {
    /// At least one; gaps and lengths as times that ascend.
    pub fn rows(&self) -> Vec<(u64, u64, u32)> {
        let mut end = 0;
        let all = self
            .rows
            .iter()
            .chain((self.rows.is_empty()).then_some(&(1, 2, 3)));
        let rows = all.map(|(gap, length, ticks)| {
            let start = end + u64::from(*gap);
            end = start + u64::from(*length);
            (start, end, *ticks)
        });
        rows.take(segment::MOST_POINTS).collect()
    }
}
