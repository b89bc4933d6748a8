//! What lives beside a store and ends with it: servers, of which the engine knows no more than this.

use parking_lot::Mutex;

/// Something that is tied to a store. Dropped with it: that must not wait, since it may happen on any thread.
pub(crate) trait Attached: Send + Sync {
    /// Adds what `health()` is to say of it.
    fn reasons(&self, reasons: &mut Vec<String>);

    /// Some minutes have passed: what it counted before is old.
    fn turn(&self);

    /// Whether it has ended by itself.
    fn is_over(&self) -> bool;

    /// Ends it, and waits for that for some seconds at most.
    fn end(&self);
}

/// All of a store.
#[derive(Default)]
pub(crate) struct Attachments(Mutex<Vec<Box<dyn Attached>>>);

impl Attachments {
    #[cfg(feature = "http")]
    pub(crate) fn add(&self, attached: Box<dyn Attached>) {
        let mut all = self.0.lock();
        all.retain(|other| !other.is_over());
        all.push(attached);
    }

    pub(crate) fn reasons(&self, reasons: &mut Vec<String>) {
        for attached in self.0.lock().iter().filter(|attached| !attached.is_over()) {
            attached.reasons(reasons);
        }
    }

    /// Some minutes have passed. In a child of a fork this lock may be one that nobody ever opens: then nothing turns.
    pub(crate) fn turn(&self) {
        let all = self.0.try_lock();
        all.iter()
            .flat_map(|all| all.iter())
            .for_each(|attached| attached.turn());
    }

    pub(crate) fn end(&self) {
        // Taken out first: while something ends, it may ask for health.
        let all = std::mem::take(&mut *self.0.lock());
        for attached in all {
            attached.end();
        }
    }
}
