//! Encodes frozen frames, a slice at a time, into a segment; and in the same pass makes of them the points of the next
//! coarser tier.
//!
//! Series are taken in the order of their ids, each with all of its points at once: that is what the codecs want, and
//! what a coarse point is the sum of. A slice that finds no room stops before the series that it cannot finish, and
//! goes on there.

use super::{
    bench::Bench,
    charge::Charge,
    timeline::{Axis, Chunks, Kept, Segment},
};
use crate::{
    codec::{
        buckets, counters, distribution,
        gauges::{self, times},
        histograms::Head,
        rows::{self, MOST_ROWS, Rows},
        segment::{Block, Builder},
    },
    ledger::{Full, Ledger, Part},
    model::{
        frame::{CLASSES, Draft, Frame, GaugePoint, HistogramPoint, SeriesId, Total, class_of},
        schema::{Code, fold_code},
    },
    util::{layout, sum::Sum, sync::Arc},
};
use std::ops::Range;

/// A block is ended when it has so many bytes.
const BLOCK: usize = 16 << 10;

/// Not the id of any series.
const NONE: SeriesId = SeriesId::MAX;

/// Ranges of codes up to this are merged by counting.
const MOST_DENSE: usize = 1 << 12;

/// What a tier needs to know about another, or itself, to be sealed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) interval_ns: u64,
    /// Bit `c`: class `c` is kept.
    pub(super) classes: u8,
    /// Scale of the histograms.
    pub(super) scale: u8,
}

impl Form {
    /// Number of the point of this tier that a tick belongs to.
    pub(super) fn number(&self, end_ns: u64) -> u64 {
        end_ns.saturating_sub(1) / self.interval_ns.max(1)
    }

    fn keeps(&self, id: SeriesId) -> bool {
        self.classes >> class_of(id) & 1 == 1
    }
}

/// Frames on their way to become a segment.
#[derive(Debug)]
pub(super) struct Sealing {
    pub(super) frames: Vec<Arc<Kept>>,
    form: Form,
    coarser: Option<Form>,
    /// Of the finest tier.
    resolution_ns: u64,
    /// Place in the list of kinds.
    kind: usize,
    /// By frame: where the kind in work is read next, and the id there.
    cursors: Vec<usize>,
    heads: [SeriesId; MOST_ROWS],
    classes: [Class; CLASSES],
    pub(super) points: Vec<Coarse>,
    /// What of the series in work is done, if there was no room for the rest.
    has_chunk: bool,
    coarse_done: usize,
    /// What came of it.
    segment: Option<Segment>,
    /// How many of the newest points of the next tier go, and those that come.
    pub(super) coarse: Option<(usize, Vec<Arc<Kept>>)>,
    /// Bytes of frames that a slice reads, and that this one has read so far.
    quota: usize,
    read: usize,
    ledger: Arc<Ledger>,
    _charge: Charge,
}

/// What becomes of the series of one class.
#[derive(Debug)]
struct Class {
    builder: Builder,
    blocks: [Vec<Block>; 3],
    charge: Charge,
}

/// A point of the next coarser tier, or a part of one.
#[derive(Debug)]
pub(super) struct Coarse {
    pub(super) number: u64,
    pub(super) rows: Range<usize>,
    pub(super) draft: Draft,
}

impl Sealing {
    /// Bytes of frames that are read for a segment.
    fn work(frames: &[Arc<Kept>]) -> usize {
        frames.iter().map(|kept| kept.frame.bytes()).sum()
    }

