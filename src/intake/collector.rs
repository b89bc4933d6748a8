//! What a collector is, and how one fails.

use std::{
    error::Error as StdError,
    fmt,
    io::{self, ErrorKind},
    num::{ParseFloatError, ParseIntError},
    str::{ParseBoolError, Utf8Error},
    string::FromUtf8Error,
    time::Duration,
};

/// Something that is read from time to time and recorded: a queue's depth, a pool's connections, a sensor.
///
/// [`collect`](Self::collect) emits through the macros of the facade, like any other code.
/// [`Recall::collect`](crate::Recall::collect) runs it; a closure is simpler with
/// [`Recall::collect_every`](crate::Recall::collect_every).
///
/// ```
/// use metrics_recall::{CollectError, Collector, Recall, secs};
/// use std::time::Duration;
///
/// struct LoadAverage;
///
/// impl Collector for LoadAverage {
///     fn name(&self) -> &str {
///         "load_average"
///     }
///
///     fn interval(&self) -> Duration {
///         secs(5)
///     }
///
///     fn collect(&mut self) -> Result<(), CollectError> {
///         let text = std::fs::read_to_string("/proc/loadavg")?;
///         let first = text.split(' ').next().unwrap_or_default();
///         metrics::gauge!("load_average").set(first.parse::<f64>()?);
///         Ok(())
///     }
/// }
///
/// let (_recorder, recall) = Recall::builder().build()?;
/// recall.collect(LoadAverage)?.detach();
/// # Ok::<(), metrics_recall::Error>(())
/// ```
pub trait Collector: Send {
    /// What it is called in labels, in `health()` and in lists. Asked once.
    fn name(&self) -> &str;

    /// How often it is to run; 1 ms to a day, and at most once a tick. Asked once.
    fn interval(&self) -> Duration;

    /// Reads and records. It may block: with a worker it has a thread of its own.
    ///
    /// # Errors
    ///
    /// Whatever kept it from reading; it is tried again, later and later while it goes on failing.
    fn collect(&mut self) -> Result<(), CollectError>;

    /// Bytes of itself, without what it holds elsewhere.
    #[doc(hidden)]
    fn bytes(&self) -> usize {
        size_of_val(self)
    }
}

/// What kept a collector from reading, by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Nobody was reached, or the connection broke.
    Connection,
    /// It took too long.
    Timeout,
    /// There was an answer that nobody understands.
    Decode,
    /// Anything else, panics among it.
    Other,
}

impl Cause {
    /// The word for people and labels: `connection`, `timeout`, `decode`, `other`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Decode => "decode",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a collector failed. `?` makes one of any error and classifies it: by the kind of an [`io::Error`], as
/// [`Cause::Decode`] when numbers or text do not parse, else as [`Cause::Other`].
///
/// ```
/// use metrics_recall::{Cause, CollectError};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// assert_eq!(CollectError::from(refused).cause(), Cause::Connection);
/// assert_eq!(CollectError::from("x".parse::<u8>().unwrap_err()).cause(), Cause::Decode);
/// assert_eq!(CollectError::timeout("no answer within 2 s").to_string(), "no answer within 2 s");
/// ```
pub struct CollectError {
    cause: Cause,
    message: Box<str>,
}

/// Bytes of a message that are kept.
const LONGEST: usize = 256;

impl CollectError {
    /// Nobody was reached, or the connection broke.
    pub fn connection(what: impl fmt::Display) -> Self {
        Self::new(Cause::Connection, what)
    }

    /// It took too long.
    pub fn timeout(what: impl fmt::Display) -> Self {
        Self::new(Cause::Timeout, what)
    }

    /// There was an answer that nobody understands.
    pub fn decode(what: impl fmt::Display) -> Self {
        Self::new(Cause::Decode, what)
    }

    /// Anything else.
    pub fn other(what: impl fmt::Display) -> Self {
        Self::new(Cause::Other, what)
    }

    pub(crate) fn new(cause: Cause, what: impl fmt::Display) -> Self {
        let message = what.to_string();
        let clipped = crate::util::text::clip(&message, LONGEST);
        Self {
            cause,
            message: clipped.into(),
        }
    }

    /// Its class.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for CollectError {
    fn from(error: E) -> Self {
        Self::new(cause_of(&error), Chain(&error))
    }
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.cause, self.message)
    }
}

/// An error and what it came from, unless it says so itself.
struct Chain<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        for error in sources(self.0).skip(1) {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
        }
        Ok(())
    }
}

/// The error itself, and what it came from, step by step.
fn sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let next = |error: &&'a (dyn StdError + 'static)| (*error).source();
    std::iter::successors(Some(error), next).take(16)
}

/// The first error of the chain that says of which class it is decides.
fn cause_of(error: &(dyn StdError + 'static)) -> Cause {
    let known = sources(error).find_map(|error| {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // What a custom error holds is not among its sources.
            let inner = || error.get_ref().map(|inner| cause_of(inner));
            let inner = || inner().filter(|cause| *cause != Cause::Other);
            return cause_of_io(error.kind()).or_else(inner);
        }
        let is_decode = error.is::<ParseIntError>()
            || error.is::<ParseFloatError>()
            || error.is::<ParseBoolError>()
            || error.is::<Utf8Error>()
            || error.is::<FromUtf8Error>();
        is_decode.then_some(Cause::Decode)
    });
    known.unwrap_or(Cause::Other)
}

fn cause_of_io(kind: ErrorKind) -> Option<Cause> {
    match kind {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::NotConnected
        | ErrorKind::AddrNotAvailable
        | ErrorKind::BrokenPipe
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::UnexpectedEof => Some(Cause::Connection),
        // A socket's time-out is one or the other, by system.
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Some(Cause::Timeout),
        ErrorKind::InvalidData => Some(Cause::Decode),
        _ => None,
    }
}

/// What a closure that collects may give: nothing, or a result.
pub trait Outcome {
    #[doc(hidden)]
    fn outcome(self) -> Result<(), CollectError>;
}

impl Outcome for () {
    fn outcome(self) -> Result<(), CollectError> {
        Ok(())
    }
}

impl<E: Into<CollectError>> Outcome for Result<(), E> {
    fn outcome(self) -> Result<(), CollectError> {
        self.map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_came_from_decides_its_class() {
        let error = io::Error::other("x".parse::<f64>().unwrap_err());
        assert_eq!(CollectError::from(error).cause(), Cause::Decode);
        let kinds = [
            (ErrorKind::TimedOut, Cause::Timeout),
            (ErrorKind::WouldBlock, Cause::Timeout),
            (ErrorKind::ConnectionReset, Cause::Connection),
            (ErrorKind::UnexpectedEof, Cause::Connection),
            (ErrorKind::InvalidData, Cause::Decode),
            (ErrorKind::PermissionDenied, Cause::Other),
        ];
        for (kind, cause) in kinds {
            assert_eq!(CollectError::from(io::Error::from(kind)).cause(), cause);
        }
    }

    #[test]
    fn long_messages_are_clipped() {
        let error = CollectError::other("ä".repeat(1000));
        assert_eq!(error.to_string().len(), 256);
    }
}
