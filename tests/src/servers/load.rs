//! Clients that send verified requests until they are told to stop.

use super::Server;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Connections that are used at once.
const CLIENTS: usize = 4;

/// A load that runs.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    begin: Instant,
    clients: Vec<JoinHandle<Result<()>>>,
}

/// What a load saw.
#[derive(Debug)]
pub struct Report {
    /// Requests answered rightly.
    pub answered: u64,
    /// Failures: each ends the client that it happened to.
    pub failures: Vec<String>,
    /// How long the load ran.
    pub duration: Duration,
}

impl Report {
    /// Requests answered per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.duration.as_secs_f64()
    }
}

impl Load {
    /// Starts the clients of a server.
    #[must_use]
    pub fn start(server: &'static dyn Server, port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let clients = (0..CLIENTS)
            .map(|index| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                thread::spawn(move || {
                    let mut client = server.client(port, index)?;
                    for k in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                        client.request(k)?;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        Self {
            stop,
            answered,
            begin: Instant::now(),
            clients,
        }
    }

    /// Requests answered so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Stops the clients.
    #[must_use]
    pub fn finish(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let ends = self.clients.into_iter().map(JoinHandle::join);
        let failures = ends
            .filter_map(|end| match end {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{error:#}")),
                Err(_) => Some("a client panicked".to_owned()),
            })
            .collect();
        Report {
            answered: self.answered.load(Ordering::Relaxed),
            failures,
            duration: self.begin.elapsed(),
        }
    }
}
