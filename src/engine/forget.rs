//! Reset and delete: which series, and one after the other.

use super::core::{Asked, Core, accepted};
use crate::{
    error::Error,
    live::{Counter, Gauge, Histogram, Name, registry::Registry, remove::is_shown},
    model::MetricKind,
    query::Query,
    util::text::Brief,
};
use std::sync::atomic::Ordering::Relaxed;

/// What becomes of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Totals start again at zero.
    Reset,
    /// They are gone, with their history.
    Delete,
}

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

impl Core {
    /// Resets or deletes series. What was recorded before is in windows, or gone, and in no total; what is recorded meanwhile is
    /// counted once.
    pub(crate) fn settle(&self, whose: Whose<'_>, fate: Fate) -> Result<(), Error> {
        let settled = self.with_engine(|engine| {
            // What was recorded until now belongs to what was.
            engine.run(self, self.clock.elapsed_ns(), None);
            let mut found = 0;
            found += self.settle_in::<Counter>(whose, fate)?;
            found += self.settle_in::<Gauge>(whose, fate)?;
            found += self.settle_in::<Histogram>(whose, fate)?;
            match (found, whose) {
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
        });
        settled.unwrap_or_else(|| {
            let word = fate.word();
            Err(Error::reentrant(format!(
                "{word} from inside of a tick or a recording: allowed is anywhere else"
            )))
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
    name.for_each_member(registry.marks_of(std::iter::empty()), |id| {
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
    });
    full.map_err(|_| {
        Error::refused(format!(
            "delete of `{}`: no memory to part a series from the handles that are held of it; {done} were deleted (`memory_budget`)",
            Brief(&name.text)
        ))
    })?;
    name.was_reset();
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