    /// Freezes frames, at most 127. They will be encoded in about `slices` slices.
    pub(super) fn new(
        ledger: &Arc<Ledger>,
        frozen: &[Arc<Kept>],
        form: Form,
        coarser: Option<Form>,
        resolution_ns: u64,
        slices: usize,
    ) -> Result<Box<Self>, Full> {
        let n = frozen.len();
        let numbers = || {
            let coarser = coarser.iter();
            coarser.flat_map(|form| {
                let ends = frozen.iter().map(|kept| kept.frame.span.end_ns);
                ends.map(|end| form.number(end))
            })
        };
        let mut count = 0;
        let mut last = None;
        for number in numbers() {
            count += usize::from(last.replace(number) != Some(number));
        }
        let bytes = size_of::<Self>()
            + layout::vec::<Arc<Kept>>(n)
            + layout::vec::<usize>(n)
            + layout::vec::<Coarse>(count);
        let charge = Charge::new(ledger, Part::Tick, bytes)?;
        let class = || {
            Charge::new(ledger, Part::History, 0).map(|charge| Class {
                builder: Builder::default(),
                blocks: [const { Vec::new() }; 3],
                charge,
            })
        };
        let classes = [class()?, class()?, class()?, class()?];
        let mut points: Vec<Coarse> = Vec::with_capacity(count);
        for (row, number) in numbers().enumerate() {
            match points.last_mut() {
                Some(point) if point.number == number => point.rows.end = row + 1,
                _ => points.push(Coarse {
                    number,
                    rows: row..row + 1,
                    draft: Draft::default(),
                }),
            }
        }
        let mut frames = Vec::with_capacity(n);
        frames.extend_from_slice(frozen);
        let mut sealing = Box::new(Self {
            frames,
            form,
            coarser,
            resolution_ns,
            kind: 0,
            cursors: vec![0; n],
            heads: [NONE; MOST_ROWS],
            classes,
            points,
            has_chunk: false,
            coarse_done: 0,
            segment: None,
            coarse: None,
            quota: Self::work(frozen) / slices.max(1) + 1,
            read: 0,
            ledger: ledger.clone(),
            _charge: charge,
        });
        sealing.start_kind();
        Ok(sealing)
    }

    /// Whether these are points of a coarse tier, which know more of themselves.
    fn is_coarse(&self) -> bool {
        self.form.interval_ns > self.resolution_ns
    }

    /// Whether a frame is one of these.
    pub(super) fn has(&self, kept: &Arc<Kept>) -> bool {
        self.frames.iter().any(|frozen| Arc::ptr_eq(frozen, kept))
    }

    /// Bytes charged to history.
    pub(super) fn bytes(&self) -> usize {
        self.classes.iter().map(|class| class.charge.bytes()).sum()
    }

    /// Encodes some series, all of them with `whole`; true: that was the last one.
    pub(super) fn slice(&mut self, bench: &mut Bench, whole: bool) -> Result<bool, Full> {
        while self.kind < 3 {
            let frames = std::mem::take(&mut self.frames);
            let result = self.kind_slice(&frames, bench, whole);
            self.frames = frames;
            if !result? {
                self.read -= self.quota;
                bench.shrink();
                return Ok(false);
            }
            self.end_blocks()?;
            self.kind += 1;
            self.start_kind();
        }
        bench.shrink();
        Ok(true)
    }

