//! Immutable columns of one tick, or of one point of a coarse tier. Frames in which the same series changed share the list
//! of them, as most neighbours do.

use super::charge::Charge;
use crate::{
    ledger::{Full, Ledger, Part},
    model::{
        frame::{Draft, GaugePoint, HistogramPoint, SeriesId, Span, Total, row},
        numbers::{Numbers, exact},
    },
    util::{layout, sync::Arc},
};
use std::ops::Deref;

/// Series of one kind that changed, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    ids: Vec<SeriesId>,
    /// For the list and for this.
    charge: Charge,
}

impl Deref for Ids {
    type Target = [SeriesId];

    fn deref(&self) -> &[SeriesId] {
        self.0.as_ref().map_or(&[], |shared| &shared.ids)
    }
}

impl Ids {
    /// A copy, or the same as `before`.
    fn copy(ledger: &Arc<Ledger>, ids: &[SeriesId], before: Option<&Self>) -> Result<Self, Full> {
        // One that was taken from a draft may have much more room than it needs, which must not stay for good.
        let before = before.filter(|before| !before.is_slack());
        if let Some(same) = Self::same(ids, before) {
            return Ok(same);
        }
        let bytes = layout::arc::<Shared>() + size_of_val(ids);
        let charge = Charge::new(ledger, Part::History, bytes)?;
        Ok(Self::new(exact(ids), charge))
    }

    /// The list itself, which `own` is for and `spare` is beside, or the same as `before`.
    fn take(ids: Vec<SeriesId>, before: Option<&Self>, own: Charge, spare: &mut Charge) -> Self {
        if let Some(same) = Self::same(&ids, before) {
            drop(ids);
            drop(own);
            return same;
        }
        let mut charge = spare.split(layout::arc::<Shared>());
        charge.join(own);
        Self::new(ids, charge)
    }

    fn same(ids: &[SeriesId], before: Option<&Self>) -> Option<Self> {
        if ids.is_empty() {
            return Some(Self::default());
        }
        before.filter(|before| ***before == *ids).cloned()
    }

    fn is_slack(&self) -> bool {
        let ids = self.0.as_ref().map(|shared| &shared.ids);
        ids.is_some_and(|ids| ids.capacity() > ids.len() + ids.len() / 4)
    }

    fn new(ids: Vec<SeriesId>, charge: Charge) -> Self {
        Self(Some(Arc::new(Shared { ids, charge })))
    }

    /// Whether it is one list, which both share.
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |shared| shared.charge.bytes())
    }
}

