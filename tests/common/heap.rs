//! A global allocator that knows which store each live byte belongs to.
//!
//! Every allocation carries the account of the store that was at work when it was made ([`inside`]), or none: the
//! test's own memory, the facade's keys, stacks and handles of threads. What a store frees is taken off its account
//! wherever that happens: in a thread's last moments, or after the store is gone. While a store is at work, its ledger
//! is compared with its account **at every allocation and every deallocation**: "at every instant" is meant literally.
//! The worst that was seen waits for [`Account::verdict`].
//!
//! In the middle of work only `heap <= used <= budget` can hold: bytes are reserved before they are allocated and
//! released after they are freed, so `used` is ahead by what is under way. That it is not ahead by more, `used <= 1.1 x
//! heap + 64 KiB`, is for whoever knows that nothing is ([`Account::compare_at_rest`]).
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "the place was made for a pointer"
)]

use metrics_recall::Recall;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    backtrace::Backtrace,
    cell::Cell,
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};

/// What one store owns, and how far its ledger was ever off.
#[derive(Debug, Default)]
pub struct Account {
    /// Sum of the `Layout::size` of everything that the store allocated and nobody has freed yet.
    live: AtomicUsize,
    /// How often ledger and account were compared.
    checks: AtomicU64,
    /// The most by which `heap` was above `used`.
    above: AtomicUsize,
    /// The most by which `used` was above `budget`.
    beyond: AtomicUsize,
    /// The most by which `used` was above `1.1 x heap + 64 KiB` at rest.
    ahead: AtomicUsize,
    /// Where the first of these was seen.
    first: OnceLock<String>,
}

/// Whose work a thread is doing.
#[derive(Clone, Copy)]
struct Scope {
    /// Null: the test's own.
    account: *const Account,
    /// Null: not to be compared, because the store is still being built.
    recall: *const Recall,
}

const NOBODY: Scope = Scope {
    account: ptr::null(),
    recall: ptr::null(),
};

thread_local! {
    /// No destructor: readable in a thread's last moments.
    static SCOPE: Cell<Scope> = const { Cell::new(NOBODY) };
}

/// Puts the scope back, also when the work panics.
struct Restore(Scope);

impl Drop for Restore {
    fn drop(&mut self) {
        SCOPE.set(self.0);
    }
}

/// Runs `work` with its allocations on `account`; with a store, compares its ledger at each.
pub fn inside<T>(
    account: &'static Account,
    recall: Option<&Recall>,
    work: impl FnOnce() -> T,
) -> T {
    let recall = recall.map_or(ptr::null(), ptr::from_ref);
    let _restore = Restore(SCOPE.replace(Scope { account, recall }));
    work()
}

/// The most often that a comparison is repeated: other threads allocate and free between two reads.
const TRIES: u32 = 1_000;

impl Account {
    /// An account for the life of the process.
    pub fn open() -> &'static Account {
        Box::leak(Box::default())
    }

    /// Bytes that the store owns.
    pub fn heap(&self) -> usize {
        self.live.load(SeqCst)
    }

    /// Compares in the middle of work. Only a difference that stays is one: two words cannot be read at once.
    pub fn compare(&self, recall: &Recall) {
        self.checks.fetch_add(1, SeqCst);
        let mut worst = [usize::MAX; 2];
        for _ in 0..TRIES {
            let before = self.heap();
            let memory = recall.memory();
            let heap = before.min(self.heap());
            let now = [
                heap.saturating_sub(memory.used),
                memory.used.saturating_sub(memory.budget),
            ];
            worst = [worst[0].min(now[0]), worst[1].min(now[1])];
            if worst == [0; 2] {
                return;
            }
            std::hint::spin_loop();
        }
        self.above.fetch_max(worst[0], SeqCst);
        self.beyond.fetch_max(worst[1], SeqCst);
        self.first
            .get_or_init(|| Backtrace::force_capture().to_string());
    }

    /// Compares while nothing is under way.
    pub fn compare_at_rest(&self, recall: &Recall) {
        self.compare(recall);
        let heap = self.heap();
        let most = heap + heap / 10 + (64 << 10);
        let ahead = recall.memory().used.saturating_sub(most);
        self.ahead.fetch_max(ahead, SeqCst);
    }

    /// # Panics
    ///
    /// When a promise was ever seen broken, or nothing was ever compared.
    pub fn verdict(&self) {
        let [above, beyond, ahead] =
            [&self.above, &self.beyond, &self.ahead].map(|worst| worst.load(SeqCst));
        let first = self.first.get().map_or("", String::as_str);
        assert!(
            above + beyond + ahead == 0,
            "heap was {above} bytes above used; used was {beyond} bytes above the budget, and {ahead} bytes above 1.1 x heap + 64 KiB; first seen at\n{first}"
        );
        assert!(self.checks.load(SeqCst) > 0, "nothing was compared");
    }
}

