//! Bucket counts in pages that are allocated on first touch, and what counts when there is no room for one.
//!
//! A page holds sixteen neighbouring buckets: one octave at schema 4. Pages near the first value are found through one
//! small directory; those far from it, and those of negative values, through a second step. When the ledger has no room
//! for a page, its counts go to one coarse word: resolution degrades, data does not.

use crate::{
    ledger::{Ledger, Part},
    model::schema::Code,
    util::bits::low,
    util::prefetch::prefetch,
    util::sync::{AtomicU32, AtomicU64, OnceBox, Order, order},
};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Buckets of a page. Small under loom, which pays for every word that a sweep looks at.
const PAGE: usize = CODES as usize;
const CODES: u32 = if cfg!(loom) { 2 } else { 16 };

/// Pages of a directory.
const GROUP: usize = if cfg!(loom) { 2 } else { 32 };

/// Directories that cover every page of one sign, at the finest schema.
const GROUPS: usize = if cfg!(loom) { 2 } else { 128 };

/// Codes are shifted by this before they are divided into pages, so that at schema 4 a page is an octave.
const SHIFT: u32 = 14;

/// Sixteen counts, which wrap at 2^32 and are never reset.
#[derive(Debug, Default)]
pub(crate) struct Page {
    counts: [AtomicU32; PAGE],
    /// The counts as the tick saw them last; only the tick reads and writes them.
    seen: [AtomicU32; PAGE],
    /// How often each count has wrapped since the last tick; allocated when the first one does.
    wraps: OnceBox<[AtomicU64; PAGE]>,
}

/// A directory of neighbouring pages.
#[derive(Debug)]
struct Group {
    /// Number of its first page.
    first: u32,
    pages: [OnceBox<Page>; GROUP],
    /// Counts of pages that there was no room for.
    coarse: [AtomicU64; GROUP],
}

/// Bytes of a directory and of a page.
#[cfg(all(test, loom))]
pub(crate) const BYTES: (usize, usize) = (size_of::<Group>(), size_of::<Page>());

/// All directories of one sign.
type Far = [OnceBox<Group>; GROUPS];

/// Counts of one part of a histogram.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    /// Zeros and subnormals.
    zero: AtomicU64,
    /// Around the first positive value.
    near: OnceBox<Group>,
    /// The other positive values, and the negative ones.
    far: [OnceBox<Far>; 2],
    /// Counts without room for a directory: below `near`, above it, negative.
    rough: [AtomicU64; 3],
}

/// A count has wrapped.
///
/// ORDERING: who sees the wrap sees the wrapped count, or would take 2^32 too many. Partner: [`WRAPS_TAKEN`].
pub(crate) const WRAPPED: Order = order("WRAPPED", Release);

/// The tick takes the wraps.
///
/// ORDERING: partner of [`WRAPPED`].
pub(crate) const WRAPS_TAKEN: Order = order("WRAPS_TAKEN", Acquire);

/// Where a bucket's count stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Zero(&'a AtomicU64),
    Count(&'a Page, usize),
}

/// Number of the page of a bucket, and the bucket's place there; for the magnitude of a code that is not zero.
#[inline(always)]
fn split(magnitude: u32) -> (u32, usize) {
    let at = magnitude + SHIFT;
    (at / CODES, (at % CODES) as usize)
}

/// Magnitudes of codes in a page, from and to.
fn span_of(page: u32) -> (Code, Code) {
    let from = (page * CODES).saturating_sub(SHIFT).max(1);
    let to = page * CODES + CODES - 1 - SHIFT;
    (from.cast_signed(), to.cast_signed())
}

impl Group {
    fn new(first: u32) -> Self {
        Self {
            first,
            pages: std::array::from_fn(|_| OnceBox::new()),
            coarse: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    #[inline(always)]
    fn page(&self, number: u32) -> Option<&Page> {
        self.slot(number)?.get()
    }

    #[inline(always)]
    fn slot(&self, number: u32) -> Option<&OnceBox<Page>> {
        self.pages.get(number.wrapping_sub(self.first) as usize)
    }

    fn coarse(&self, number: u32) -> Option<&AtomicU64> {
        self.coarse.get(number.wrapping_sub(self.first) as usize)
    }
}

/// Puts a boxed value into `cell` if it is empty and the ledger has room for it. Not from inside itself: an allocator
/// that records into the histogram whose page it is to make would come back here for ever.
fn fill<'a, T>(cell: &'a OnceBox<T>, ledger: &Ledger, make: impl FnOnce() -> T) -> Option<&'a T> {
    if let Some(there) = cell.get() {
        return Some(there);
    }
    #[cfg(not(loom))]
    let _busy = super::Busy::enter()?;
    ledger.reserve(Part::Pages, size_of::<T>()).ok()?;
    if cell.set(Box::new(make())).is_err() {
        ledger.release(Part::Pages, size_of::<T>());
    }
    cell.get()
}

