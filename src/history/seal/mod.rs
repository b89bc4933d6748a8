//! Encodes frozen frames, a slice at a time, into a segment; and in the same pass makes of them the points of the next
//! coarser tier.
//!
//! Series are taken in the order of their ids, each with all of its points at once: that is what the codecs want, and
//! what a coarse point is the sum of. A slice that finds no room stops before the series that it cannot finish, and
//! goes on there.

mod columns;
mod counter;
mod gauge;
mod histogram;

use self::columns::{AHEAD, Column, Columns, ids};
use super::{
    axis::{self, Axis},
    bench::Bench,
    charge::Charge,
    timeline::{Chunks, Kept, Segment},
};
use crate::{
    codec::{
        rows::{self, MOST_ROWS, Rows},
        segment::{Block, Builder},
    },
    ledger::{Full, Ledger, Part},
    model::frame::{CLASSES, Draft, SeriesId, class_of},
    util::{layout, prefetch::prefetch, sync::Arc},
};
use std::ops::Range;

/// A block is ended when it has so many bytes.
const BLOCK: usize = 16 << 10;

/// Not the id of any series.
const NONE: SeriesId = SeriesId::MAX;

/// What a slice is worth being one for: where there is less to do, there are fewer, and frames wait no longer than they must.
const SLICE: usize = 2 << 10;

/// What a point is to do, beside the bytes of its buckets.
const COUNTER: usize = 12;
const GAUGE: usize = 36;
const HISTOGRAM: usize = 44;

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
    /// The frames, and by run, the next id of the kind in work.
    runs: Vec<Run>,
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
    /// What a slice is to do, and what this one has done so far.
    quota: usize,
    done: usize,
    /// Slices that are still to come. All of them do, also when less is to do than was thought.
    rest: usize,
    ledger: Arc<Ledger>,
    _charge: Charge,
}

/// Neighbouring frames that share their list of series, and where that is read next.
#[derive(Debug)]
struct Run {
    rows: Range<usize>,
    mask: Rows,
    at: usize,
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
    /// What there is to do.
    pub(super) fn work(frames: &[Arc<Kept>]) -> usize {
        let work = frames.iter().map(|kept| {
            let frame = &kept.frame;
            frame.counters.0.len() * COUNTER
                + frame.gauges.0.len() * GAUGE
                + frame.histograms.0.len() * HISTOGRAM
                + frame.bytes.len()
        });
        work.sum()
    }

