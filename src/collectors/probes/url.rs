//! Targets as text.

use crate::{error::Error, util::text::Shown};

/// An address of HTTP.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Url {
    pub(super) is_tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// As it stands in the `Host` header.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

/// Bytes of a target.
const LONGEST: usize = 2048;

fn invalid(what: &str, text: &str, allowed: &str) -> Error {
    let shown = crate::util::text::clip(text, 200);
    Error::invalid(format!("{what} `{}`: allowed is {allowed}", Shown(shown)))
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || {
            invalid(
                "url",
                text,
                "`http://host[:port]/path` or `https://`, without a password",
            )
        };
        let is_plain = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (scheme, rest) = text
            .split_once("://")
            .filter(|_| is_plain)
            .ok_or_else(wrong)?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong());
        }
        let default = if is_tls { 443 } else { 80 };
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'));
        let (host, port) = if has_port {
            host_and_port(authority)?
        } else {
            host_and_port(&format!("{authority}:{default}"))?
        };
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(Self {
            is_tls,
            host,
            port,
            authority: authority.to_owned(),
            path,
        })
    }

    /// Where a redirect leads.
    pub(super) fn join(&self, location: &str) -> Result<Self, Error> {
        if is_absolute(location) {
            return Self::parse(location);
        }
        let scheme = if self.is_tls { "https" } else { "http" };
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let before = self.path.split('?').next().unwrap_or_default();
        let directory = before.rfind('/').map_or("/", |at| &before[..=at]);
        let path = match location.bytes().next() {
            Some(b'/') => "",
            // Of the same page.
            Some(b'?') => before,
            None | Some(b'#') => &self.path,
            Some(_) => directory,
        };
        Self::parse(&format!("{scheme}://{}{path}{location}", self.authority))
    }
}

/// Whether a reference begins with a scheme. Paths and queries may have `://` in them, too.
fn is_absolute(reference: &str) -> bool {
    let scheme = reference.split_once("://").map(|(scheme, _)| scheme);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.bytes().all(is_word))
}

pub(super) fn check_host(host: &str) -> Result<(), Error> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    if host.is_empty() || host.len() > 253 || !host.bytes().all(is_name) {
        return Err(invalid(
            "host",
            host,
            "a name or an address of 1 to 253 ASCII characters",
        ));
    }
    Ok(())
}

/// `host:port`, or `[address]:port`.
pub(super) fn host_and_port(text: &str) -> Result<(String, u16), Error> {
    let wrong = || {
        invalid(
            "address",
            text,
            "`host:port`, as in `localhost:5432` or `[::1]:5432`",
        )
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port
        .parse::<u16>()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(wrong)?;
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if inner.is_none() && host.contains(':') {
        return Err(wrong());
    }
    let host = inner.unwrap_or(host);
    check_host(host)?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_their_parts() {
        let url = Url::parse("HTTPS://example.com?q=1#top").unwrap();
        assert_eq!((url.is_tls, url.port, &*url.path), (true, 443, "/?q=1"));
        let url = Url::parse("http://[::1]:8080/a/b?c=/d").unwrap();
        assert_eq!(
            (&*url.host, url.port, &*url.authority),
            ("::1", 8080, "[::1]:8080")
        );
        let to = |location| url.join(location).unwrap();
        assert_eq!(to("/x").path, "/x");
        assert_eq!(to("x").path, "/a/x");
        assert_eq!(to("https://other/").host, "other");
        assert_eq!(to("//other:81/x").authority, "other:81");
        // As logins have it: this was taken for a target of another scheme, and the probe failed.
        assert_eq!(to("/login?next=http://x/").path, "/login?next=http://x/");
        assert_eq!(to("?page=2").path, "/a/b?page=2");
        assert_eq!(to("#top"), url);
        assert!(url.join("ftp://x/").is_err() && url.join("http://").is_err());
        assert_eq!(Url::parse("http://[::1]/").unwrap().port, 80);
        for wrong in [
            "",
            "example.com",
            "ftp://a/",
            "http://",
            "http://a b/",
            "http://u:p@a/",
            "http://a:0/",
            "http://a:99999/",
            "http://a\r\n/",
            "http://:80/",
        ] {
            assert!(Url::parse(wrong).unwrap_err().is_invalid(), "{wrong}");
        }
    }
}
