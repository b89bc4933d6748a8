//! Panics of other people's code: caught, and none of them comes after.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Calls `f`; its panic is the error.
#[inline]
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|carried| Panic(Some(carried)))
}

/// What a panic carried. That may panic when it is dropped, and what it carries then, too: dropping this does not.
pub(crate) struct Panic(Option<Box<dyn Any + Send>>);

impl Panic {
    /// What it said, if it was text.
    pub(crate) fn text(&self) -> Option<&str> {
        let carried = self.0.as_deref()?;
        let text = carried.downcast_ref::<&str>().copied();
        text.or_else(|| carried.downcast_ref::<String>().map(String::as_str))
    }
}

impl Drop for Panic {
    fn drop(&mut self) {
        let carried = self.0.take();
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(carried))) {
            // Whoever goes that far may have the memory.
            std::mem::forget(again);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::resume_unwind;

    /// It panics when it is dropped, as often as `0` says, each time with the next of its kind.
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                resume_unwind(Box::new(Bomb(self.0 - 1)));
            }
        }
    }

    #[test]
    fn a_panic_ends_here_whatever_it_carries() {
        assert_eq!(caught(|| 7).ok(), Some(7));
        for bombs in 0..4 {
            assert!(caught(|| resume_unwind(Box::new(Bomb(bombs)))).is_err());
        }
        let said = |what: Box<dyn Any + Send>| {
            let panic = caught(|| resume_unwind(what)).err();
            panic.and_then(|panic| panic.text().map(str::to_owned))
        };
        assert_eq!(said(Box::new("static")).as_deref(), Some("static"));
        assert_eq!(said(Box::new(format!("{}", 5))).as_deref(), Some("5"));
        assert_eq!(said(Box::new(5)), None);
    }
}
