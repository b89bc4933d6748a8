//! A consistent view of history: the newest ticks as frames, and behind them, tier by tier, what was sealed.

use super::{axis::Axis, charge::Charge, frame::Frame, issue::Issue};
use crate::{
    codec::segment::{self, Block, Row},
    ledger::{Full, Ledger, Part},
    model::{
        MetricKind, Timestamp,
        frame::{CLASSES, SeriesId, class_of},
    },
    util::{layout, sync::Arc},
};

/// A frame in history.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) frame: Frame,
    /// Number of its tick, or of the first tick of a coarse point; ascending, not necessarily by one.
    pub(crate) tick: u64,
    /// Ticks that it is made of.
    pub(crate) ticks: u32,
    /// What readers of frames know it by; of coarse points, nothing.
    pub(super) issue: Issue,
    /// For the columns but the lists of series, and for this; last, so that it is given back after they are.
    pub(super) charges: [Charge; 2],
}

impl Kept {
    pub(crate) fn row(&self) -> Row {
        Row {
            start_ns: self.frame.span.start_ns,
            end_ns: self.frame.span.end_ns,
            ticks: self.ticks,
        }
    }

    /// Bytes that go with it, while these others stay.
    pub(super) fn bytes_beside<'a>(
        &self,
        others: impl Iterator<Item = &'a Arc<Self>> + Clone,
    ) -> usize {
        let others = others.map(|other| &other.frame);
        let own = self.charges.iter().map(Charge::bytes).sum::<usize>();
        self.issue.bytes() + own + self.frame.unshared_bytes(&others)
    }
}

/// Bytes of each of neighbouring points that are not sealed yet, when they go oldest first.
pub(super) fn each_open(open: &[Arc<Kept>]) -> impl Iterator<Item = usize> {
    let next = |at: usize| open.iter().skip(at + 1).take(1);
    let open = open.iter().enumerate();
    open.map(move |(at, kept)| kept.bytes_beside(next(at)))
}

/// Bytes of all of them.
pub(super) fn open_bytes(open: &[Arc<Kept>]) -> usize {
    each_open(open).sum()
}

/// The series of one retention class in a segment.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// By kind.
    pub(super) blocks: [Vec<Block>; 3],
    pub(super) charge: Charge,
}

/// A segment: some tens of neighbouring points of a tier, sealed.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) axis: Arc<Axis>,
    /// Bit `c`: class `c` is still kept.
    pub(super) kept: u8,
    /// By class; `None`: nothing of it changed, or it is not kept any more.
    pub(super) chunks: [Option<Arc<Chunks>>; CLASSES],
}

impl Segment {
    /// The chunk of one series; `None`: nothing changed.
    pub(crate) fn chunk(&self, kind: MetricKind, id: SeriesId) -> Option<&[u8]> {
        let chunks = self.chunks.get(class_of(id))?.as_ref()?;
        segment::find(chunks.blocks.get(place_of(kind))?, id)
    }

    pub(super) fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().flatten();
        self.axis.charge.bytes() + chunks.map(|chunks| chunks.charge.bytes()).sum::<usize>()
    }
}

/// Where the blocks of a kind are.
pub(super) const fn place_of(kind: MetricKind) -> usize {
    match kind {
        MetricKind::Counter => 0,
        MetricKind::Gauge => 1,
        MetricKind::Histogram => 2,
    }
}

/// What one tier has beside the frames of ticks.
#[derive(Debug)]
pub(crate) struct Shelved {
    /// Oldest first.
    pub(crate) segments: Vec<Segment>,
    /// Newer points of a coarse tier, not sealed yet; of the finest tier, these are the frames of ticks.
    pub(crate) open: Vec<Arc<Kept>>,
    /// Bytes of these.
    pub(super) open_bytes: usize,
    /// Bit `c`: class `c` is kept in this tier.
    pub(crate) classes: u8,
    /// Scale of the histograms.
    pub(crate) scale: u8,
}

impl Shelved {
    /// Nanosecond at which its oldest point starts.
    pub(super) fn start_ns(&self) -> Option<u64> {
        let segment = self.segments.first().map(|segment| segment.axis.start_ns());
        segment.or_else(|| self.open.first().map(|kept| kept.frame.span.start_ns))
    }

    pub(super) fn oldest_tick(&self) -> Option<u64> {
        let segment = self.segments.first().map(|segment| segment.axis.tick);
        segment.or_else(|| self.open.first().map(|kept| kept.tick))
    }

