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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, mins},
        config::Config,
        engine::core::Core,
        util::recent::Recent,
    };
    use std::sync::Arc;

    /// Something that broke.
    struct Broken(Arc<Recent>);

    impl Attached for Broken {
        fn reasons(&self, reasons: &mut Vec<String>) {
            match self.0.recent() {
                0 => {}
                n => reasons.push(format!("it broke {n} times")),
            }
        }

        fn turn(&self) {
            self.0.turn();
        }

        fn is_over(&self) -> bool {
            false
        }

        fn end(&self) {}
    }

    /// Ticks told only what is the store's own that time passes.
    #[test]
    fn what_is_attached_forgets_in_time_too() {
        let (clock, hands) = Clock::manual();
        let plan = Config::default().plan().expect("a plan");
        let core = Core::new(plan, clock, None).expect("a store");
        let broke = Arc::new(Recent::new());
        let attached = Box::new(Broken(broke.clone()));
        core.attached.0.lock().push(attached);
        broke.add(3);
        assert_eq!(core.health().reasons(), ["it broke 3 times"]);
        for minute in 1..=11 {
            hands.advance(mins(1));
            core.tick();
            assert!(minute > 4 || !core.health().is_healthy());
        }
        assert!(core.health().is_healthy(), "{}", core.health());
    }
}
