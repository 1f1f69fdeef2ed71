//! nginx: after a rewrite with arguments the old code goes on escaping captures, into a buffer sized
//! for the unescaped text.

use super::http::{Connection, ask};
use super::{Client, Server, Verdict};
use anyhow::{Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Requests that a probe sends, so that both workers answer.
const PROBES: usize = 24;

/// See the module.
pub(super) struct Nginx;

impl Server for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn command(&self, program: &Path, run: &Path, port: u16) -> Result<Command> {
        let configuration = format!(
            "user root; daemon off; worker_processes 2; error_log stderr; pid nginx.pid;
             events {{ worker_connections 256; }}
             http {{ access_log off; root .; keepalive_requests 1000000; client_body_temp_path body;
               server {{ listen 127.0.0.1:{port};
                 location /v/ {{ rewrite ^/v/(.*) /new?c=1; set $mine $1; return 200 \"<$mine>\"; }}
                 location /r/ {{ rewrite ^/r/(.*)$ /moved/$1?x=$1 redirect; }}
             }} }}"
        );
        fs::write(run.join("nginx.conf"), configuration)?;
        fs::write(run.join("index.html"), "hello")?;
        fs::write(run.join("large"), "x".repeat(300_000))?;
        let mut command = Command::new(program);
        command
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(run);
        Ok(command)
    }

    fn processes(&self) -> usize {
        3
    }

    fn probe(&self, port: u16) -> Result<Verdict> {
        let answers = (0..PROBES).map(|_| Ok(ask(port, "GET /v/a%20b", &[])?.body));
        let answers: BTreeSet<String> = answers.collect::<Result<_>>()?;
        let answers: Vec<_> = answers.iter().map(String::as_str).collect();
        match answers[..] {
            ["<a b>"] => Ok(Verdict::Fixed),
            ["<a%2>"] => Ok(Verdict::Vulnerable),
            _ => bail!("answers differ: {answers:?}"),
        }
    }

    fn smoke(&self, port: u16) -> Result<()> {
        for _ in 0..8 {
            ensure!(ask(port, "GET /index.html", &[])?.body == "hello");
            ensure!(ask(port, "GET /large", &[])?.body.len() == 300_000);
            ensure!(ask(port, "GET /v/plain", &[])?.body == "<plain>");
            ensure!(ask(port, "GET /nothing", &[])?.status == 404);
            let moved = ask(port, "GET /r/ab", &[])?;
            ensure!(moved.status == 302 && moved.head.contains("/moved/ab?x=ab"));
        }
        Ok(())
    }

    fn client(&self, port: u16, _index: usize) -> Result<Box<dyn Client>> {
        let connection = Connection::open(port)?;
        Ok(Box::new(Rewriter { port, connection }))
    }
}

struct Rewriter {
    port: u16,
    connection: Connection,
}

impl Client for Rewriter {
    fn request(&mut self, k: u64) -> Result<()> {
        if k % 50 == 49 {
            self.connection = Connection::open(self.port)?;
        }
        let answer = self.connection.ask(&format!("GET /v/{k}"), &[])?;
        ensure!(answer.body == format!("<{k}>"), "wrong answer {answer:?}");
        Ok(())
    }
}