    /// The oldest tick in which there may be something of a class.
    fn oldest_tick_of(&self, class: usize) -> Option<u64> {
        let has = |segment: &&Segment| segment.kept >> class & 1 == 1;
        let segment = self.segments.iter().find(has);
        let open = self.open.first().filter(|_| self.classes >> class & 1 == 1);
        let segment = segment.map(|segment| segment.axis.tick);
        segment.or_else(|| open.map(|kept| kept.tick))
    }

    pub(super) fn bytes(&self) -> usize {
        let segments = self.segments.iter().map(Segment::bytes);
        segments.sum::<usize>() + self.open_bytes
    }
}

/// What becomes of a tier.
#[derive(Debug, Default)]
pub(super) struct Edit {
    /// How many of its segments go, oldest first, and the one that comes.
    pub(super) segments_gone: usize,
    pub(super) segment: Option<Segment>,
    /// How many of its open points go, oldest first; how many of the newest do; and those that come.
    pub(super) open_gone: usize,
    pub(super) newest_gone: usize,
    pub(super) points: Vec<Arc<Kept>>,
    /// The classes that it keeps from now on, if they are others.
    pub(super) classes: Option<u8>,
}

impl Edit {
    fn segments(&self, tier: &Shelved) -> usize {
        let stay = tier.segments.len().saturating_sub(self.segments_gone);
        stay + usize::from(self.segment.is_some())
    }

    fn open(&self, tier: &Shelved) -> usize {
        let gone = self.open_gone + self.newest_gone;
        tier.open.len().saturating_sub(gone) + self.points.len()
    }
}

/// All tiers, finest first.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) tiers: Vec<Shelved>,
    /// Bytes of all that is in them.
    bytes: usize,
    charge: Charge,
}

impl Archive {
    /// Without a point.
    pub(super) fn empty(tiers: impl ExactSizeIterator<Item = Shelved>, charge: Charge) -> Self {
        let mut all = Vec::with_capacity(tiers.len());
        all.extend(tiers);
        Self {
            tiers: all,
            bytes: 0,
            charge,
        }
    }

    /// Another archive: of each tier, segments that `keep` keeps a part of, and what `edits` says.
    pub(super) fn edited(
        &self,
        ledger: &Arc<Ledger>,
        mut edits: Vec<Edit>,
        keep: impl Fn(usize, &Segment) -> Option<Segment>,
    ) -> Result<Arc<Self>, Full> {
        edits.resize_with(self.tiers.len(), Edit::default);
        let sizes = || self.tiers.iter().zip(&edits);
        let segments: usize = sizes().map(|(tier, edit)| edit.segments(tier)).sum();
        let open: usize = sizes().map(|(tier, edit)| edit.open(tier)).sum();
        let bytes = Self::bytes(self.tiers.len(), segments, open);
        let charge = Charge::new(ledger, Part::History, bytes)?;
        let mut tiers = Vec::with_capacity(self.tiers.len());
        for (at, (tier, edit)) in self.tiers.iter().zip(edits).enumerate() {
            let (segments, open) = (edit.segments(tier), edit.open(tier));
            let mut shelved = Shelved {
                segments: Vec::with_capacity(segments),
                open: Vec::with_capacity(open),
                open_bytes: 0,
                classes: edit.classes.unwrap_or(tier.classes),
                scale: tier.scale,
            };
            let stay = tier.segments.iter().skip(edit.segments_gone);
            shelved
                .segments
                .extend(stay.filter_map(|segment| keep(at, segment)));
            shelved.segments.extend(edit.segment);
            let stay = tier.open.len().saturating_sub(edit.newest_gone);
            let stay = tier.open.iter().take(stay).skip(edit.open_gone);
            shelved.open.extend(stay.cloned());
            shelved.open.extend(edit.points);
            shelved.open_bytes = open_bytes(&shelved.open);
            tiers.push(shelved);
        }
        Ok(Arc::new(Self {
            bytes: tiers.iter().map(Shelved::bytes).sum(),
            tiers,
            charge,
        }))
    }

    /// Bytes of a archive with so many segments and open points, in all tiers together.
    pub(super) fn bytes(tiers: usize, segments: usize, open: usize) -> usize {
        layout::arc::<Self>()
            + layout::vec::<Shelved>(tiers)
            + layout::vec::<Segment>(segments)
            + layout::vec::<Arc<Kept>>(open)
    }
}

