//! A real Prometheus that scrapes a sidecar, and what stands between them to see when and how it does. The test's root has the
//! modules `http`, `started` and `text`.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and whoever stands between has a thread of its own"
)]
#![allow(dead_code, reason = "each test uses some of it")]

use crate::{
    http,
    started::{Started, start},
    text::Sample,
};
use serde_json::Value;
use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

/// Stands between a Prometheus and a sidecar: asks for what it is told to, and remembers in which format the answers came.
pub struct Between {
    address: SocketAddr,
    pub formats: Arc<Mutex<Vec<String>>>,
    /// An answer has been handed over.
    answers: Receiver<()>,
}

impl Between {
    /// `accept`: in place of what the scraper would like.
    pub fn new(sidecar: SocketAddr, accept: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let formats = Arc::<Mutex<Vec<String>>>::default();
        let seen = formats.clone();
        let (answered, answers) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A scraper may go away, and so may the test.
                if forward(stream.unwrap(), sidecar, accept, &seen).is_ok() {
                    let _ = answered.send(());
                }
            }
        });
        Self {
            address,
            formats,
            answers,
        }
    }
}

fn forward(
    mut scraper: TcpStream,
    sidecar: SocketAddr,
    accept: Option<&str>,
    formats: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        scraper.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let lines = head.trim_end().split("\r\n").map(|line| {
        let is_accept = line.to_ascii_lowercase().starts_with("accept:");
        match accept.filter(|_| is_accept) {
            Some(accept) => format!("Accept: {accept}\r\n"),
            None => format!("{line}\r\n"),
        }
    });
    let mut stream = http::connect(sidecar);
    let asked: String = lines
        .chain(["Connection: close\r\n\r\n".to_owned()])
        .collect();
    stream.write_all(asked.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let shown = String::from_utf8_lossy(&answer).into_owned();
    let of_type = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-type")
            .then(|| value.to_owned())
    };
    formats
        .lock()
        .unwrap()
        .extend(shown.lines().take(20).find_map(of_type));
    scraper.write_all(&answer)
}

/// A server that scrapes once a second.
pub struct Prometheus {
    started: Started,
    directory: PathBuf,
    pub between: Between,
    /// When it is asked about, in seconds; `None`: now.
    at: Cell<Option<f64>>,
}

/// How many answers may be lost, since the server is slow to take them or not there yet.
const MOST_ANSWERS: usize = 30;

impl Prometheus {
    /// `None` if there is no such program. `scrape`: a line of the configuration.
    pub fn new(
        program: &Path,
        called: &str,
        flags: &[&str],
        scrape: &str,
        between: Between,
    ) -> Option<Self> {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{called}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: recall\n{scrape}  static_configs: [{{targets: ['{}']}}]\n",
            between.address
        );
        let file = directory.join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(flags);
        let started = start(command)?;
        Some(Self {
            started,
            directory,
            between,
            at: Cell::new(None),
        })
    }

    fn json(&self, path: &str) -> Value {
        let reply = http::get(self.started.address, path);
        let json: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        assert!(
            reply.status == 503 || json["status"] == "success",
            "{path}: {}",
            reply.text()
        );
        json["data"].clone()
    }

    fn query(&self, query: &str) -> Value {
        let coded: Vec<_> = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let at = self.at.get().map(|at| format!("&time={at}"));
        let at = at.unwrap_or_default();
        self.json(&format!("/api/v1/query?query={}{at}", coded.concat()))
    }

    /// When the newest of our samples was taken.
    fn newest(&self) -> Option<f64> {
        let data = self.query("{job=\"recall\",__name__!~\"up|scrape_.*\"}[5m]");
        let all = data["result"].as_array()?.iter();
        let times = all.filter_map(|series| series["values"].as_array()?.last()?[0].as_f64());
        times.max_by(f64::total_cmp)
    }

    /// An instant query's samples, without what Prometheus itself says of the target.
    pub fn ask(&self, query: &str) -> HashMap<Sample, f64> {
        let data = self.query(query);
        let result = data["result"].as_array().cloned().unwrap_or_default();
        let samples = result.iter().filter_map(|sample| {
            let mut labels: BTreeMap<String, String> =
                serde_json::from_value(sample["metric"].clone()).unwrap();
            let name = labels.remove("__name__").unwrap_or_default();
            let is_ours = !name.starts_with("scrape_") && name != "up";
            assert_eq!(labels.remove("job").as_deref(), Some("recall"), "{sample}");
            labels.remove("instance");
            // A native histogram has no value.
            let value = sample["value"][1].as_str()?.replace("Inf", "inf");
            is_ours.then(|| ((name, labels), value.parse().unwrap()))
        });
        samples.collect()
    }

    /// Everything, as soon as there is anything. An answer is stored at the latest when the server asks for the next one. What is
    /// asked later is of the same time: all series end with a scrape that fails.
    pub fn everything(&self) -> HashMap<Sample, f64> {
        for _ in 0..MOST_ANSWERS {
            let answered = self.between.answers.recv_timeout(Duration::from_secs(60));
            answered.expect("a scrape a second");
            self.at.set(self.newest());
            if self.at.get().is_some() {
                return self.ask("{job=\"recall\"}");
            }
        }
        panic!("nothing was scraped: {}", self.json("/api/v1/targets"));
    }

    /// By the name of a family, of which type it takes it for.
    pub fn types(&self) -> BTreeMap<String, String> {
        let data = self.json("/api/v1/targets/metadata?limit=100000");
        let families = data.as_array().cloned().unwrap_or_default();
        let text = |family: &Value, word: &str| family[word].as_str().unwrap().to_owned();
        let types = families
            .iter()
            .map(|family| (text(family, "metric"), text(family, "type")));
        types.collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // The process ends after this, and what it writes till then goes with the next run.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Debian's, of version 2.
pub fn two() -> PathBuf {
    "prometheus".into()
}

/// `None`: there is none, which `.ci/run` says why.
pub fn three() -> Option<PathBuf> {
    let path = std::env::var_os("PROMETHEUS_3").map(PathBuf::from)?;
    assert!(
        path.is_file(),
        "PROMETHEUS_3 is {}, which is no file",
        path.display()
    );
    Some(path)
}
