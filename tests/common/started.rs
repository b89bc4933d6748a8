//! Servers of others, started for a test on a loopback port that the system chooses, and ended with it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and a thread of its own reads a log"
)]
#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    io::{BufRead, BufReader, ErrorKind},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// A process that is killed when the test is done with it.
pub struct Started {
    child: Child,
    pub address: SocketAddr,
}

/// Starts `command`, one of Prometheus' family, with its listener at port 0, and reads from its log where it listens. `None` if the
/// program is not there, which in CI is a failure: `.ci/run` installs it.
pub fn start(mut command: Command) -> Option<Started> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let in_ci = std::env::var_os("CI").is_some() && cfg!(target_os = "linux");
            assert!(!in_ci, "{program}: {error}; `.ci/run` installs it");
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    let log = BufReader::new(child.stderr.take().unwrap());
    let (send, receive) = mpsc::channel();
    // Reads to the end, or the server would wait for room in the pipe.
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let mut said = Vec::new();
    let address = loop {
        let Ok(line) = receive.recv_timeout(Duration::from_secs(30)) else {
            let _ = child.kill();
            panic!("{program} does not listen: {said:#?}");
        };
        // 2.x: `msg="Listening on" address=127.0.0.1:1234`; 3.x: the same.
        let of_listener = line.contains("Listening on");
        let at = line.find("address=").filter(|_| of_listener);
        if let Some(at) = at {
            let text = &line[at + "address=".len()..];
            let end = text.find(' ').unwrap_or(text.len());
            break text[..end].parse().unwrap();
        }
        said.push(line);
    };
    Some(Started { child, address })
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether there is such a file, or such a program.
pub fn is_there(program: &str) -> bool {
    Path::new(program).is_file()
        || Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
}