/// Has as many threads wait at once as will wait for locks later. `parking_lot` keeps one table for all locks of the
/// process, and enlarges it when more threads wait than ever before; it is nobody's, and is not to come out of an account.
pub fn wait_at_once(threads: usize) {
    let waiting = Waiting::default();
    std::thread::scope(|scope| {
        let _let_go = LetGo(&waiting);
        for _ in 0..threads {
            scope.spawn(|| waiting.wait());
        }
        while waiting.state.lock().threads < threads {
            std::thread::yield_now();
        }
    });
}

#[derive(Default)]
struct Waiting {
    state: parking_lot::Mutex<WaitingState>,
    changed: parking_lot::Condvar,
}

#[derive(Default)]
struct WaitingState {
    threads: usize,
    is_over: bool,
}

impl Waiting {
    fn wait(&self) {
        let mut state = self.state.lock();
        state.threads += 1;
        self.changed.wait_while(&mut state, |state| !state.is_over);
    }
}

/// Lets them all go, also when one of them could not be started.
struct LetGo<'a>(&'a Waiting);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

/// Compares in the middle of an allocation.
fn compare(scope: Scope) {
    if scope.recall.is_null() || scope.account.is_null() {
        return;
    }
    let _restore = Restore(SCOPE.replace(NOBODY));
    // SAFETY: `inside` borrows both for as long as they are in this thread's scope.
    let (account, recall) = unsafe { (&*scope.account, &*scope.recall) };
    account.compare(recall);
}

/// The allocator: `System`, with a pointer to the account in front of each allocation.
pub struct Counting;

/// Bytes in front of an allocation; a multiple of its alignment.
fn head(layout: Layout) -> usize {
    layout.align().max(16)
}

/// The allocation with its head.
fn whole(layout: Layout, size: usize) -> Option<Layout> {
    let head = head(layout);
    Layout::from_size_align(size.checked_add(head)?, head).ok()
}

/// Enters an allocation into the books; `start` is where the head begins.
///
/// # Safety
///
/// `start` is null or an allocation of [`whole`].
unsafe fn enter(start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    if start.is_null() {
        return start;
    }
    let scope = SCOPE.get();
    // SAFETY: the head is at least 16 bytes and as much aligned; the pointer stands in its last eight.
    let place = unsafe {
        let place = start.add(head(layout));
        place.cast::<*const Account>().sub(1).write(scope.account);
        place
    };
    // SAFETY: accounts are never freed.
    if let Some(account) = unsafe { scope.account.as_ref() } {
        account.live.fetch_add(size, SeqCst);
        compare(scope);
    }
    place
}

/// Strikes an allocation off the books; gives where its head begins.
///
/// # Safety
///
/// `place` came from [`enter`], with this layout.
unsafe fn strike(place: *mut u8, layout: Layout) -> *mut u8 {
    // SAFETY: `enter` wrote it.
    let account = unsafe { place.cast::<*const Account>().sub(1).read() };
    // SAFETY: accounts are never freed.
    if let Some(account) = unsafe { account.as_ref() } {
        let scope = SCOPE.get();
        if ptr::eq(account, scope.account) {
            compare(scope);
        }
        account.live.fetch_sub(layout.size(), SeqCst);
    }
    // SAFETY: the head is there.
    unsafe { place.sub(head(layout)) }
}

// SAFETY: what `System` gives is passed on behind a head that keeps its alignment; the books do not unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(whole) = whole(layout, layout.size()) else {
            return ptr::null_mut();
        };
        // SAFETY: `whole` is larger than zero.
        unsafe { enter(System.alloc(whole), layout, layout.size()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(whole) = whole(layout, layout.size()) else {
            return ptr::null_mut();
        };
        // SAFETY: as above.
        unsafe { enter(System.alloc_zeroed(whole), layout, layout.size()) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: `place` came from `alloc`, so the whole did from `System`.
        unsafe {
            let start = strike(place, layout);
            if let Some(whole) = whole(layout, layout.size()) {
                System.dealloc(start, whole);
            }
        }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both exist for a moment, as far as the promise goes; a move that does not happen hides nothing.
        let Ok(larger) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's promises are those of `alloc` and `dealloc`.
        unsafe {
            let new = self.alloc(larger);
            if !new.is_null() {
                ptr::copy_nonoverlapping(place, new, size.min(layout.size()));
                self.dealloc(place, layout);
            }
            new
        }
    }
}