/// Columns of one tick, or of one point of a coarse tier.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) span: Span,
    pub(crate) counters: (Ids, Numbers),
    /// As in [`Draft::peaks`].
    pub(crate) peaks: Numbers,
    pub(crate) gauges: (Ids, Vec<GaugePoint>),
    /// As in [`Draft::totals`].
    pub(crate) totals: Vec<Total>,
    pub(crate) histograms: (Ids, Vec<HistogramPoint>),
    /// As in [`Draft::bytes`].
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// Bytes that [`Frame::take`] wants in advance.
    pub(super) const SPARE: usize = 3 * layout::arc::<Shared>();

    /// A copy of a draft without slack, which shares what it can with the frame `before`; and the charge for all that is
    /// its own.
    pub(super) fn copy(
        ledger: &Arc<Ledger>,
        draft: &Draft,
        span: Span,
        before: Option<&Self>,
    ) -> Result<(Self, Charge), Full> {
        let bytes = draft.counters.1.exact_bytes()
            + draft.peaks.exact_bytes()
            + size_of_val(&*draft.gauges.1)
            + size_of_val(&*draft.totals)
            + size_of_val(&*draft.histograms.1)
            + draft.bytes.len();
        let charge = Charge::new(ledger, Part::History, bytes)?;
        let counters = before.map(|before| &before.counters.0);
        let gauges = before.map(|before| &before.gauges.0);
        let histograms = before.map(|before| &before.histograms.0);
        let frame = Self {
            span,
            counters: (
                Ids::copy(ledger, &draft.counters.0, counters)?,
                draft.counters.1.exact(),
            ),
            peaks: draft.peaks.exact(),
            gauges: (
                Ids::copy(ledger, &draft.gauges.0, gauges)?,
                exact(&draft.gauges.1),
            ),
            totals: exact(&draft.totals),
            histograms: (
                Ids::copy(ledger, &draft.histograms.0, histograms)?,
                exact(&draft.histograms.1),
            ),
            bytes: exact(&draft.bytes),
        };
        Ok((frame, charge))
    }

    /// A frame of the draft's own columns, which the tick is charged for until now; the draft is empty then. `spare` is for
    /// [`Frame::SPARE`] bytes; what is not needed of it is given back.
    pub(super) fn take(
        ledger: &Arc<Ledger>,
        draft: &mut Draft,
        span: Span,
        before: Option<&Self>,
        mut spare: Charge,
    ) -> (Self, Charge) {
        let held = draft.bytes_held();
        let mut charge = Charge::adopt(ledger, Part::Tick, Part::History, held);
        let draft = std::mem::take(draft);
        let mut ids = |ids: Vec<SeriesId>, before: Option<&Ids>| {
            let own = charge.split(layout::vec::<SeriesId>(ids.capacity()));
            Ids::take(ids, before, own, &mut spare)
        };
        let counters = ids(draft.counters.0, before.map(|before| &before.counters.0));
        let gauges = ids(draft.gauges.0, before.map(|before| &before.gauges.0));
        let before = before.map(|before| &before.histograms.0);
        let histograms = ids(draft.histograms.0, before);
        let frame = Self {
            span,
            counters: (counters, draft.counters.1),
            peaks: draft.peaks,
            gauges: (gauges, draft.gauges.1),
            totals: draft.totals,
            histograms: (histograms, draft.histograms.1),
            bytes: draft.bytes,
        };
        (frame, charge)
    }

    /// The increment of one counter, and in coarse tiers its peak. `hint` is where the id stood in the frame before, and
    /// is updated.
    pub(crate) fn counter(&self, id: SeriesId, hint: &mut usize) -> Option<(u64, Option<u64>)> {
        let at = position(&self.counters.0, id, hint)?;
        Some((self.counters.1.get(at)?, self.peaks.get(at)))
    }

    /// What one gauge did, and in coarse tiers its total.
    pub(crate) fn gauge(
        &self,
        id: SeriesId,
        hint: &mut usize,
    ) -> Option<(GaugePoint, Option<Total>)> {
        let at = position(&self.gauges.0, id, hint)?;
        let point = self.gauges.1.get(at).copied()?;
        Some((point, self.totals.get(at).copied()))
    }

    /// What one histogram received, with its encoded buckets.
    pub(crate) fn histogram(
        &self,
        id: SeriesId,
        hint: &mut usize,
    ) -> Option<(HistogramPoint, &[u8])> {
        let at = position(&self.histograms.0, id, hint)?;
        self.histogram_at(at)
    }

    /// The histogram point in row `at`.
    pub(crate) fn histogram_at(&self, at: usize) -> Option<(HistogramPoint, &[u8])> {
        row(&self.histograms.1, &self.bytes, at)
    }

    /// Bytes of the lists of series that none of `others` shares.
    pub(super) fn unshared_bytes<'a>(
        &self,
        others: &(impl Iterator<Item = &'a Self> + Clone),
    ) -> usize {
        let lists: [fn(&Self) -> &Ids; 3] =
            [|f| &f.counters.0, |f| &f.gauges.0, |f| &f.histograms.0];
        let unshared = lists.into_iter().filter(|list| {
            let mut others = others.clone();
            !others.any(|other| list(self).is_shared_with(list(other)))
        });
        unshared.map(|list| list(self).bytes()).sum()
    }
}

/// Where `id` stands in sorted `ids`. Active series are mostly the same from tick to tick, so the last place is tried
/// first.
fn position(ids: &[SeriesId], id: SeriesId, hint: &mut usize) -> Option<usize> {
    if ids.get(*hint) == Some(&id) {
        return Some(*hint);
    }
    match ids.binary_search(&id) {
        Ok(at) => {
            *hint = at;
            Some(at)
        }
        Err(at) => {
            *hint = at;
            None
        }
    }
}