    /// Freezes frames, at most 127. They will be encoded in `most` slices, or fewer if there is little
    /// to do.
    pub(super) fn new(
        ledger: &Arc<Ledger>,
        frozen: &[Arc<Kept>],
        form: Form,
        coarser: Option<Form>,
        resolution_ns: u64,
        most: usize,
    ) -> Result<Box<Self>, Full> {
        let n = frozen.len();
        let work = Self::work(frozen);
        let slices = most.min(work / SLICE + 1).max(1);
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
            + layout::vec::<Run>(n)
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
                    draft: Draft::narrow(),
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
            runs: Vec::with_capacity(n),
            heads: [NONE; MOST_ROWS],
            classes,
            points,
            has_chunk: false,
            coarse_done: 0,
            segment: None,
            coarse: None,
            quota: work / slices + 1,
            done: 0,
            rest: slices,
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

    /// Encodes some series, all of them with `whole`; true: that was the last slice. How many there are depends on
    /// what there is to do, and not on the order of series, which must not decide what history keeps.
    pub(super) fn slice(&mut self, bench: &mut Bench, whole: bool) -> Result<bool, Full> {
        while self.kind < 3 {
            let frames = std::mem::take(&mut self.frames);
            let result = self.kind_slice(&frames, bench, whole);
            self.frames = frames;
            if !result? {
                self.done -= self.quota;
                self.rest = self.rest.saturating_sub(1);
                bench.shrink();
                return Ok(false);
            }
            self.end_blocks()?;
            self.kind += 1;
            self.start_kind();
        }
        bench.shrink();
        if whole || self.rest <= 1 {
            return Ok(true);
        }
        self.rest -= 1;
        Ok(false)
    }

    /// Encodes some series of the kind in work; true: that was the last one.
    fn kind_slice(
        &mut self,
        frames: &[Arc<Kept>],
        bench: &mut Bench,
        whole: bool,
    ) -> Result<bool, Full> {
        let columns = Columns::new(frames, self.kind, self.resolution_ns);
        while let Some((id, hits)) = self.next() {
            match self.kind {
                0 => self.counter(&columns, bench, id, hits)?,
                1 => self.gauge(&columns, bench, id, hits)?,
                _ => self.histogram(&columns, bench, id, hits)?,
            }
            self.has_chunk = false;
            self.coarse_done = 0;
            self.advance(&columns, id);
            if self.done >= self.quota && !whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn start_kind(&mut self) {
        self.runs.clear();
        self.heads = [NONE; MOST_ROWS];
        let mut before = None;
        for (row, kept) in self.frames.iter().enumerate() {
            let Some(ids) = ids(kept, self.kind) else {
                return;
            };
            match self.runs.last_mut() {
                Some(run) if before.is_some_and(|before| ids.is_shared_with(before)) => {
                    run.rows.end = row + 1;
                    run.mask |= 1 << row;
                }
                _ => {
                    if let Some(head) = self.heads.get_mut(self.runs.len()) {
                        *head = ids.first().copied().unwrap_or(NONE);
                    }
                    self.runs.push(Run {
                        rows: row..row + 1,
                        mask: 1 << row,
                        at: 0,
                    });
                }
            }
            before = Some(ids);
        }
    }

    /// The next series, and the points in which it changed.
    fn next(&self) -> Option<(SeriesId, Rows)> {
        let heads = self.heads.get(..self.runs.len())?;
        let lowest = heads.iter().copied().min()?;
        if lowest == NONE {
            return None;
        }
        let hits = self.hit(lowest).fold(0, |hits, run| hits | run.mask);
        Some((lowest, hits))
    }

    /// Frames in which the next series changed.
    fn hit(&self, id: SeriesId) -> impl Iterator<Item = &Run> {
        let runs = self.runs.iter().zip(&self.heads);
        let runs = runs.filter(move |(_, head)| **head == id);
        runs.map(|(run, _)| run)
    }

    fn advance(&mut self, columns: &Columns<'_>, id: SeriesId) {
        for (run, head) in self.runs.iter_mut().zip(&mut self.heads) {
            if *head != id {
                continue;
            }
            let columns = columns.of(&run.rows);
            self.done += match self.kind {
                0 => COUNTER * columns.len(),
                1 => GAUGE * columns.len(),
                _ => {
                    let packed = columns.iter().filter_map(|column| column.packed(run.at));
                    packed.map(|(_, packed)| HISTOGRAM + packed.len()).sum()
                }
            };
            run.at += 1;
            // As frames are all over the heap, what will be read of them some series later is asked for now.
            if self.kind != 0 || run.at.is_multiple_of(AHEAD) {
                let ahead = run.at + AHEAD;
                let ids = columns.first().map_or(&[][..], |column| column.ids);
                ids.get(ahead).into_iter().for_each(prefetch);
                for column in columns {
                    column.prefetch(self.kind, ahead);
                }
            }
            let next = columns.first().and_then(|column| column.ids.get(run.at));
            *head = next.copied().unwrap_or(NONE);
        }
    }

    /// Frames of `rows` in which the next series changed, with its place there.
    fn changes<'a>(
        &'a self,
        columns: &'a Columns<'a>,
        id: SeriesId,
        rows: Range<usize>,
    ) -> impl Iterator<Item = (usize, &'a Column<'a>, usize)> {
        self.hit(id).flat_map(move |run| {
            let rows = run.rows.start.max(rows.start)..run.rows.end.min(rows.end);
            let columns = rows.clone().zip(columns.of(&rows));
            columns.map(|(row, column)| (row, column, run.at))
        })
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
        let rows = self.frames.iter().map(|kept| kept.row());
        let parts = axis::Parts::of(&rows);
        let charge = Charge::new(&self.ledger, Part::History, parts.bytes())?;
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
        let tick = self.frames.first().map_or(0, |kept| kept.tick);
        let axis = Axis::new(&rows, &parts, tick, charge);
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

/// The rows of a range.
fn range(rows: &Range<usize>) -> Rows {
    rows::first(rows.end) & !rows::first(rows.start)
}