    /// Encodes some series of the kind in work; true: that was the last one.
    fn kind_slice(
        &mut self,
        frames: &[Arc<Kept>],
        bench: &mut Bench,
        whole: bool,
    ) -> Result<bool, Full> {
        let columns = Columns::new(frames, self.kind, self.resolution_ns);
        let mut cold = 0;
        while let Some((id, hits)) = self.next() {
            if cold == 0 {
                cold = WARM;
                std::hint::black_box(columns.warm(&self.cursors));
            }
            cold -= 1;
            match self.kind {
                0 => self.counter(&columns, bench, id, hits)?,
                1 => self.gauge(&columns, bench, id, hits)?,
                _ => self.histogram(&columns, bench, id, hits)?,
            }
            self.has_chunk = false;
            self.coarse_done = 0;
            self.advance(&columns, hits);
            if self.read >= self.quota && !whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn start_kind(&mut self) {
        self.cursors.fill(0);
        for (head, kept) in self.heads.iter_mut().zip(&self.frames) {
            *head = ids(kept, self.kind).first().copied().unwrap_or(NONE);
        }
    }

    /// The next series, and the points in which it changed.
    fn next(&self) -> Option<(SeriesId, Rows)> {
        let n = self.cursors.len();
        let heads = self.heads.get(..n)?;
        let (mut lowest, mut highest) = (NONE, 0);
        for head in heads {
            lowest = lowest.min(*head);
            highest = highest.max(*head);
        }
        if lowest == NONE {
            return None;
        }
        let hits = if lowest == highest {
            rows::first(n)
        } else {
            rows::collect(heads.iter().map(|head| *head == lowest))
        };
        Some((lowest, hits))
    }

    fn advance(&mut self, columns: &Columns<'_>, hits: Rows) {
        for row in rows::iter(hits) {
            let (Some(cursor), Some(head), Some(column)) = (
                self.cursors.get_mut(row),
                self.heads.get_mut(row),
                columns.0.get(row),
            ) else {
                continue;
            };
            self.read += match self.kind {
                0 => size_of::<SeriesId>() + size_of::<u64>(),
                1 => size_of::<SeriesId>() + size_of::<GaugePoint>(),
                _ => column.packed(*cursor).map_or(0, |(point, packed)| {
                    size_of::<SeriesId>() + size_of_val(&point) + packed.len()
                }),
            };
            *cursor += 1;
            *head = column.ids.get(*cursor).copied().unwrap_or(NONE);
        }
    }

    /// Frames in which the series changed, with its place there.
    fn changes<'a>(
        &'a self,
        columns: &'a Columns<'a>,
        hits: Rows,
    ) -> impl Iterator<Item = (usize, &'a Column<'a>, usize)> {
        rows::iter(hits).filter_map(|row| Some((row, columns.0.get(row)?, *self.cursors.get(row)?)))
    }

    fn counter(
        &mut self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        id: SeriesId,
        hits: Rows,
    ) -> Result<(), Full> {
        let n = self.cursors.len();
        let Bench {
            increments, peaks, ..
        } = bench;
        let (Some(increments), Some(peaks)) = (increments.get_mut(..n), peaks.get_mut(..n)) else {
            return Ok(());
        };
        if hits != rows::first(n) {
            increments.fill(0);
            peaks.fill(0);
        }
        for (row, column, at) in self.changes(columns, hits) {
            let increment = column.increments.get(at).copied().unwrap_or(0);
            let peak = match column.pace_ns {
                None => column.peaks.get(at).copied().unwrap_or(increment),
                Some(ns) => paced(increment, ns, self.resolution_ns),
            };
            if let (Some(there), Some(most)) = (increments.get_mut(row), peaks.get_mut(row)) {
                (*there, *most) = (increment, peak);
            }
        }
        let (increments, peaks) = (&*increments, &*peaks);
        if !self.has_chunk && self.form.keeps(id) {
            let plan = if self.is_coarse() {
                counters::Plan::with_peaks(increments, peaks)
            } else {
                counters::Plan::new(increments)
            };
            self.chunk(id, plan.encoded_len(), |out| {
                plan.write(increments, peaks, out);
            })?;
        }
        self.has_chunk = true;
        let keeps = self.coarser.is_some_and(|form| form.keeps(id));
        for point in self.points.iter_mut().skip(self.coarse_done) {
            if keeps && hits & range(&point.rows) != 0 {
                let rose = increments.get(point.rows.clone()).unwrap_or_default();
                let most = peaks.get(point.rows.clone()).unwrap_or_default();
                let ledger = &self.ledger;
                let draft = &mut point.draft;
                let fits = ledger.room(Part::Tick, &mut draft.counters.0, 1)
                    && ledger.room(Part::Tick, &mut draft.counters.1, 1)
                    && ledger.room(Part::Tick, &mut draft.peaks, 1);
                if !fits {
                    return Err(Full);
                }
                draft.counters.0.push(id);
                draft
                    .counters
                    .1
                    .push(rose.iter().fold(0, |sum, n| sum.wrapping_add(*n)));
                draft.peaks.push(most.iter().copied().max().unwrap_or(0));
            }
            self.coarse_done += 1;
        }
        Ok(())
    }

    fn gauge(
        &mut self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        id: SeriesId,
        hits: Rows,
    ) -> Result<(), Full> {
        self.lay_out_gauge(columns, bench, hits);
        let n = self.cursors.len();
        let laid_out = [&bench.last, &bench.min, &bench.max, &bench.sum];
        let [last, min, max, sum] = laid_out.map(|column| column.get(..=n).unwrap_or_default());
        let count = bench.count.get(..=n).unwrap_or_default();
        if !self.has_chunk && self.form.keeps(id) {
            let has_totals = self.is_coarse();
            let points = gauges::Points {
                last,
                min,
                max,
                totals: has_totals.then_some((sum, count)),
            };
            let plan = gauges::Plan::new(&points);
            self.chunk(id, plan.encoded_len(), |out| plan.write(&points, out))?;
        }
        self.has_chunk = true;
        let keeps = self.coarser.is_some_and(|form| form.keeps(id));
        for point in self.points.iter_mut().skip(self.coarse_done) {
            if keeps && hits & range(&point.rows) != 0 {
                let ledger = &self.ledger;
                let draft = &mut point.draft;
                let fits = ledger.room(Part::Tick, &mut draft.gauges.0, 1)
                    && ledger.room(Part::Tick, &mut draft.gauges.1, 1)
                    && ledger.room(Part::Tick, &mut draft.totals, 1);
                if !fits {
                    return Err(Full);
                }
                let rows = point.rows.start + 1..point.rows.end + 1;
                let of = |column: &[f64], f: fn(f64, f64) -> f64| {
                    let values = column.get(rows.clone()).unwrap_or_default().iter().copied();
                    values.reduce(f).unwrap_or(f64::NAN)
                };
                let mut total = Sum::default();
                let sums = sum.get(rows.clone()).unwrap_or_default();
                for sum in sums {
                    total.add(*sum);
                }
                let counts = count.get(rows.clone()).unwrap_or_default();
                draft.gauges.0.push(id);
                draft.gauges.1.push(GaugePoint {
                    last: of(last, |_, then| then),
                    min: of(min, f64::min),
                    max: of(max, f64::max),
                    prev: last.get(point.rows.start).copied().unwrap_or(f64::NAN),
                });
                draft.totals.push(Total {
                    sum: total.value(),
                    count: counts.iter().sum(),
                });
            }
            self.coarse_done += 1;
        }
        Ok(())
    }

    /// The values of a gauge in all points, those included in which it did not change; in front of them, the value
    /// before.
    fn lay_out_gauge(&self, columns: &Columns<'_>, bench: &mut Bench, hits: Rows) {
        let mut changes = self.changes(columns, hits).peekable();
        let first = changes.peek();
        let before = first.and_then(|(_, column, at)| column.gauges.get(*at));
        let mut value = before.map_or(f64::NAN, |point| point.prev);
        let first_ticks = columns.0.first().map_or(1, |column| column.ticks);
        let held = |value: f64, ticks: u64| {
            let count = if value.is_nan() { 0 } else { ticks };
            (value, value, value, times(value, count), count)
        };
        let mut put = |place: usize, of: (f64, f64, f64, f64, u64)| {
            let places = [
                (&mut bench.last, of.0),
                (&mut bench.min, of.1),
                (&mut bench.max, of.2),
                (&mut bench.sum, of.3),
            ];
            for (column, value) in places {
                if let Some(there) = column.get_mut(place) {
                    *there = value;
                }
            }
            if let Some(there) = bench.count.get_mut(place) {
                *there = of.4;
            }
        };
        // The numbers in front of all points are never read; these take the fewest bits.
        put(0, held(value, first_ticks));
        for (row, column) in columns.0.iter().take(self.cursors.len()).enumerate() {
            let change = changes.next_if(|(changed, ..)| *changed == row);
            let point = change.and_then(|(_, column, at)| column.gauges.get(at));
            let total = change.and_then(|(_, column, at)| column.totals.get(at));
            let of = match point {
                None => held(value, column.ticks),
                Some(point) => {
                    value = point.last;
                    let (.., sum, count) = held(value, column.ticks);
                    let (sum, count) = total.map_or((sum, count), |total| (total.sum, total.count));
                    (point.last, point.min, point.max, sum, count)
                }
            };
            put(row + 1, of);
        }
    }

    fn histogram(
        &mut self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        id: SeriesId,
        hits: Rows,
    ) -> Result<(), Full> {
        let scale = self.lay_out_histogram(columns, bench, hits)?;
        if !self.has_chunk && self.form.keeps(id) {
            bench.compiler.clear(scale);
            for (row, (column, at)) in columns.0.iter().zip(&self.cursors).enumerate() {
                let point = column.histograms.get(*at).filter(|_| hits >> row & 1 == 1);
                let Some(point) = point else {
                    bench.compiler.skip();
                    continue;
                };
                let head = Head {
                    sum: point.sum,
                    min: point.min,
                    max: point.max,
                };
                let start = row.checked_sub(1).and_then(|before| bench.ends.get(before));
                let cells = start.copied().unwrap_or(0)..bench.ends.get(row).copied().unwrap_or(0);
                let cells = bench.cells.get(cells).unwrap_or_default();
                let spans = bench.spans.iter().filter(|(of, _)| *of == row);
                let spans = spans.map(|(_, span)| *span);
                bench.compiler.add(head, cells.iter().copied(), spans);
            }
            let plan = bench.compiler.plan();
            let compiler = &mut bench.compiler;
            self.chunk(id, plan.encoded_len(), |out| compiler.write(&plan, out))?;
        }
        self.has_chunk = true;
        let Some(coarser) = self.coarser.filter(|form| form.keeps(id)) else {
            return Ok(());
        };
        while let Some(rows) = self.points.get(self.coarse_done).map(|p| p.rows.clone()) {
            let hits = hits & range(&rows);
            if hits != 0 {
                let point = self.merge_histogram(columns, bench, hits, (scale, coarser.scale));
                let draft = match self.points.get_mut(self.coarse_done) {
                    Some(point) => &mut point.draft,
                    None => return Ok(()),
                };
                let bytes = distribution::encoded_len(&bench.coarse, &bench.fine);
                let ledger = &self.ledger;
                let fits = ledger.room(Part::Tick, &mut draft.histograms.0, 1)
                    && ledger.room(Part::Tick, &mut draft.histograms.1, 1)
                    && ledger.room(Part::Tick, &mut draft.bytes, bytes);
                if !fits {
                    return Err(Full);
                }
                distribution::encode(&bench.coarse, &bench.fine, &mut draft.bytes);
                draft.histograms.0.push(id);
                draft.histograms.1.push(HistogramPoint {
                    end: u32::try_from(draft.bytes.len()).unwrap_or(u32::MAX),
                    ..point
                });
            }
            self.coarse_done += 1;
        }
        Ok(())
    }

    /// Unpacks a histogram; gives the scale of what it is then. Without room for all buckets they become fewer and
    /// wider, and at last one.
    fn lay_out_histogram(
        &self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        hits: Rows,
    ) -> Result<u8, Full> {
        let mut scale = self.form.scale;
        loop {
            let all = self.unpack(columns, bench, hits, Some(scale));
            if all
                .and_then(|()| bench.room_to_compile(self.cursors.len()))
                .is_ok()
            {
                return Ok(scale);
            }
            if scale == 0 {
                break;
            }
            scale = scale.saturating_sub(2);
        }
        self.unpack(columns, bench, hits, None)?;
        bench.room_to_compile(self.cursors.len())?;
        Ok(scale)
    }

    /// Buckets of all points, folded to a scale; or, without one, only their counts.
    fn unpack(
        &self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        hits: Rows,
        scale: Option<u8>,
    ) -> Result<(), Full> {
        bench.cells.clear();
        bench.spans.clear();
        for (row, (column, at)) in columns.0.iter().zip(&self.cursors).enumerate() {
            if hits >> row & 1 == 1
                && let Some((point, packed)) = column.packed(*at)
            {
                match scale {
                    Some(scale) => self.unpack_point(bench, row, packed, scale)?,
                    None => bench.push_span(row, (-Code::MAX, Code::MAX, point.count))?,
                }
            }
            let cells = bench.cells.len();
            if let Some(end) = bench.ends.get_mut(row) {
                *end = cells;
            }
        }
        Ok(())
    }

    fn unpack_point(
        &self,
        bench: &mut Bench,
        row: usize,
        packed: &[u8],
        scale: u8,
    ) -> Result<(), Full> {
        let from = self.form.scale;
        let start = bench.cells.len();
        let (spans, fine) = distribution::split(packed);
        for (low, high, count) in spans {
            let span = (fold(low, from, scale), fold(high, from, scale), count);
            bench.push_span(row, span)?;
        }
        let mut full = Ok(());
        buckets::for_each(fine, |code, count| {
            let code = fold(code, from, scale);
            let alike = bench.cells.len() > start;
            match bench
                .cells
                .last_mut()
                .filter(|last| alike && last.0 == code)
            {
                Some(last) => last.1 = last.1.wrapping_add(count),
                None if full.is_ok() => full = bench.push_cell(code, count),
                None => {}
            }
        });
        full
    }

    /// What a histogram received in some points together; its buckets are left in `fine` and `coarse`.
    fn merge_histogram(
        &self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        hits: Rows,
        (from, to): (u8, u8),
    ) -> HistogramPoint {
        let mut sum = Sum::default();
        let mut merged = HistogramPoint {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            end: 0,
        };
        for (_, column, at) in self.changes(columns, hits) {
            let Some(point) = column.histograms.get(at) else {
                continue;
            };
            merged.count = merged.count.wrapping_add(point.count);
            sum.add(point.sum);
            if point.min <= point.max {
                merged.min = merged.min.min(point.min);
                merged.max = merged.max.max(point.max);
            }
        }
        merged.sum = sum.value();
        bench.coarse.clear();
        // A histogram that had to be unpacked in wider buckets than this tier's cannot have them back.
        let to = to.min(from);
        if from < to || from < self.form.scale || merge_cells(bench, hits, from, to).is_err() {
            bench.fine.clear();
            bench.coarse.clear();
            bench.merge_span((-Code::MAX, Code::MAX, merged.count));
        }
        merged
    }

    /// Appends a chunk of `len` bytes.
    fn chunk(
        &mut self,
        id: SeriesId,
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Full> {
        let Some(class) = self.classes.get_mut(class_of(id)) else {
            return Ok(());
        };
        if class.builder.len() >= BLOCK {
            class.end_block(self.kind)?;
        }
        let (places, bytes) = Builder::wanted(len);
        let (index, buffer) = class.builder.buffers();
        let fits = self.ledger.room(Part::Tick, index, places)
            && self.ledger.room(Part::Tick, buffer, bytes);
        if !fits {
            return Err(Full);
        }
        let before = buffer.len();
        write(buffer);
        debug_assert_eq!(buffer.len(), before + len, "a plan is kept");
        class.builder.push(id, len);
        Ok(())
    }

    fn end_blocks(&mut self) -> Result<(), Full> {
        for class in &mut self.classes {
            class.end_block(self.kind)?;
        }
        Ok(())
    }

    /// What has been sealed. The coarse points stay in `points`.
    pub(super) fn segment(&mut self) -> Result<Segment, Full> {
        if let Some(segment) = &self.segment {
            return Ok(segment.clone());
        }
        let bytes = Axis::bytes(self.frames.len());
        let charge = Charge::new(&self.ledger, Part::History, bytes)?;
        let is_empty = |class: &Class| class.blocks.iter().all(Vec::is_empty);
        let some = self.classes.iter().filter(|class| !is_empty(class)).count();
        let mut own = charge.beside(some * layout::arc::<Chunks>())?;
        let mut chunks = [const { None }; CLASSES];
        for (class, chunks) in self.classes.iter_mut().zip(&mut chunks) {
            if is_empty(class) {
                continue;
            }
            let mut charge = class.charge.take();
            charge.join(own.split(layout::arc::<Chunks>()));
            *chunks = Some(Arc::new(Chunks {
                blocks: std::mem::take(&mut class.blocks),
                charge,
            }));
        }
        let axis = Axis {
            rows: self.frames.iter().map(|kept| kept.row()).collect(),
            tick: self.frames.first().map_or(0, |kept| kept.tick),
            charge,
        };
        let segment = Segment {
            axis: Arc::new(axis),
            kept: self.form.classes,
            chunks,
        };
        self.segment = Some(segment.clone());
        Ok(segment)
    }
}

impl Drop for Sealing {
    fn drop(&mut self) {
        let builders = self.classes.iter().map(|class| class.builder.bytes_held());
        let drafts = self.points.iter().map(|point| point.draft.bytes_held());
        let held = builders.sum::<usize>() + drafts.sum::<usize>();
        for class in &mut self.classes {
            class.builder = Builder::default();
        }
        self.points.clear();
        self.ledger.release(Part::Tick, held);
    }
}

impl Class {
    fn end_block(&mut self, kind: usize) -> Result<(), Full> {
        let Some(blocks) = self.blocks.get_mut(kind) else {
            return Ok(());
        };
        let bytes = self.builder.finish();
        if bytes == 0 {
            return Ok(());
        }
        self.charge.room(blocks)?;
        self.charge.add(bytes)?;
        blocks.extend(self.builder.take());
        Ok(())
    }
}

/// Series behind which memory is asked for the next ones.
const WARM: usize = 8;

/// What is read of one frame, of the kind in work.
#[derive(Clone, Copy)]
struct Column<'a> {
    frame: Option<&'a Frame>,
    ids: &'a [SeriesId],
    increments: &'a [u64],
    peaks: &'a [u64],
    /// How long the tick was, if it was no usual one and is not coarse.
    pace_ns: Option<u64>,
    gauges: &'a [GaugePoint],
    totals: &'a [Total],
    histograms: &'a [HistogramPoint],
    ticks: u64,
}

/// All frames.
struct Columns<'a>([Column<'a>; MOST_ROWS]);