impl Buckets {
    /// The word of a positive bucket near the first value: where nearly all counts go.
    #[inline(always)]
    pub(crate) fn near_word(&self, code: Code) -> Option<&AtomicU32> {
        let (page, at) = split(code.cast_unsigned());
        self.near.get()?.page(page)?.counts.get(at)
    }

    /// Where the bucket `code` is counted, if it has been touched before.
    #[inline]
    pub(crate) fn find(&self, code: Code) -> Option<Place<'_>> {
        if code > 0 {
            let (page, at) = split(code.cast_unsigned());
            if let Some(page) = self.near.get().and_then(|near| near.page(page)) {
                return Some(Place::Count(page, at));
            }
        }
        self.find_far(code)
    }

    fn find_far(&self, code: Code) -> Option<Place<'_>> {
        if code == 0 {
            return Some(Place::Zero(&self.zero));
        }
        let (page, at) = split(code.unsigned_abs());
        let group = self.group(code, page)?;
        group.page(page).map(|page| Place::Count(page, at))
    }

    /// The directory in which page `number` of the sign of `code` belongs, if it exists.
    fn group(&self, code: Code, number: u32) -> Option<&Group> {
        if code > 0 {
            let near = self.near.get()?;
            if near.slot(number).is_some() {
                return Some(near);
            }
        }
        let far = self.far.get(usize::from(code < 0))?.get()?;
        far.get(number as usize / GROUP)?.get()
    }

    /// As [`Buckets::find`], and allocates what is missing; `None`: there is no room, count coarsely.
    pub(crate) fn touch(&self, ledger: &Ledger, code: Code) -> Option<Place<'_>> {
        if code == 0 {
            return Some(Place::Zero(&self.zero));
        }
        let (page, at) = split(code.unsigned_abs());
        let group = self.touch_group(ledger, code, page)?;
        let page = fill(group.slot(page)?, ledger, Page::default)?;
        Some(Place::Count(page, at))
    }

    fn touch_group(&self, ledger: &Ledger, code: Code, number: u32) -> Option<&Group> {
        if code > 0 {
            let half = u32::try_from(GROUP / 2).unwrap_or(0);
            let first = number.saturating_sub(half);
            let near = fill(&self.near, ledger, || Group::new(first))?;
            if near.slot(number).is_some() {
                return Some(near);
            }
        }
        let far = fill(self.far.get(usize::from(code < 0))?, ledger, || {
            std::array::from_fn(|_| OnceBox::new())
        })?;
        let at = number as usize / GROUP;
        let first = u32::try_from(at * GROUP).unwrap_or(0);
        fill(far.get(at)?, ledger, || Group::new(first))
    }

    /// Counts a bucket whose page does not fit.
    #[cold]
    pub(crate) fn add_coarse(&self, code: Code, count: u64) {
        let (page, _) = split(code.unsigned_abs());
        let coarse = self.group(code, page).and_then(|group| group.coarse(page));
        let word = coarse.unwrap_or_else(|| {
            let below = self.near.get().is_some_and(|near| page < near.first);
            let [low, high, negative] = &self.rough;
            match (code < 0, below) {
                (true, _) => negative,
                (false, true) => low,
                (false, false) => high,
            }
        });
        word.fetch_add(count, Relaxed);
    }

    /// Counts what may lie anywhere from one code to another of the same sign.
    #[cold]
    pub(crate) fn add_span(&self, from: Code, to: Code, count: u64) {
        if split(from.unsigned_abs()).0 == split(to.unsigned_abs()).0 {
            return self.add_coarse(from, count);
        }
        let [_, anywhere, negative] = &self.rough;
        let word = if from < 0 { negative } else { anywhere };
        word.fetch_add(count, Relaxed);
    }

    /// Asks for what lies so many pointers behind it, where nearly all counts are.
    #[inline]
    pub(super) fn prefetch(&self, depth: usize) {
        let Some(near) = self.near.get() else {
            return;
        };
        match depth {
            1 => prefetch(near),
            2 => near
                .pages
                .iter()
                .filter_map(OnceBox::get)
                .for_each(prefetch),
            _ => {}
        }
    }

    /// Bytes of everything that hangs here.
    pub(crate) fn bytes(&self) -> usize {
        let near = self.near.get().map_or(0, group_bytes);
        let far = self.far.iter().filter_map(OnceBox::get).map(|far| {
            let groups = far.iter().filter_map(OnceBox::get).map(group_bytes);
            size_of::<Far>() + groups.sum::<usize>()
        });
        near + far.sum::<usize>()
    }

    /// Every directory, the sign of its values first.
    fn groups(&self) -> impl Iterator<Item = (bool, &Group)> {
        let near = self.near.get().map(|near| (false, near));
        let far = self.far.iter().enumerate().filter_map(|(i, far)| {
            let far = far.get()?;
            Some((i, far))
        });
        let far = far.flat_map(|(i, far)| far.iter().filter_map(move |g| Some((i == 1, g.get()?))));
        near.into_iter().chain(far)
    }
}

