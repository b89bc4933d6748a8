//! The one error type of the crate.
//!
//! Users meet errors at start and in questions, never while recording. So there is one opaque type that says what
//! happened in one sentence, and predicates for the few cases that a program may want to tell apart.

use std::fmt;

/// Why a builder, a question or a command was refused.
///
/// The message is lower case, names the offending value and says what is allowed. Several problems of one builder
/// are reported at once, separated by `; `.
///
/// ```
/// use metrics_recall::{MemoryProfile, Recall};
///
/// let error = MemoryProfile::from_environment("prd").unwrap_err();
/// assert!(error.is_invalid());
/// assert!(error.to_string().contains("prd"));
/// ```
pub struct Error {
    kind: Kind,
    message: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Invalid,
    Installed,
    System,
    UnknownMetric,
    BeyondRetention,
    Refused,
    Reentrant,
    Remote,
}

impl Error {
    pub(crate) fn invalid(message: impl Into<Box<str>>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub(crate) fn installed(message: impl Into<Box<str>>) -> Self {
        Self::new(Kind::Installed, message)
    }

    pub(crate) fn system(message: impl Into<Box<str>>) -> Self {
        Self::new(Kind::System, message)
    }

    pub(crate) fn unknown_metric(message: impl Into<Box<str>>) -> Self {
        Self::new(Kind::UnknownMetric, message)
    }

    pub(crate) fn beyond_retention(message: impl Into<Box<str>>) -> Self {
        Self::new(Kind::BeyondRetention, message)
    }

    pub(crate) fn reentrant(message: impl Into<Box<str>>) -> Self {
        Self::new(Kind::Reentrant, message)
    }

    pub(crate) fn refused(message: impl Into<Box<str>>) -> Self {
        Self::new(Kind::Refused, message)
    }

    #[cfg(feature = "push")]
    pub(crate) fn remote(message: impl Into<Box<str>>) -> Self {
        Self::new(Kind::Remote, message)
    }

    fn new(kind: Kind, message: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// A value that was given is outside of what is allowed.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.kind == Kind::Invalid
    }

    /// A global recorder is installed already, ours or another one.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.kind == Kind::Installed
    }

    /// No metric of that name and kind was ever seen; the message names the nearest ones, or the kind that it is of.
    #[must_use]
    pub fn is_unknown_metric(&self) -> bool {
        self.kind == Kind::UnknownMetric
    }

    /// No tick covers any of the window that was asked about.
    #[must_use]
    pub fn is_beyond_retention(&self) -> bool {
        self.kind == Kind::BeyondRetention
    }

    /// A command came from inside of a tick or of a recording, as from an allocator, or from inside of itself, where it
    /// cannot be carried out.
    #[must_use]
    pub fn is_reentrant(&self) -> bool {
        self.kind == Kind::Reentrant
    }

    /// There was no working memory for a question, or it came from where none can be answered.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// Another service could not be reached, did not answer in time, or did not take what it was sent.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.kind == Kind::Remote
    }

    /// The operating system refused something, such as a thread.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.kind == Kind::System
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Error {}
