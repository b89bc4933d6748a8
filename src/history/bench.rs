//! Working memory in which one series at a time is laid out over the points of a segment.

use crate::{
    codec::{
        compile::Compiler,
        distribution,
        rows::{self, MOST_ROWS, Rows},
    },
    ledger::{Full, Ledger, Part},
    model::schema::Code,
    util::{layout, sync::Arc},
};

pub(super) type Floats = [f64; MOST_ROWS];
pub(super) type Counts = [u64; MOST_ROWS];

/// Columns with a place for each point, and the buckets of one histogram.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) increments: Counts,
    pub(super) peaks: Counts,
    /// Gauges have the value before the first point in the first place.
    pub(super) last: Floats,
    pub(super) min: Floats,
    pub(super) max: Floats,
    pub(super) sum: Floats,
    pub(super) count: Counts,
    /// Buckets of all points, one point behind the other, and where each ends.
    pub(super) cells: Vec<(Code, u64)>,
    pub(super) ends: [usize; MOST_ROWS],
    /// Counts without a bucket of their own, with their points.
    pub(super) spans: Vec<(usize, distribution::Span)>,
    pub(super) compiler: Compiler,
    /// Buckets and spans of one coarse point.
    pub(super) dense: Vec<u64>,
    pub(super) fine: Vec<(Code, u64)>,
    pub(super) coarse: Vec<distribution::Span>,
    ledger: Arc<Ledger>,
}

/// What the bench may hold between two histograms.
const MOST_HELD: usize = 64 << 10;

impl Bench {
    /// Reserves what it needs at least.
    pub(super) fn new(ledger: &Arc<Ledger>) -> Result<Box<Self>, Full> {
        ledger.reserve(Part::Tick, size_of::<Self>())?;
        Ok(Box::new(Self {
            increments: [0; MOST_ROWS],
            peaks: [0; MOST_ROWS],
            last: [0.0; MOST_ROWS],
            min: [0.0; MOST_ROWS],
            max: [0.0; MOST_ROWS],
            sum: [0.0; MOST_ROWS],
            count: [0; MOST_ROWS],
            cells: Vec::new(),
            ends: [0; MOST_ROWS],
            spans: Vec::new(),
            compiler: Compiler::new(0),
            dense: Vec::new(),
            fine: Vec::new(),
            coarse: Vec::new(),
            ledger: ledger.clone(),
        }))
    }

    /// Buckets of the point in row `row`.
    pub(super) fn cells_of(&self, row: usize) -> &[(Code, u64)] {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before));
        let (start, end) = (start.copied().unwrap_or(0), self.ends.get(row));
        self.cells
            .get(start..end.copied().unwrap_or(0))
            .unwrap_or_default()
    }

    /// Adds a bucket behind all others.
    pub(super) fn push_cell(&mut self, code: Code, count: u64) -> Result<(), Full> {
        let fits = self.ledger.room(Part::Tick, &mut self.cells, 1);
        self.cells.extend(fits.then_some((code, count)));
        if fits { Ok(()) } else { Err(Full) }
    }

    /// Adds a span of the point in row `row`.
    pub(super) fn push_span(&mut self, row: usize, span: distribution::Span) -> Result<(), Full> {
        let fits = self.ledger.room(Part::Tick, &mut self.spans, 1);
        self.spans.extend(fits.then_some((row, span)));
        if fits { Ok(()) } else { Err(Full) }
    }

    /// The lowest and the highest code in some rows; zero, if there are no buckets.
    pub(super) fn ends_of(&self, hits: Rows) -> (Code, Code) {
        let rows = || rows::iter(hits).map(|row| self.cells_of(row));
        let lowest = rows().filter_map(|cells| cells.first()).map(|cell| cell.0);
        let highest = rows().filter_map(|cells| cells.last()).map(|cell| cell.0);
        (lowest.min().unwrap_or(0), highest.max().unwrap_or(0))
    }

    /// Room in the compiler for all cells and spans of `n` rows.
    pub(super) fn room_to_compile(&mut self, n: usize) -> Result<(), Full> {
        let (lowest, highest) = self.ends_of(rows::first(n));
        let codes = highest.abs_diff(lowest) as usize + 1;
        let (cells, spans) = (self.cells.len(), self.spans.len());
        if self.compiler.has_room(cells, spans, codes) {
            return Ok(());
        }
        let before = self.compiler.bytes();
        // What it has may be moved, so both exist for a moment; and it keeps what is larger already.
        let most = before + Compiler::needed(cells, spans, codes);
        self.ledger.reserve(Part::Tick, most)?;
        self.compiler.reserve(cells, spans, codes);
        let held = self.compiler.bytes();
        self.ledger
            .release(Part::Tick, (before + most).saturating_sub(held));
        Ok(())
    }

    /// Room for the buckets of one coarse point: `codes` counts side by side, and a list of at most `cells`.
    pub(super) fn room_to_merge(&mut self, codes: usize, cells: usize) -> Result<(), Full> {
        let ledger = &self.ledger;
        self.dense.clear();
        self.fine.clear();
        let fits = ledger.room(Part::Tick, &mut self.dense, codes)
            && ledger.room(Part::Tick, &mut self.fine, cells);
        if fits { Ok(()) } else { Err(Full) }
    }

    /// Adds a span to those of the coarse point.
    pub(super) fn merge_span(&mut self, span: distribution::Span) {
        let ledger = &self.ledger;
        distribution::add_span(&mut self.coarse, span, |spans| {
            ledger.room(Part::Tick, spans, 1)
        });
    }

    /// Gives back what one large histogram needed.
    pub(super) fn shrink(&mut self) {
        let held = layout::vec::<(Code, u64)>(self.cells.capacity() + self.fine.capacity())
            + layout::vec::<(usize, distribution::Span)>(self.spans.capacity())
            + layout::vec::<distribution::Span>(self.coarse.capacity())
            + layout::vec::<u64>(self.dense.capacity())
            + self.compiler.bytes();
        if held > MOST_HELD {
            self.cells = Vec::new();
            self.fine = Vec::new();
            self.spans = Vec::new();
            self.coarse = Vec::new();
            self.dense = Vec::new();
            self.compiler = Compiler::new(0);
            self.ledger.release(Part::Tick, held);
        }
    }
}
