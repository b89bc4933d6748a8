//! What do the machine, this process and a service do right now? A table that is refreshed in place.
//!
//! `cargo run --features system,probes --example watch_this_machine -- --seconds 10`

use metrics_recall::{Labels, Recall, mins, probes::Probe, secs};
use std::{
    env,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Seconds to watch, as `--seconds N` has it; for ever without it.
fn seconds() -> Result<Option<u64>, String> {
    let mut arguments = env::args().skip(1);
    match (
        arguments.next().as_deref(),
        arguments.next(),
        arguments.next(),
    ) {
        (None, ..) => Ok(None),
        (Some("--seconds"), Some(n), None) => match n.parse() {
            Ok(n @ 1..) => Ok(Some(n)),
            _ => Err(format!("`--seconds {n}`: allowed are whole numbers from 1")),
        },
        (Some(other), ..) => Err(format!("`{other}`: allowed is `--seconds N`")),
    }
}

/// A server that answers each request with a mebibyte.
fn serve() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let serve = move || {
        for mut connection in listener.incoming().flatten() {
            let head = BufReader::new(&connection).lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n";
            let _ = connection.write_all(&[head.as_slice(), &vec![7; 1 << 20]].concat());
        }
    };
    #[expect(clippy::disallowed_methods, reason = "a server of the example's own")]
    thread::spawn(serve);
    Ok(address)
}

/// Bytes for people.
fn bytes(n: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut n = n;
    let mut unit = 0;
    while n >= 1024.0 && unit + 1 < units.len() {
        n /= 1024.0;
        unit += 1;
    }
    format!("{n:.1} {}", units[unit])
}

fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn label(labels: &Labels, name: &str) -> String {
    labels.get(name).unwrap_or_default().to_owned()
}

/// The table, a line each.
fn table(recall: &Recall) -> Vec<String> {
    let gauge = |name: &str| recall.gauges(name).current();
    let rate = |name: &str| recall.counters(name).over(secs(10)).rate();
    let mut lines = vec![format!(
        "{:<28}{:>14}{:>14}{:>14}",
        "", "now", "a minute", "highest"
    )];
    let mut over = |what: &str, name: &str, show: &dyn Fn(f64) -> String| {
        let minute = recall.gauges(name).over(mins(1));
        let (now, avg, max) = (gauge(name), minute.avg(), minute.max());
        let [now, avg, max] = [now, avg, max].map(|value| or_dash(value, show));
        lines.push(format!("{what:<28}{now:>14}{avg:>14}{max:>14}"));
    };
    over("cores", "system_cpu_usage_ratio", &percent);
    over("memory", "system_memory_utilization_ratio", &percent);
    over(
        "fullest file system",
        "system_filesystem_fullest_ratio",
        &percent,
    );
    over("load", "system_cpu_load_average_1m", &|load| {
        format!("{load:.2}")
    });
    over(
        "this process, resident",
        "process_resident_memory_bytes",
        &bytes,
    );
    over("this process, threads", "process_threads", &|n| {
        format!("{n:.0}")
    });
    let cpu = rate("process_cpu_seconds_total");
    lines.push(format!(
        "{:<28}{:>14}",
        "this process, of a core",
        or_dash(cpu, percent)
    ));
    lines.push(String::new());
    lines.push(format!(
        "{:<28}{:>14}{:>14}{:>14}",
        "server", "now", "a minute", "highest"
    ));
    let phases = || recall.gauges("probe_http_duration_seconds").by(["phase"]);
    let minute = phases().over(mins(1));
    let (avg, max) = (minute.avg(), minute.max());
    for (((phase, now), (_, avg)), (_, max)) in phases().current().into_iter().zip(avg).zip(max) {
        let phase = label(&phase, "phase");
        let [now, avg, max] = [now, avg, max].map(|s| format!("{:.3} ms", 1000.0 * s));
        lines.push(format!("{phase:<28}{now:>14}{avg:>14}{max:>14}"));
    }
    let success = or_dash(recall.gauges("probe_success").over(mins(1)).avg(), percent);
    lines.push(format!("{:<28}{:>14}{success:>14}", "answered", ""));
    lines.push(String::new());
    lines.push(format!(
        "{:<28}{:>14}{:>14}",
        "interface", "in /s", "out /s"
    ));
    let traffic = |direction: &str| {
        let io = recall.counters("system_network_io_bytes_total");
        io.label("direction", direction)
            .by(["device"])
            .over(secs(10))
            .rate()
    };
    for (received, transmitted) in traffic("receive").into_iter().zip(traffic("transmit")) {
        let (name, by) = received;
        let (name, into, out) = (label(&name, "device"), bytes(by), bytes(transmitted.1));
        lines.push(format!("{name:<28}{into:>14}{out:>14}"));
    }
    lines.push(String::new());
    for status in recall.collectors() {
        lines.push(status.to_string());
    }
    lines
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = seconds()?;
    let address = serve()?;
    let recall = Recall::builder().collect_system().install()?;
    let page = Probe::http(format!("http://{address}/"))?;
    let _probe = recall.probe(page.every(secs(1)).timeout(secs(1)))?;
    watch(&recall, seconds);
    println!("{}", recall.health());
    recall.shutdown();
    Ok(())
}

fn watch(recall: &Recall, seconds: Option<u64>) {
    let is_terminal = io::stdout().is_terminal();
    // Nobody sends: a second is how long it takes.
    let (_never, second) = mpsc::channel::<()>();
    let mut shown = 0;
    for n in 1.. {
        let _ = second.recv_timeout(Duration::from_secs(1));
        let is_last = seconds == Some(n);
        if is_terminal || is_last {
            if shown > 0 {
                // Up, and over what stands there.
                print!("\x1b[{shown}A\x1b[J");
            }
            let lines = table(recall);
            shown = lines.len();
            println!("{}", lines.join("\n"));
        }
        if is_last {
            break;
        }
    }
}
