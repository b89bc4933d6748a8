//! A URL that a probe takes says where it leads and nothing else: it is taken again as what it was taken for, and neither it nor a
//! redirect from it can write a header of its own into the request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics_recall::fuzzing::{probed_redirect, probed_url};

type Parts = (bool, String, u16, String, String);

fn check(parts: &Parts) {
    let (is_tls, host, port, authority, path) = parts;
    assert!(!host.is_empty() && host.len() <= 253, "{parts:?}");
    assert!(*port > 0 && path.starts_with('/'), "{parts:?}");
    let is_one_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(
        is_one_word(host) && is_one_word(authority) && is_one_word(path),
        "{parts:?}"
    );
    let scheme = if *is_tls { "https" } else { "http" };
    let again = format!("{scheme}://{authority}{path}");
    // A longer one is refused, and a query without a path has got one.
    if again.len() <= 2048 {
        assert_eq!(probed_url(&again).as_ref(), Some(parts), "{again:?}");
    }
}

fuzz_target!(|texts: (&str, &str)| {
    let (url, location) = texts;
    for text in [url, &format!("http://{url}"), &format!("https://{url}/")] {
        let Some(parts) = probed_url(text) else {
            assert_eq!(probed_redirect(text, location), None);
            continue;
        };
        check(&parts);
        if let Some(parts) = probed_redirect(text, location) {
            check(&parts);
        }
        // What is refused as a target is no way out through a redirect.
        let scheme = location.split_once("://").map(|(scheme, _)| scheme);
        // One that begins with a digit is none, but a path.
        if scheme.is_some_and(|scheme| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
        }) {
            assert_eq!(probed_redirect(text, location), probed_url(location));
        }
    }
});