/// Ids of one kind.
fn ids(kept: &Kept, kind: usize) -> &[SeriesId] {
    match kind {
        0 => &kept.frame.counters.0,
        1 => &kept.frame.gauges.0,
        2 => &kept.frame.histograms.0,
        _ => &[],
    }
}

impl<'a> Column<'a> {
    const NONE: Self = Self {
        frame: None,
        ids: &[],
        increments: &[],
        peaks: &[],
        pace_ns: None,
        gauges: &[],
        totals: &[],
        histograms: &[],
        ticks: 0,
    };

    fn new(kept: &'a Kept, kind: usize, resolution_ns: u64) -> Self {
        let frame = &kept.frame;
        let ns = frame.span.duration_ns();
        let is_usual = ns == resolution_ns || ns == 0 || !frame.peaks.is_empty();
        Self {
            frame: Some(frame),
            ids: ids(kept, kind),
            increments: &frame.counters.1,
            peaks: &frame.peaks,
            pace_ns: (!is_usual).then_some(ns),
            gauges: &frame.gauges.1,
            totals: &frame.totals,
            histograms: &frame.histograms.1,
            ticks: u64::from(kept.ticks),
        }
    }

    fn packed(&self, at: usize) -> Option<(HistogramPoint, &'a [u8])> {
        self.frame?.histogram_at(at)
    }
}

