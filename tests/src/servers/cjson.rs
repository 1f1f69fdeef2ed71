//! cJSON in a host of ours: the old code takes the `A` of the array index `1A` for the digit 17.

use super::{Client, Server, Verdict, connect};
use anyhow::{Result, bail, ensure};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// See the module.
pub(super) struct Cjson;

impl Server for Cjson {
    fn name(&self) -> &'static str {
        "cjson"
    }

    fn command(&self, program: &Path, _run: &Path, port: u16) -> Result<Command> {
        let mut command = Command::new(program);
        command.arg(port.to_string());
        Ok(command)
    }

    fn probe(&self, port: u16) -> Result<Verdict> {
        let elements: Vec<_> = (0..40).map(|i| i.to_string()).collect();
        let document = format!("[{}]", elements.join(","));
        match Finder::open(port)?.find("/1A", &document)?.as_str() {
            "none" => Ok(Verdict::Fixed),
            "27" => Ok(Verdict::Vulnerable),
            other => bail!("`/1A` is `{other}`"),
        }
    }

    fn smoke(&self, port: u16) -> Result<()> {
        let document =
            r#"{"a":[10,11,{"b":"x"}],"m~n":5,"s/t":6,"0":{"7":[1,2,3,4,5,6,7,8,9,10,11,12,13]}}"#;
        let mut finder = Finder::open(port)?;
        for (pointer, wanted) in [
            ("/a/0", "10"),
            ("/a/2/b", "\"x\""),
            ("/m~0n", "5"),
            ("/s~1t", "6"),
            ("/0/7/12", "13"),
            ("/a/3", "none"),
            ("/a/01", "none"),
        ] {
            let found = finder.find(pointer, document)?;
            ensure!(found == wanted, "`{pointer}` is `{found}`, not `{wanted}`");
        }
        Ok(())
    }

    fn client(&self, port: u16, _index: usize) -> Result<Box<dyn Client>> {
        Ok(Box::new(Finder::open(port)?))
    }
}

struct Finder {
    stream: BufReader<TcpStream>,
}

impl Finder {
    fn open(port: u16) -> Result<Self> {
        let stream = BufReader::new(connect(port)?);
        Ok(Self { stream })
    }

    fn find(&mut self, pointer: &str, document: &str) -> Result<String> {
        let line = format!("{pointer}\t{document}\n");
        self.stream.get_mut().write_all(line.as_bytes())?;
        let mut answer = String::new();
        ensure!(self.stream.read_line(&mut answer)? > 0, "closed");
        Ok(answer.trim_end().to_owned())
    }
}

impl Client for Finder {
    fn request(&mut self, k: u64) -> Result<()> {
        let index = k % 4;
        let found = self.find(&format!("/a/{index}"), r#"{"a":[5,6,7,8]}"#)?;
        ensure!(found == (index + 5).to_string(), "wrong answer `{found}`");
        Ok(())
    }
}
