//! The life of a sidecar: it starts anywhere, ends with its handle, a shutdown or the store, and says what was wrong with an
//! address.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
mod common;
#[path = "common/http.rs"]
mod http;

use common::Store;
use http::{connect, get, read};
use metrics::counter;
use metrics_recall::{Recall, ServeOptions};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Mutex, MutexGuard},
    thread,
    time::Duration,
};

/// A port that is free again could be the next one's of another test.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Nobody listens there.
fn is_free(at: SocketAddr) -> bool {
    TcpListener::bind(at).is_ok()
}

/// Waits until something has happened that another thread does.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        thread::park_timeout(Duration::from_millis(20));
    }
    panic!("not in ten seconds: {what}");
}

#[test]
fn dropping_it_stops_it_and_its_port_is_free() {
    let _alone = alone();
    let store = Store::default();
    let sidecar = store.recall.serve("127.0.0.1:0").unwrap();
    let at = sidecar.local_addr();
    // One that waits, one with half a request, and one that is kept.
    let waiting = connect(at);
    let mut half = connect(at);
    half.write_all(b"GET /metr").unwrap();
    let mut kept = connect(at);
    kept.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert_eq!(read(&mut kept, false).unwrap().status, 200);
    drop(sidecar);
    assert!(is_free(at));
    for mut stream in [waiting, half, kept] {
        assert!(
            matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)),
            "it is still open"
        );
    }
    let again = store.recall.serve(at).unwrap();
    assert_eq!(get(again.local_addr(), "/-/healthy").status, 200);
}

#[test]
fn what_is_detached_ends_with_the_store() {
    let _alone = alone();
    let Store {
        recorder, recall, ..
    } = Store::default();
    let sidecar = recall.serve("127.0.0.1:0").unwrap();
    let at = sidecar.local_addr();
    sidecar.detach();
    let mut kept = connect(at);
    kept.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert_eq!(read(&mut kept, false).unwrap().status, 200);
    let other = recall.clone();
    drop(recall);
    assert_eq!(get(at, "/metrics").status, 200);
    drop((other, recorder));
    eventually("the port is free", || is_free(at));
}

#[test]
fn a_shutdown_ends_all_and_an_end_twice_is_none() {
    let _alone = alone();
    let store = Store::default();
    let held = store.recall.serve("127.0.0.1:0").unwrap();
    let other = store.recall.serve("127.0.0.1:0").unwrap();
    let [one, two] = [held.local_addr(), other.local_addr()];
    other.detach();
    store.recall.shutdown();
    assert!(is_free(one) && is_free(two));
    store.recall.shutdown();
    drop(held);
}

#[test]
fn an_answer_that_is_under_way_is_finished() {
    let _alone = alone();
    let store = Store::from(
        Recall::builder()
            .max_series_per_metric(60_000)
            .memory_budget(64 << 20),
    );
    store.recorder.scope(|| {
        for n in 0..50_000u64 {
            counter!("orders_total", "customer" => format!("{n}-{}", "x".repeat(60))).increment(n);
        }
    });
    let sidecar = store.recall.serve("127.0.0.1:0").unwrap();
    let mut stream = connect(sidecar.local_addr());
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    // The answer is longer than what sockets hold; it is read while the server ends.
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    let reply = thread::scope(|scope| {
        let reading = scope.spawn(move || read(&mut first.chain(stream), false));
        drop(sidecar);
        reading.join().unwrap()
    });
    assert_eq!(reply.unwrap().text(), store.recall.render());
}

#[test]
fn it_needs_no_runtime_and_minds_none() {
    let _alone = alone();
    let store = Store::default();
    let serve = || {
        let sidecar = store.recall.serve("127.0.0.1:0").unwrap();
        assert_eq!(get(sidecar.local_addr(), "/metrics").status, 200);
        sidecar
    };
    drop(serve());
    let current = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // Of the runtime, everything may be missing; and its thread may be blocked.
    let kept = current.block_on(async { (serve(), drop(serve())).0 });
    drop(current);
    assert_eq!(get(kept.local_addr(), "/metrics").status, 200);
    thread::scope(|scope| {
        scope.spawn(move || drop(kept));
    });
}