impl<'a> Columns<'a> {
    fn new(frames: &'a [Arc<Kept>], kind: usize, resolution_ns: u64) -> Self {
        let mut columns = [Column::NONE; MOST_ROWS];
        for (column, kept) in columns.iter_mut().zip(frames) {
            *column = Column::new(kept, kind, resolution_ns);
        }
        Self(columns)
    }

    /// Reads what will be read next. The frames are all over the heap: asked for at once, in a loop that does nothing
    /// else, their cache lines come together instead of one after the other.
    fn warm(&self, cursors: &[usize]) -> u64 {
        let each = self.0.iter().zip(cursors).map(|(column, at)| {
            let next = at + WARM;
            let id = column.ids.get(next).copied().unwrap_or(0);
            let increment = column.increments.get(next).copied().unwrap_or(0);
            u64::from(id) ^ increment
        });
        each.fold(0, |all, one| all ^ one)
    }
}

/// The rows of a range.
fn range(rows: &Range<usize>) -> Rows {
    rows::first(rows.end) & !rows::first(rows.start)
}

/// What a counter that rose by `increment` in `ns` rose by in one tick as long as the resolution; rounded up.
fn paced(increment: u64, ns: u64, resolution_ns: u64) -> u64 {
    if ns == 0 || ns == resolution_ns {
        return increment;
    }
    let paced = u128::from(increment) * u128::from(resolution_ns);
    u64::try_from(paced.div_ceil(u128::from(ns))).unwrap_or(u64::MAX)
}

