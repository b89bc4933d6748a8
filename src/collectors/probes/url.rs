//! Targets as text.

use crate::{error::Error, util::text::Shown};
use std::net::Ipv6Addr;

/// An address of HTTP.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Url {
    pub(super) is_tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// As it stands in the `Host` header.
    pub(super) authority: String,
    /// Path, without `.` and `..`, and query.
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
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        let path = without_dots(path) + query;
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

/// Whether a reference begins with a scheme, as RFC 3986, 4.2 tells it from a path. Paths and queries may have `://` in them, too.
fn is_absolute(reference: &str) -> bool {
    let scheme = reference.split_once(':').map(|(scheme, _)| scheme);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.is_some_and(|scheme| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(is_word)
    })
}

/// An absolute path, or none, with `.` and `..` gone where they lead: RFC 3986, 5.2.4. What leads above the root leads to it.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => {
                kept.push(segment);
                continue;
            }
        }
        // What ends in dots is a directory.
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

pub(super) fn check_host(host: &str) -> Result<(), Error> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    let address = host.split_once('%').map_or(host, |(address, _)| address);
    let is_without_port = !host.contains(':') || address.parse::<Ipv6Addr>().is_ok();
    if host.is_empty() || host.len() > 253 || !host.bytes().all(is_name) || !is_without_port {
        return Err(invalid(
            "host",
            host,
            "a name or an address of 1 to 253 ASCII characters, without a port",
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

    /// A redirect to `../login` was asked for as it stood, and servers that do not resolve it said 400.
    #[test]
    fn references_lead_where_rfc_3986_says() {
        let base = Url::parse("http://a/b/c/d;p?q").unwrap();
        // Its sections 5.4.1 and 5.4.2, without fragments, which are not sent.
        for (reference, path) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("g;x", "/b/c/g;x"),
            ("g;x?y#s", "/b/c/g;x?y"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("g#s/./x", "/b/c/g"),
            ("g#s/../x", "/b/c/g"),
        ] {
            let to = base.join(reference).unwrap();
            assert_eq!((&*to.authority, &*to.path), ("a", path), "{reference}");
        }
        let to = base.join("//g").unwrap();
        assert_eq!((&*to.authority, &*to.path), ("g", "/"));
        // Of another scheme, and one without a host.
        for wrong in ["g:h", "http:g"] {
            let error = base.join(wrong).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("url `{wrong}`: allowed is `http://"))
            );
        }
        // Its section 5.2.4.
        assert_eq!(without_dots("/a/b/c/./../../g"), "/a/g");
        assert_eq!(without_dots("/mid/content=5/../6"), "/mid/6");
        assert_eq!(
            (&*without_dots(""), &*without_dots("/a//../b/")),
            ("/", "/a/b/")
        );
        let own = Url::parse("http://a/b/../c/.?x=../y").unwrap();
        assert_eq!(own.path, "/c/?x=../y");
    }

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
