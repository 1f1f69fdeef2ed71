//! Tests of the whole check: on arrays, and on live programs stopped with plain ptrace.

mod hostile;
mod languages;
mod live;
mod many;
mod scans;
mod stepping;
mod support;
mod walks;
