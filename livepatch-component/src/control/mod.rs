//! Control of a running component, over a Unix socket: a JSON object a line, one answer to each.

pub(crate) mod client;
pub(crate) mod protocol;
pub(crate) mod server;
