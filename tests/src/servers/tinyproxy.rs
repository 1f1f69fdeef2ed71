//! Tinyproxy: headers that a removed header names are removed too. The fixed code spares the two
//! lists themselves, so it honours a `Proxy-Connection` that `Connection` names; the old one has
//! removed it by then. (The use after free needs a list that names itself, which nothing here sends.)

use super::http::{Answer, Connection};
use super::{Client, Server, Verdict};
use anyhow::{Result, ensure};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::thread;

/// The port of an origin server that answers with the head of the request; it lives as long as we do.
static ORIGIN: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A broken connection is the client's to notice.
            thread::spawn(move || drop(mirror(stream)));
        }
    });
    port
});

fn mirror(stream: TcpStream) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(stream.read_line(&mut head)? > 0);
    }
    let length = head.len();
    let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{head}");
    Ok(stream.get_mut().write_all(answer.as_bytes())?)
}

/// See the module.
pub(super) struct Tinyproxy;

impl Server for Tinyproxy {
    fn name(&self) -> &'static str {
        "tinyproxy"
    }

    fn command(&self, program: &Path, run: &Path, port: u16) -> Result<Command> {
        let configuration = format!(
            "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 100\n\
             DisableViaHeader Yes\nLogLevel Warning\n"
        );
        fs::write(run.join("tinyproxy.conf"), configuration)?;
        let mut command = Command::new(program);
        command.args(["-d", "-c", "tinyproxy.conf"]);
        Ok(command)
    }

    fn probe(&self, port: u16) -> Result<Verdict> {
        let answer = through(
            port,
            "/",
            &[
                "Connection: Proxy-Connection",
                "Proxy-Connection: X-Probe",
                "X-Probe: 1",
                "X-Stay: 1",
            ],
        )?;
        ensure!(answer.body.to_lowercase().contains("x-stay"), "{answer:?}");
        Ok(match answer.body.to_lowercase().contains("x-probe") {
            true => Verdict::Vulnerable,
            false => Verdict::Fixed,
        })
    }

    fn smoke(&self, port: u16) -> Result<()> {
        check(port, 0)?;
        let mut tunnel = BufReader::new(super::connect(port)?);
        let origin = *ORIGIN;
        write!(
            tunnel.get_mut(),
            "CONNECT 127.0.0.1:{origin} HTTP/1.0\r\n\r\n"
        )?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(tunnel.read_line(&mut head)? > 0, "closed after `{head}`");
        }
        ensure!(head.contains(" 200 "), "no tunnel: {head}");
        write!(tunnel.get_mut(), "GET /tunnel HTTP/1.0\r\n\r\n")?;
        ensure!(
            tunnel
                .lines()
                .any(|line| line.is_ok_and(|line| line.contains("/tunnel")))
        );
        Ok(())
    }

    fn client(&self, port: u16, _index: usize) -> Result<Box<dyn Client>> {
        // An idle client keeps a thread of the daemon inside a read.
        let idle = super::connect(port)?;
        Ok(Box::new(Browser { port, _idle: idle }))
    }
}

struct Browser {
    port: u16,
    _idle: TcpStream,
}

impl Client for Browser {
    fn request(&mut self, k: u64) -> Result<()> {
        check(self.port, k)
    }
}

/// A request whose `Connection` header names another header to be removed.
fn check(port: u16, k: u64) -> Result<()> {
    let (path, keep) = (format!("/path/{k}"), format!("X-Keep: {k}"));
    let answer = through(port, &path, &["Connection: X-Drop", "X-Drop: 1", &keep])?;
    let head = answer.body.to_lowercase();
    ensure!(
        head.starts_with(&format!("get {path} "))
            && head.contains(&keep.to_lowercase())
            && !head.contains("x-drop"),
        "the origin server got `{head}`"
    );
    Ok(())
}

fn through(port: u16, path: &str, headers: &[&str]) -> Result<Answer> {
    let request = format!("GET http://127.0.0.1:{}{path}", *ORIGIN);
    Connection::open(port)?.ask(&request, headers)
}
