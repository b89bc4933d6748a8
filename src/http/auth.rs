//! Who may ask: bearer tokens and passwords, compared in constant time.

use crate::util::base64::base64;
use subtle::ConstantTimeEq;

/// A scheme, and what has to follow it in `Authorization`. Has no `Debug`, on purpose.
#[derive(Clone)]
pub(super) struct Secret {
    scheme: Scheme,
    credentials: Box<[u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Basic,
}

impl Scheme {
    fn word(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
        }
    }
}

impl Secret {
    /// The problem names the token's length alone.
    pub(super) fn bearer(token: &str) -> Result<Self, String> {
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!(
                "a bearer token of {} bytes: allowed is printable ASCII without spaces, at least one character",
                token.len()
            ));
        }
        Ok(Self {
            scheme: Scheme::Bearer,
            credentials: token.as_bytes().into(),
        })
    }

    pub(super) fn basic(user: &str, password: &str) -> Result<Self, String> {
        if user.contains(':') || user.chars().any(char::is_control) {
            return Err(format!(
                "the user `{}`: allowed is text without a colon and without control characters",
                user.escape_debug()
            ));
        }
        if password.is_empty() || password.chars().any(char::is_control) {
            return Err(format!(
                "a password of {} bytes for the user `{user}`: allowed is text without control characters, at least one character",
                password.len()
            ));
        }
        Ok(Self {
            scheme: Scheme::Basic,
            credentials: base64(format!("{user}:{password}").as_bytes())
                .into_bytes()
                .into(),
        })
    }

    /// Whether it is what a header says. How long that takes depends on the lengths alone.
    fn is_in(&self, scheme: &str, credentials: &[u8]) -> bool {
        scheme.eq_ignore_ascii_case(self.scheme.word())
            && bool::from(self.credentials.ct_eq(credentials))
    }
}

/// Whether a request with this `Authorization` may be answered. All secrets are looked at, whichever fits.
pub(super) fn is_allowed(secrets: &[Secret], authorization: Option<&str>) -> bool {
    if secrets.is_empty() {
        return true;
    }
    let Some((scheme, rest)) = authorization.and_then(|header| header.trim().split_once(' '))
    else {
        return false;
    };
    let credentials = rest.trim_start().as_bytes();
    let fits = secrets
        .iter()
        .map(|secret| secret.is_in(scheme, credentials));
    fits.fold(false, |any, fits| any | fits)
}

/// The values of `WWW-Authenticate`: how to be allowed.
pub(super) fn challenges(secrets: &[Secret]) -> Vec<&'static str> {
    let has = |scheme| secrets.iter().any(|secret| secret.scheme == scheme);
    let basic = has(Scheme::Basic).then_some(r#"Basic realm="metrics-recall", charset="UTF-8""#);
    let bearer = has(Scheme::Bearer).then_some(r#"Bearer realm="metrics-recall""#);
    basic.into_iter().chain(bearer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_in_its_scheme_is_allowed() {
        let Ok(bearer) = Secret::bearer("abc") else {
            panic!()
        };
        let Ok(basic) = Secret::basic("joe", "pa:ss") else {
            panic!()
        };
        let both = [bearer, basic];
        for right in [
            "Bearer abc",
            "bearer abc",
            "BEARER   abc",
            "Basic am9lOnBhOnNz",
            "basic am9lOnBhOnNz",
        ] {
            assert!(is_allowed(&both, Some(right)), "{right}");
        }
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer ab",
            "Bearer abcd",
            "Bearer ABC",
            "Bearer abc abc",
            "abc",
            "Basic abc",
            "Bearer am9lOnBhOnNz",
            "Basic am9lOnBhOnN6",
            "Basic am9lOnBhOnNz=",
            "Digest abc",
            "Bearerabc",
        ] {
            assert!(!is_allowed(&both, Some(wrong)), "{wrong}");
        }
        assert!(!is_allowed(&both, None));
        assert!(is_allowed(&[], None) && is_allowed(&[], Some("whatever")));
        assert_eq!(challenges(&both).len(), 2);
    }
}
