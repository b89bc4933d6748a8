//! What is measured: our recorder, the peer, and the facade alone; how each is installed and kept going.

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_recall::{Clock, HistogramRule, ManualClock, MemoryProfile, Recall, secs};

/// Whose numbers these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// This crate.
    Recall,
    /// metrics-exporter-prometheus.
    Mep,
    /// A recorder that does nothing: the facade's own cost.
    Facade,
}

/// How our recorder differs from the Production profile.
#[derive(Clone, Copy, Default)]
pub struct Setup {
    pub budget: Option<usize>,
    pub series: Option<usize>,
    pub idle: Option<Duration>,
    /// Exposes histograms as summaries over so long.
    pub summary: Option<Duration>,
    /// Bounds of the peer's histograms; ours have powers of two.
    pub buckets: Option<&'static [f64]>,
    /// Feeds the peer's recorder beside ours.
    pub tee: bool,
}

/// An installed subject, with whatever drives it from outside.
pub enum Rig {
    Recall(Recall, ManualClock),
    Mep(PrometheusHandle),
    Facade,
}

impl Subject {
    pub const ALL: [Self; 3] = [Self::Recall, Self::Mep, Self::Facade];

    pub fn name(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::Mep => "mep",
            Self::Facade => "facade",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.name() == name)
    }

    /// Makes this the process's global recorder. Ours runs without a worker, on a manual clock.
    pub fn install(self, setup: Setup) -> Rig {
        match self {
            Self::Recall => install_recall(setup),
            Self::Mep => install_mep(setup),
            Self::Facade => {
                metrics::set_global_recorder(metrics::NoopRecorder)
                    .expect("the first recorder here");
                Rig::Facade
            }
        }
    }
}

impl Rig {
    /// What a second of a real process's life does: a tick here, a drain of the histogram buffers there.
    pub fn upkeep(&self) {
        match self {
            Self::Recall(recall, hands) => {
                hands.advance(secs(1));
                recall.tick();
            }
            Self::Mep(handle) => handle.run_upkeep(),
            Self::Facade => {}
        }
    }
}

fn install_recall(setup: Setup) -> Rig {
    let (clock, hands) = Clock::manual();
    let mut builder = Recall::builder()
        .profile(MemoryProfile::Production)
        .clock(clock);
    if let Some(budget) = setup.budget {
        builder = builder.memory_budget(budget);
    }
    if let Some(series) = setup.series {
        builder = builder.max_series_per_metric(series);
    }
    if let Some(idle) = setup.idle {
        builder = builder.idle_timeout(idle);
    }
    if let Some(window) = setup.summary {
        builder = builder.expose(HistogramRule::named("*").summary(window));
    }
    if setup.tee {
        builder = builder.tee(PrometheusBuilder::new().build_recorder());
    }
    let (recorder, recall) = builder.build().expect("a valid setup");
    assert!(
        metrics::set_global_recorder(recorder).is_ok(),
        "the first recorder here"
    );
    Rig::Recall(recall, hands)
}

fn install_mep(setup: Setup) -> Rig {
    // Its summaries are over 60 s by default.
    let mut builder = PrometheusBuilder::new();
    if let Some(buckets) = setup.buckets {
        builder = builder.set_buckets(buckets).expect("ascending bounds");
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    assert!(
        metrics::set_global_recorder(recorder).is_ok(),
        "the first recorder here"
    );
    Rig::Mep(handle)
}