fn group_bytes(group: &Group) -> usize {
    let pages = group.pages.iter().filter_map(OnceBox::get).map(|page| {
        size_of::<Page>()
            + page
                .wraps
                .get()
                .map_or(0, |_| size_of::<[AtomicU64; PAGE]>())
    });
    size_of::<Group>() + pages.sum::<usize>()
}

impl Place<'_> {
    /// `count` more, by the single writer.
    pub(crate) fn add_owned(self, buckets: &Buckets, ledger: &Ledger, code: Code, count: u64) {
        match self {
            Place::Count(page, at) => {
                let Some(word) = page.counts.get(at) else {
                    return;
                };
                let (low, wraps) = parts(count);
                let (next, wrapped) = word.load(Relaxed).overflowing_add(low);
                if wrapped && page.wraps(ledger).is_none() {
                    return buckets.add_coarse(code, count);
                }
                word.store(next, Relaxed);
                let wraps = wraps + u64::from(wrapped);
                if wraps > 0 {
                    page.wrap(buckets, ledger, code, at, wraps);
                }
            }
            Place::Zero(word) => {
                word.fetch_add(count, Relaxed);
            }
        }
    }

    /// `count` more, by any thread.
    #[inline]
    pub(crate) fn add_shared(self, buckets: &Buckets, ledger: &Ledger, code: Code, count: u64) {
        match self {
            Place::Count(page, at) => {
                let Some(word) = page.counts.get(at) else {
                    return;
                };
                let (low, wraps) = parts(count);
                let is_far = word.load(Relaxed).saturating_add(low) >= HALF;
                let wraps = if is_far && page.wraps(ledger).is_none() {
                    if !add_below_wrap(word, low) {
                        return buckets.add_coarse(code, count);
                    }
                    wraps
                } else {
                    let before = word.fetch_add(low, Relaxed);
                    wraps + u64::from(before.checked_add(low).is_none())
                };
                if wraps > 0 {
                    page.wrap(buckets, ledger, code, at, wraps);
                }
            }
            Place::Zero(word) => {
                word.fetch_add(count, Relaxed);
            }
        }
    }
}

/// From here on a shared count is added to with care, if there is no room to note a wrap: it could not be undone.
const HALF: u32 = 1 << 31;

/// False: it would wrap, and nothing was added.
#[cold]
fn add_below_wrap(word: &AtomicU32, more: u32) -> bool {
    let mut now = word.load(Relaxed);
    while let Some(next) = now.checked_add(more) {
        match word.compare_exchange_weak(now, next, Relaxed, Relaxed) {
            Ok(_) => return true,
            Err(seen) => now = seen,
        }
    }
    false
}

/// A count as what a page's word takes, and how often 2^32 goes into it.
#[inline(always)]
fn parts(count: u64) -> (u32, u64) {
    (low(count), count >> 32)
}

impl Page {
    /// Where wraps are counted; `None`: there is no room for that.
    #[cold]
    #[inline(never)]
    fn wraps(&self, ledger: &Ledger) -> Option<&[AtomicU64; PAGE]> {
        fill(&self.wraps, ledger, || {
            std::array::from_fn(|_| AtomicU64::new(0))
        })
    }

    /// Counts `wraps` times 2^32. Without room for that, they keep their number and lose their resolution.
    #[cold]
    #[inline(never)]
    fn wrap(&self, buckets: &Buckets, ledger: &Ledger, code: Code, at: usize, wraps: u64) {
        match self.wraps(ledger).and_then(|words| words.get(at)) {
            Some(word) => {
                word.fetch_add(wraps, WRAPPED);
            }
            None => buckets.add_coarse(code, wraps << 32),
        }
    }

