//! A small HTTP/1.1 client.

use super::connect;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// Status line and headers, in lower case.
    pub(super) head: String,
    /// The body.
    pub(super) body: String,
}

/// A connection, used for many requests.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(super) fn open(port: u16) -> Result<Self> {
        let stream = BufReader::new(connect(port)?);
        Ok(Self { stream })
    }

    /// Sends a request line with these header lines and reads the answer.
    pub(super) fn ask(&mut self, request: &str, headers: &[&str]) -> Result<Answer> {
        let mut text = format!("{request} HTTP/1.1\r\nHost: localhost\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        self.stream.get_mut().write_all(text.as_bytes())?;
        self.read()
    }

    fn read(&mut self) -> Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(
                self.stream.read_line(&mut head)? > 0,
                "closed after `{head}`"
            );
        }
        let head = head.to_lowercase();
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(Ok(0), str::parse)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body)?;
        Ok(Answer { status, head, body })
    }
}

/// Sends one request over a connection of its own.
pub(super) fn ask(port: u16, request: &str, headers: &[&str]) -> Result<Answer> {
    Connection::open(port)?.ask(request, headers)
}