fn fold(code: Code, from: u8, to: u8) -> Code {
    if from == to {
        code
    } else {
        fold_code(code, from, to)
    }
}

/// Adds up the buckets of some points, folded.
fn merge_cells(bench: &mut Bench, hits: Rows, from: u8, to: u8) -> Result<(), Full> {
    let codes = || {
        rows::iter(hits)
            .flat_map(|row| bench.cells_of(row))
            .map(|cell| cell.0)
    };
    let lowest = codes().min().map_or(0, |code| fold(code, from, to));
    let highest = codes().max().map_or(0, |code| fold(code, from, to));
    let cells = rows::iter(hits).map(|row| bench.cells_of(row).len()).sum();
    let codes = highest.abs_diff(lowest) as usize + 1;
    let is_dense = codes <= MOST_DENSE;
    let most = if is_dense { codes.min(cells) } else { cells };
    bench.room_to_merge(if is_dense { codes } else { 0 }, most)?;
    let (mut dense, mut fine) = (
        std::mem::take(&mut bench.dense),
        std::mem::take(&mut bench.fine),
    );
    dense.resize(if is_dense { codes } else { 0 }, 0);
    for row in rows::iter(hits) {
        for &(code, count) in bench.cells_of(row) {
            let code = fold(code, from, to);
            if is_dense {
                if let Some(there) = dense.get_mut(code.abs_diff(lowest) as usize) {
                    *there = there.wrapping_add(count);
                }
            } else {
                fine.push((code, count));
            }
        }
    }
    if is_dense {
        let filled = (lowest..).zip(&dense).filter(|(_, count)| **count > 0);
        fine.extend(filled.map(|(code, count)| (code, *count)));
    } else {
        buckets::settle(&mut fine);
    }
    (bench.dense, bench.fine) = (dense, fine);
    let spans = bench.spans.len();
    for at in 0..spans {
        if let Some(&(row, (low, high, count))) = bench.spans.get(at)
            && hits >> row & 1 == 1
        {
            bench.merge_span((fold(low, from, to), fold(high, from, to), count));
        }
    }
    Ok(())
}
