//! Reset and delete: which series, and one after the other.

use super::{answers::accepted, asked::Asked, core::Core, tick::Engine};
use crate::{
    error::Error,
    live::{Counter, Gauge, Histogram, Name, registry::Registry, remove::is_shown},
    model::MetricKind,
    query::Query,
    util::{fork, text::Brief},
};
use std::{fmt, sync::atomic::Ordering::Relaxed};

/// What becomes of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Totals start again at zero.
    Reset,
    /// They are gone, with their history.
    Delete,
}

/// Why a forked process does not reach what it has.
const LEFT_LOCKED: &str = "this process was forked while a thread of its parent had them locked (fork before `install()`, or while nothing else runs)";

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Delete => "delete",
        }
    }
}

/// Which series.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose<'a> {
    All,
    Kind(MetricKind),
    /// Of this name, of all kinds.
    Name(&'a str),
    Query(&'a Query),
}

impl fmt::Display for Whose<'_> {
    /// Behind what becomes of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Kind(kind) => write!(f, " of all {kind}s"),
            Self::Name(name) => write!(f, " of `{}`", Brief(name)),
            Self::Query(query) => write!(f, " of `{}`", Brief(&query.name)),
        }
    }
}

impl Core {
    /// Resets or deletes series. What was recorded before is in windows, or gone, and in no total; what is recorded meanwhile is
    /// counted once. In a forked process that cannot reach all of them, those that it reaches are, and the error says so.
    pub(crate) fn settle(&self, whose: Whose<'_>, fate: Fate) -> Result<(), Error> {
        let word = fate.word();
        let settle = |engine: &mut Engine| {
            // What was recorded until now belongs to what was.
            engine.run(self, self.clock.elapsed_ns(), None);
            let (found, is_whole) = fork::looked(|| {
                let counters = self.settle_in::<Counter>(whose, fate)?;
                let gauges = self.settle_in::<Gauge>(whose, fate)?;
                Ok(counters + gauges + self.settle_in::<Histogram>(whose, fate)?)
            });
            let found = found?;
            match (found, whose) {
                _ if !is_whole => Err(Error::refused(format!(
                    "{word}{whose}: {found} are done, and some are out of reach: {LEFT_LOCKED}"
                ))),
                (0, Whose::Name(name)) => Err(self.unknown_metric(name, None)),
                (0, Whose::Query(query)) if !self.has(query.kind, &query.name) => {
                    Err(self.unknown_metric(&query.name, Some(query.kind)))
                }
                (0, Whose::Query(query)) => Err(Error::unknown_metric(format!(
                    "no series of the {} `{}` has the labels that were asked for",
                    query.kind,
                    Brief(&query.name)
                ))),
                _ => Ok(()),
            }
        };
        let (settled, is_open) = fork::looked(|| self.with_engine(settle));
        settled.unwrap_or_else(|| {
            Err(if is_open {
                Error::reentrant(format!(
                    "{word} from inside of a tick or a recording: allowed is anywhere else"
                ))
            } else {
                Error::refused(format!(
                    "{word}{whose}: ticks are out of reach: {LEFT_LOCKED}"
                ))
            })
        })
    }

    /// How many metrics and series there were.
    fn settle_in<K: Asked>(&self, whose: Whose<'_>, fate: Fate) -> Result<usize, Error> {
        let registry = K::registry(&self.live);
        let mut found = Ok(0);
        let mut settle = |name: &Name, query: Option<&Query>| {
            if let Ok(n) = found
                && registry.shows(name)
            {
                let more = settle_name::<K>(registry, name, query, fate);
                found = more.map(|more| n + more);
            }
        };
        match whose {
            Whose::All => registry.walk_names(|name| settle(name, None)),
            Whose::Kind(kind) if kind == K::KIND => registry.walk_names(|name| settle(name, None)),
            Whose::Query(query) if query.kind == K::KIND => {
                if let Some(name) = registry.find_name(&query.name) {
                    settle(&name, Some(query));
                }
            }
            Whose::Name(text) => {
                if let Some(name) = registry.find_name(text) {
                    settle(&name, None);
                }
            }
            Whose::Kind(_) | Whose::Query(_) => {}
        }
        found
    }
}

fn settle_name<K: Asked>(
    registry: &Registry<K>,
    name: &Name,
    query: Option<&Query>,
    fate: Fate,
) -> Result<usize, Error> {
    // Once before and once after: whoever looks meanwhile looks again.
    name.was_reset();
    let query = query.filter(|query| !query.matchers.is_empty());
    let mut done = 0;
    let mut full = Ok(());
    let each = |id| {
        let is_meant = registry.with(id, |entry| match query {
            Some(query) => accepted(entry, name, query).is_some(),
            // What was never used, or not since a delete, stays as it is.
            None => is_shown(entry, name),
        });
        if full.is_ok() && is_meant.unwrap_or(false) {
            full = match fate {
                Fate::Reset => {
                    registry.reset(id);
                    Ok(())
                }
                Fate::Delete => registry.delete(id),
            };
            done += usize::from(full.is_ok());
        }
    };
    let none = registry.marks_of(std::iter::empty());
    let ((), is_whole) = fork::looked(|| name.for_each_member(none, each));
    full.map_err(|_| {
        Error::refused(format!(
            "delete of `{}`: no memory to part a series from the handles that are held of it; {done} were deleted (`memory_budget`)",
            Brief(&name.text)
        ))
    })?;
    name.was_reset();
    if !is_whole {
        // What is out of reach is still there.
        return Ok(done);
    }
    match (fate, query) {
        (Fate::Reset, None) => name.retired.store(0, Relaxed),
        (Fate::Delete, None) => registry.go(name),
        (Fate::Reset, Some(_)) => return Ok(done),
        (Fate::Delete, Some(_)) => {
            registry.go_if_empty(name);
            return Ok(done);
        }
    }
    // A metric may have nothing left but the total of series that are forgotten.
    Ok(done.max(1))
}
