//! Redis: the old code accepts the malformed ACL selector `%~`, and matches patterns nested without
//! bound. (The third CVE of the fix, a stack overflow in Lua, is not probed.)

use super::{Client, Server, Verdict, connect};
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// Deeper than the 1,000 levels that the fixed code allows.
const NESTING: usize = 1200;

/// See the module.
pub(super) struct Redis;

impl Server for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn command(&self, program: &Path, run: &Path, port: u16) -> Result<Command> {
        let mut command = Command::new(program);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--io-threads", "4", "--io-threads-do-reads", "yes"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(run);
        Ok(command)
    }

    fn probe(&self, port: u16) -> Result<Verdict> {
        let mut redis = Resp::open(port)?;
        let selector = redis.ask(&["ACL", "SETUSER", "probe", "%~"])?;
        redis.ask(&["ACL", "DELUSER", "probe"])?;
        redis.ask(&["SET", &"a".repeat(NESTING), "1"])?;
        let found = redis.ask(&["KEYS", &"*a".repeat(NESTING)])?;
        redis.ask(&["DEL", &"a".repeat(NESTING)])?;
        let refused = matches!(selector, Reply::Error(_));
        match (refused, found == Reply::List(Vec::new())) {
            (true, true) => Ok(Verdict::Fixed),
            (false, false) => Ok(Verdict::Vulnerable),
            _ => bail!("only one of two is fixed: {selector:?}, {found:?}"),
        }
    }

    fn smoke(&self, port: u16) -> Result<()> {
        let mut redis = Resp::open(port)?;
        let script = "return string.rep('a', 3) .. bit.tohex(255, 4) .. cjson.encode({1,2})";
        for (command, wanted) in [
            (&["SET", "smoke:k", "v"][..], "OK"),
            (&["GET", "smoke:k"], "v"),
            (&["HSET", "smoke:h", "a", "1"], "1"),
            (&["HGET", "smoke:h", "a"], "1"),
            (&["ZADD", "smoke:z", "2", "y", "1", "x"], "2"),
            (&["ZRANGE", "smoke:z", "0", "-1"], "x y"),
            (&["EVAL", script, "0"], "aaa00ff[1,2]"),
            (&["KEYS", "s*oke:[hk]"], "smoke:h smoke:k"),
            (
                &["ACL", "SETUSER", "smoke", "on", "%R~data:*", "+@read"],
                "OK",
            ),
            (&["ACL", "DELUSER", "smoke"], "1"),
            (&["DEL", "smoke:k", "smoke:h", "smoke:z"], "3"),
        ] {
            let reply = redis.ask(command)?.text();
            ensure!(reply == wanted, "`{command:?}`: `{reply}`, not `{wanted}`");
        }
        Ok(())
    }

    fn client(&self, port: u16, index: usize) -> Result<Box<dyn Client>> {
        let redis = Resp::open(port)?;
        Ok(Box::new(Worker { redis, index }))
    }
}

struct Worker {
    redis: Resp,
    index: usize,
}

impl Client for Worker {
    fn request(&mut self, k: u64) -> Result<()> {
        let (key, value) = (format!("load:{}", self.index), k.to_string());
        self.redis.ask(&["SET", &key, &value])?;
        let pattern = format!("l*[a-o]d:{}", self.index);
        let user = format!("load{}", self.index);
        for (command, wanted) in [
            (&["KEYS", &pattern][..], &key),
            (&["GET", &key], &value),
            (
                &["EVAL", "return bit.tohex(ARGV[1])", "0", &value],
                &format!("{k:08x}"),
            ),
            (&["ACL", "SETUSER", &user, "on", "~a:*"], &"OK".to_owned()),
        ] {
            let reply = self.redis.ask(command)?.text();
            ensure!(reply == *wanted, "`{command:?}`: `{reply}`, not `{wanted}`");
        }
        Ok(())
    }
}

/// A value of the Redis protocol (RESP2).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reply {
    Text(String),
    Error(String),
    Nothing,
    List(Vec<Reply>),
}

impl Reply {
    /// The value as one line; the elements of a list sorted.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Error(text) => format!("error {text}"),
            Self::Nothing => "nothing".to_owned(),
            Self::List(elements) => {
                let mut texts: Vec<_> = elements.iter().map(Self::text).collect();
                texts.sort();
                texts.join(" ")
            }
        }
    }
}

struct Resp {
    stream: BufReader<TcpStream>,
}

impl Resp {
    fn open(port: u16) -> Result<Self> {
        let stream = BufReader::new(connect(port)?);
        Ok(Self { stream })
    }

    fn ask(&mut self, words: &[&str]) -> Result<Reply> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(command.as_bytes())?;
        self.read()
    }

    fn read(&mut self) -> Result<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let (kind, value) = line.trim_end().split_at_checked(1).context("closed")?;
        Ok(match kind {
            "+" | ":" => Reply::Text(value.to_owned()),
            "-" => Reply::Error(value.to_owned()),
            "$" | "*" if value.starts_with('-') => Reply::Nothing,
            "$" => Reply::Text(self.read_text(value.parse()?)?),
            "*" => Reply::List(
                (0..value.parse()?)
                    .map(|_| self.read())
                    .collect::<Result<_>>()?,
            ),
            _ => bail!("`{line}` is no reply"),
        })
    }

    fn read_text(&mut self, length: usize) -> Result<String> {
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(String::from_utf8(bytes)?)
    }
}
