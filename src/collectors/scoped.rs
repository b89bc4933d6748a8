//! Where a collector's macros emit to.

use crate::{
    engine::Core,
    handle::Recall,
    intake::{CollectError, Collector},
    recorder::RecallRecorder,
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// Emits to the process's recorder if the store is the process's, since layers may stand above it; else to the store.
pub(super) struct Scoped {
    core: Weak<Core>,
    recorder: RecallRecorder,
    inner: Box<dyn Collector>,
}

impl Scoped {
    pub(super) fn new(recall: &Recall, inner: Box<dyn Collector>) -> Self {
        Self {
            core: Arc::downgrade(recall.core()),
            recorder: RecallRecorder::new(recall.live()),
            inner,
        }
    }

    fn is_global(&self) -> bool {
        let global = Recall::global();
        global.is_some_and(|global| std::ptr::eq(Arc::as_ptr(global.core()), self.core.as_ptr()))
    }
}

impl Collector for Scoped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn interval(&self) -> Duration {
        self.inner.interval()
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.inner.bytes()
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        if self.is_global() {
            self.inner.collect()
        } else {
            self.recorder.scope(|| self.inner.collect())
        }
    }
}