    #[inline]
    fn is_changed(&self, at: usize) -> bool {
        let (Some(word), Some(seen)) = (self.counts.get(at), self.seen.get(at)) else {
            return false;
        };
        word.load(Relaxed) != seen.load(Relaxed) || self.wraps.get().is_some()
    }

    /// How much one count has grown since the last time.
    fn take(&self, at: usize) -> u64 {
        let (Some(word), Some(seen)) = (self.counts.get(at), self.seen.get(at)) else {
            return 0;
        };
        let wraps = self.wraps.get().and_then(|words| words.get(at));
        let wraps = wraps.map_or(0, |word| word.swap(0, WRAPS_TAKEN));
        let (now, before) = (word.load(Relaxed), seen.load(Relaxed));
        // Read between a wrap and its count: all of it comes with the next tick.
        if wraps == 0 && now < before {
            return 0;
        }
        seen.store(now, Relaxed);
        (wraps << 32)
            .wrapping_add(u64::from(now))
            .wrapping_sub(u64::from(before))
    }
}

/// Receives what was counted since the last tick.
pub(crate) trait Receive {
    fn bucket(&mut self, code: Code, count: u64);
    /// Counts that may lie anywhere from the first code to the second.
    fn span(&mut self, from: Code, to: Code, count: u64);
}

impl Buckets {
    /// Hands over what was counted since the last time. Only the tick calls it, one call at a time.
    pub(crate) fn drain(&self, to: &mut impl Receive) {
        for (negative, group) in self.groups() {
            for (number, page) in (group.first..).zip(&group.pages) {
                let Some(page) = page.get() else { continue };
                for at in 0..PAGE {
                    if page.is_changed(at) {
                        let count = page.take(at);
                        if count > 0 {
                            to.bucket(code_of(negative, number, at), count);
                        }
                    }
                }
            }
        }
        self.drain_words(to);
    }

    /// Takes the zeros and the coarse counts.
    fn drain_words(&self, to: &mut impl Receive) {
        if let Some(count) = take(&self.zero) {
            to.bucket(0, count);
        }
        for (negative, group) in self.groups() {
            for (number, word) in (group.first..).zip(&group.coarse) {
                if let Some(count) = take(word) {
                    let (from, upto) = span_of(number);
                    let (from, upto) = if negative {
                        (-upto, -from)
                    } else {
                        (from, upto)
                    };
                    to.span(from, upto, count);
                }
            }
        }
        let near = self.near.get().map_or(0, |near| near.first);
        let [low, high, negative] = &self.rough;
        if let Some(count) = take(low) {
            to.span(1, span_of(near).0, count);
        }
        if let Some(count) = take(high) {
            to.span(1, Code::MAX, count);
        }
        if let Some(count) = take(negative) {
            to.span(-Code::MAX, -1, count);
        }
    }
}

fn take(word: &AtomicU64) -> Option<u64> {
    if word.load(Relaxed) == 0 {
        return None;
    }
    Some(word.swap(0, Relaxed)).filter(|count| *count > 0)
}

/// Code of the bucket at `at` in page `number`.
fn code_of(negative: bool, number: u32, at: usize) -> Code {
    let at = u32::try_from(at).unwrap_or(0);
    let magnitude = (number * CODES + at).saturating_sub(SHIFT).cast_signed();
    if negative { -magnitude } else { magnitude }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ledger::SMALLEST;

    #[derive(Default)]
    struct Spans(Vec<(Code, Code, u64)>);

    impl Receive for Spans {
        fn bucket(&mut self, _: Code, _: u64) {}

        fn span(&mut self, from: Code, to: Code, count: u64) {
            self.0.push((from, to, count));
        }
    }

    /// A thread's end moved counts that might have stood anywhere above zero to the page of the smallest values.
    #[test]
    fn counts_without_a_bucket_keep_their_bounds_when_they_move() {
        let buckets = Buckets::default();
        let ledger = Ledger::new(SMALLEST);
        for code in [1, -1] {
            assert!(buckets.touch(&ledger, code).is_some());
        }
        let anywhere = [(1, Code::MAX, 3), (-Code::MAX, -1, 4)];
        let (from, to) = span_of(0);
        let mut moved = Spans::default();
        for (from, to, count) in [(from, to, 5)].into_iter().chain(anywhere) {
            buckets.add_span(from, to, count);
        }
        buckets.drain(&mut moved);
        assert_eq!(moved.0, [(from, to, 5), anywhere[0], anywhere[1]]);
    }
}
