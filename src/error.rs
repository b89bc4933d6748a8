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
