//! A client that speaks HTTP by hand, so that it can also speak it badly.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Waits for a whole minute before it gives up: machines that run tests are busy.
pub fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    let most = Some(Duration::from_secs(60));
    stream.set_read_timeout(most).unwrap();
    stream.set_write_timeout(most).unwrap();
    stream
}

/// `GET` over a connection of its own.
pub fn get(at: SocketAddr, path: &str) -> Reply {
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n"))
}

/// The lines of a request, without the last and empty one, over a connection of its own.
pub fn ask(at: SocketAddr, lines: &str) -> Reply {
    let mut stream = connect(at);
    stream
        .write_all(format!("{lines}Connection: close\r\n\r\n").as_bytes())
        .unwrap();
    let is_head = lines.starts_with("HEAD");
    read(&mut stream, is_head).unwrap()
}

/// One response; `None`: the connection ended before it was whole.
pub fn read(stream: &mut impl Read, is_head: bool) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut reply = Reply {
        status,
        headers,
        body: Vec::new(),
    };
    if is_head {
        return Some(reply);
    }
    if reply.header("transfer-encoding") == Some("chunked") {
        loop {
            let length = usize::from_str_radix(&line(stream)?, 16).unwrap();
            let chunk = exactly(stream, length)?;
            line(stream)?;
            if length == 0 {
                return Some(reply);
            }
            reply.body.extend_from_slice(&chunk);
        }
    }
    let length = reply
        .header("content-length")
        .map_or(0, |n| n.parse().unwrap());
    reply.body = exactly(stream, length)?;
    Some(reply)
}

fn exactly(stream: &mut impl Read, n: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; n];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn line(stream: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(exactly(stream, 1)?);
    }
    line.truncate(line.len() - 2);
    Some(String::from_utf8(line).unwrap())
}
