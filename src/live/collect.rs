//! Where a sweep puts what it reads: the draft of a frame, and working memory for one series at a time, all charged to
//! the tick.

use super::buckets::Receive;
use crate::{
    codec::{buckets, distribution},
    ledger::{Ledger, Part},
    model::{frame::Draft, schema::Code},
    util::{layout, sync::Arc},
};

/// The draft and the working memory of the sweep, all charged to the tick.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) draft: Draft,
    pub(super) fine: Vec<(Code, u64)>,
    pub(super) spans: Vec<(Code, Code, u64)>,
    pub(super) ledger: Arc<Ledger>,
}

/// Buckets that the collector has room for from the start.
const FINE: usize = 256;
const SPANS: usize = 16;

impl Collector {
    /// Bytes to reserve before [`Collector::new`].
    pub(crate) const BYTES: usize =
        layout::vec::<(Code, u64)>(FINE) + layout::vec::<(Code, Code, u64)>(SPANS);

    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            draft: Draft::default(),
            fine: Vec::with_capacity(FINE),
            spans: Vec::with_capacity(SPANS),
            ledger,
        }
    }

    /// Gives back a draft that has grown beyond `most` bytes.
    pub(crate) fn shrink(&mut self, most: usize) {
        let held = self.draft.bytes_held();
        if held > most {
            self.draft = Draft::default();
            self.ledger.release(Part::Tick, held);
        }
    }
}

/// Sees to it that `more` elements fit; false: no room.
#[inline]
pub(super) fn room<T>(items: &mut Vec<T>, more: usize, ledger: &Ledger) -> bool {
    ledger.room(Part::Tick, items, more)
}

impl Receive for Collector {
    fn bucket(&mut self, code: Code, count: u64) {
        if room(&mut self.fine, 1, &self.ledger) {
            self.fine.push((code, count));
        } else {
            self.span(-Code::MAX, Code::MAX, count);
        }
    }

    fn span(&mut self, from: Code, to: Code, count: u64) {
        let ledger = &self.ledger;
        distribution::add_span(&mut self.spans, (from, to, count), |spans| {
            room(spans, 1, ledger)
        });
    }
}

impl Collector {
    /// Buckets of several cells become one ascending list.
    pub(super) fn settle(&mut self) {
        buckets::settle(&mut self.fine);
    }

    pub(super) fn count(&self) -> u64 {
        let fine = self.fine.iter().map(|b| b.1);
        let spans = self.spans.iter().map(|s| s.2);
        fine.chain(spans).fold(0, u64::wrapping_add)
    }

    /// A few bytes are there already; if the whole distribution does not fit, its count stays and its shape goes.
    pub(super) fn encode(&mut self, count: u64) {
        let bytes = distribution::encoded_len(&self.spans, &self.fine);
        if room(&mut self.draft.bytes, bytes, &self.ledger) {
            distribution::encode(&self.spans, &self.fine, &mut self.draft.bytes);
        } else {
            distribution::encode(
                &[(-Code::MAX, Code::MAX, count)],
                &[],
                &mut self.draft.bytes,
            );
        }
    }
}