#[test]
fn an_address_that_will_not_do_is_the_error_of_the_call() {
    let _alone = alone();
    let store = Store::default();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let refused = |addr: &str| store.recall.serve(addr).unwrap_err();
    let error = refused(&at.to_string());
    assert!(
        error.is_system()
            && error
                .to_string()
                .contains(&format!("cannot listen at `{at}`")),
        "{error}"
    );
    assert!(error.to_string().contains("port 0"), "{error}");
    for addr in [
        "nonsense",
        "127.0.0.1",
        "127.0.0.1:port",
        "127.0.0.1:65536",
        ":::",
        "",
    ] {
        let error = refused(addr);
        assert!(
            error.is_invalid() && error.to_string().contains("`127.0.0.1:9100`"),
            "{addr}: {error}"
        );
    }
    let error = refused("192.0.2.1:9100");
    assert!(
        error.is_system() && error.to_string().contains("`192.0.2.1:9100`"),
        "{error}"
    );
    let error = store.recall.serve(&[][..] as &[SocketAddr]).unwrap_err();
    assert!(error.to_string().contains("no address"), "{error}");
    let error = store
        .recall
        .serve_with("127.0.0.1:0", ServeOptions::new().max_connections(0))
        .unwrap_err();
    assert!(error.is_invalid(), "{error}");
    // A store that cannot be served as its builder says is none, and the builder names what it was given.
    let error = Recall::builder().serve(at).build().map(drop).unwrap_err();
    assert!(error.is_system(), "{error}");
    let error = Recall::builder()
        .serve("localhost")
        .build()
        .map(drop)
        .unwrap_err();
    assert!(
        error.is_invalid() && error.to_string().contains("`localhost`"),
        "{error}"
    );
}

#[test]
fn a_builder_serves_for_as_long_as_the_store_lives() {
    let _alone = alone();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = ServeOptions::new().bearer_token("abc");
    let (recorder, recall) = Recall::builder().serve_with(free, options).start().unwrap();
    assert_eq!(
        (get(free, "/-/ready").status, get(free, "/metrics").status),
        (200, 401)
    );
    drop((recorder, recall));
    eventually("the port is free", || is_free(free));
}

#[test]
fn an_open_address_is_named_until_somebody_says_that_it_is_meant() {
    let _alone = alone();
    let store = Store::default();
    let reasons = || store.recall.health().reasons().to_vec();
    let local = store.recall.serve("127.0.0.1:0").unwrap();
    let meant = store
        .recall
        .serve_with("0.0.0.0:0", ServeOptions::new().allow_anyone())
        .unwrap();
    let locked = store
        .recall
        .serve_with("0.0.0.0:0", ServeOptions::new().bearer_token("abc"))
        .unwrap();
    assert_eq!(reasons(), [""; 0]);
    let open = store.recall.serve("0.0.0.0:0").unwrap();
    let reasons_now = reasons();
    assert!(
        reasons_now.len() == 1 && reasons_now[0].contains(&open.local_addr().to_string()),
        "{reasons_now:?}"
    );
    assert_eq!(get(local.local_addr(), "/healthz").status, 503);
    drop(open);
    assert_eq!(reasons(), [""; 0]);
    drop((meant, locked));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::{
        env, fs,
        os::unix::{fs::PermissionsExt, net::UnixStream},
        path::{Path, PathBuf},
        process,
    };

    /// A path has at most 107 bytes, which that of a checkout may be longer than.
    fn place(name: &str) -> PathBuf {
        let path = env::temp_dir().join(format!("recall-{}-{name}", process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    fn status(path: &Path, host: &str) -> u16 {
        let mut stream = UnixStream::connect(path).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        read(&mut stream, false).unwrap().status
    }

    #[test]
    fn a_socket_is_its_users_and_goes_with_the_sidecar() {
        let store = Store::default();
        let path = place("one");
        let sidecar = store.recall.serve_unix(&path, ServeOptions::new()).unwrap();
        assert_eq!(sidecar.path(), path);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        // No name leads a browser here.
        assert_eq!(
            (
                status(&path, "localhost"),
                status(&path, "any.org"),
                status(&path, "")
            ),
            (200, 200, 200)
        );
        drop(sidecar);
        assert!(!path.exists());
    }

    #[test]
    fn only_what_nobody_listens_at_is_replaced() {
        let store = Store::default();
        let path = place("two");
        let serve = || store.recall.serve_unix(&path, ServeOptions::new());
        // Left behind by a process that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let sidecar = serve().unwrap();
        let error = serve().map(drop).unwrap_err();
        assert!(
            error.is_system() && error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert_eq!(status(&path, "localhost"), 200);
        // Somebody else's by now.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "text").unwrap();
        drop(sidecar);
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        let error = serve().map(drop).unwrap_err();
        assert!(error.is_system(), "{error}");
        fs::remove_file(&path).unwrap();
        let error = store
            .recall
            .serve_unix("/nowhere/at/all", ServeOptions::new())
            .map(drop)
            .unwrap_err();
        assert!(error.to_string().contains("`/nowhere/at/all`"), "{error}");
    }
}

/// A client that connects and goes costs nothing.
#[test]
fn clients_may_go_at_any_time() {
    let _alone = alone();
    let store = Store::default();
    let sidecar = store.recall.serve("127.0.0.1:0").unwrap();
    for n in 0..200 {
        let mut stream = TcpStream::connect(sidecar.local_addr()).unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream
            .write_all(&request[..n % (request.len() + 1)])
            .unwrap();
    }
    assert_eq!(get(sidecar.local_addr(), "/metrics").status, 200);
    assert!(store.recall.health().is_healthy());
}
