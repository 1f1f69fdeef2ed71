//! Mosquitto: the old broker reads a first packet of 2 MiB from a client that has not connected;
//! the fixed one closes at once.

use super::{Client, Server, Verdict, connect};
use anyhow::{Result, bail, ensure};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// `PUBLISH` with a remaining length of 2 MiB.
const LARGE_PUBLISH: [u8; 5] = [0x30, 0x80, 0x80, 0x80, 0x01];
/// How long the probe waits for the broker to close: it does so at once, or never.
const SILENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Mosquitto;

impl Server for Mosquitto {
    fn name(&self) -> &'static str {
        "mosquitto"
    }

    fn command(&self, program: &Path, run: &Path, port: u16) -> Result<Command> {
        let configuration = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n"
        );
        fs::write(run.join("mosquitto.conf"), configuration)?;
        let mut command = Command::new(program);
        command.args(["-c", "mosquitto.conf"]);
        Ok(command)
    }

    fn probe(&self, port: u16) -> Result<Verdict> {
        let mut stream = connect(port)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(&LARGE_PUBLISH)?;
        match stream.read(&mut [0; 10]) {
            Ok(0) => Ok(Verdict::Fixed),
            Ok(_) => bail!("the broker answered"),
            Err(error) => match error.kind() {
                ErrorKind::ConnectionReset => Ok(Verdict::Fixed),
                ErrorKind::WouldBlock => Ok(Verdict::Vulnerable),
                _ => Err(error.into()),
            },
        }
    }

    fn smoke(&self, port: u16) -> Result<()> {
        let mut reader = Mqtt::open(port, "smoke-reader")?;
        let mut writer = Mqtt::open(port, "smoke-writer")?;
        reader.subscribe("smoke/#")?;
        let payload = "hello".repeat(1000);
        writer.publish("smoke/x", &payload)?;
        ensure!(reader.receive()? == (0x30, message("smoke/x", &payload)));
        reader.send(0xc0, &[])?;
        ensure!(
            reader.receive()? == (0xd0, Vec::new()),
            "no answer to a ping"
        );
        Ok(())
    }

    fn client(&self, port: u16, index: usize) -> Result<Box<dyn Client>> {
        let topic = format!("load/{index}");
        let mut mqtt = Mqtt::open(port, &format!("load-{index}"))?;
        mqtt.subscribe(&topic)?;
        Ok(Box::new(Echo { port, mqtt, topic }))
    }
}

/// Publishes to itself.
struct Echo {
    port: u16,
    mqtt: Mqtt,
    topic: String,
}

impl Client for Echo {
    fn request(&mut self, k: u64) -> Result<()> {
        let payload = k.to_string();
        self.mqtt.publish(&self.topic, &payload)?;
        let received = self.mqtt.receive()?;
        ensure!(
            received == (0x30, message(&self.topic, &payload)),
            "wrong message"
        );
        if k % 100 == 99 {
            Mqtt::open(self.port, &format!("{}-short", self.topic))?;
        }
        Ok(())
    }
}

/// A client of MQTT 3.1.1.
struct Mqtt {
    stream: TcpStream,
}

impl Mqtt {
    fn open(port: u16, client: &str) -> Result<Self> {
        let stream = connect(port)?;
        let mut mqtt = Self { stream };
        // Level 4, clean session, keep alive for 60 s.
        let body = [&string("MQTT")[..], &[4, 2, 0, 60], &string(client)].concat();
        mqtt.send(0x10, &body)?;
        ensure!(mqtt.receive()? == (0x20, vec![0, 0]), "not accepted");
        Ok(mqtt)
    }

    fn subscribe(&mut self, topic: &str) -> Result<()> {
        self.send(0x82, &[&[0, 1][..], &string(topic), &[0]].concat())?;
        ensure!(self.receive()? == (0x90, vec![0, 1, 0]), "no subscription");
        Ok(())
    }

    fn publish(&mut self, topic: &str, payload: &str) -> Result<()> {
        self.send(0x30, &message(topic, payload))
    }

    fn send(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        let mut packet = vec![kind];
        let mut length = body.len();
        while length > 127 {
            packet.push(0x80 | (length % 128) as u8);
            length /= 128;
        }
        packet.push(length as u8);
        packet.extend(body);
        Ok(self.stream.write_all(&packet)?)
    }

    fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
        let kind = self.byte()?;
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = usize::from(self.byte()?);
            length |= (byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

fn string(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("topics of the tests are short");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn message(topic: &str, payload: &str) -> Vec<u8> {
    [&string(topic)[..], payload.as_bytes()].concat()
}