/// A consistent view of history, which never changes.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// Ticks that are not sealed yet, oldest first; each starts where the one before ends, or later if ticks were lost.
    pub(crate) frames: Box<[Arc<Kept>]>,
    /// Bytes of these.
    pub(super) frames_bytes: usize,
    pub(crate) archive: Arc<Archive>,
    /// Wall milliseconds at nanosecond 0 of the axis.
    pub(crate) wall_start_ms: i64,
    pub(super) charge: Charge,
}

impl Timeline {
    /// Of `len` frames, which take `bytes` if the caller knows.
    pub(super) fn new(
        ledger: &Arc<Ledger>,
        wall_start_ms: i64,
        archive: Arc<Archive>,
        (len, frames_bytes): (usize, Option<usize>),
        frames: impl Iterator<Item = Arc<Kept>>,
    ) -> Result<Self, Full> {
        let bytes = layout::arc::<Self>() + layout::vec::<Arc<Kept>>(len);
        let charge = Charge::new(ledger, Part::History, bytes)?;
        let mut list = Vec::with_capacity(len);
        list.extend(frames.take(len));
        debug_assert!(
            frames_bytes.is_none_or(|bytes| bytes == open_bytes(&list)),
            "what the caller knows"
        );
        Ok(Self {
            frames_bytes: frames_bytes.unwrap_or_else(|| open_bytes(&list)),
            frames: list.into(),
            archive,
            wall_start_ms,
            charge,
        })
    }

    pub(crate) fn last(&self) -> Option<&Frame> {
        self.frames.last().map(|kept| &kept.frame)
    }

    /// The oldest tick that any point is made of.
    pub(crate) fn oldest_tick(&self) -> Option<u64> {
        let tiers = self.archive.tiers.iter().filter_map(Shelved::oldest_tick);
        let frame = self.frames.first().map(|kept| kept.tick);
        tiers.chain(frame).min()
    }

    /// The oldest tick of which any point may mention a series of a class.
    pub(super) fn oldest_tick_of(&self, class: usize) -> Option<u64> {
        let tiers = self.archive.tiers.iter();
        let tiers = tiers.filter_map(|tier| tier.oldest_tick_of(class));
        let frame = self.frames.first().map(|kept| kept.tick);
        tiers.chain(frame).min()
    }

    /// Nanosecond at which the oldest point of a tier starts.
    pub(crate) fn start_ns(&self, tier: usize) -> Option<u64> {
        let shelved = self.archive.tiers.get(tier).and_then(Shelved::start_ns);
        let frame = self.frames.first().map(|kept| kept.frame.span.start_ns);
        shelved.or(if tier == 0 { frame } else { None })
    }

    /// The part of the axis from the start of the oldest point to the end of the newest.
    pub(crate) fn covered(&self) -> Option<(Timestamp, Timestamp)> {
        let end = self.last()?.span.wall_ms;
        let reach = i64::try_from(self.reach_ns() / 1_000_000).unwrap_or(i64::MAX);
        let start = end.saturating_sub(reach);
        Some((Timestamp::from_millis(start), Timestamp::from_millis(end)))
    }

    /// Nanoseconds from the start of the oldest point to the end of the newest.
    pub(crate) fn reach_ns(&self) -> u64 {
        let starts = (0..self.archive.tiers.len()).filter_map(|tier| self.start_ns(tier));
        let end = self.last().map(|frame| frame.span.end_ns);
        let reach = end
            .zip(starts.min())
            .map(|(end, start)| end.saturating_sub(start));
        reach.unwrap_or(0)
    }

    /// Points of a tier, and their bytes; of all, and of those that are sealed.
    pub(crate) fn size(&self, tier: usize) -> [(usize, usize); 2] {
        let shelved = self.archive.tiers.get(tier);
        let segments = shelved.map_or(&[][..], |shelved| &shelved.segments);
        let sealed: usize = segments.iter().map(|segment| segment.axis.len()).sum();
        let open: &[Arc<Kept>] = match tier {
            0 => &self.frames,
            _ => shelved.map_or(&[], |shelved| &shelved.open),
        };
        let bytes = segments.iter().map(Segment::bytes).sum::<usize>();
        let open_bytes = match tier {
            0 => self.frames_bytes,
            _ => shelved.map_or(0, |shelved| shelved.open_bytes),
        };
        [(sealed + open.len(), bytes + open_bytes), (sealed, bytes)]
    }

    /// Bytes that would be free if nobody had this timeline.
    pub(super) fn bytes(&self) -> usize {
        self.charge.bytes() + self.archive.charge.bytes() + self.archive.bytes + self.frames_bytes
    }
}
