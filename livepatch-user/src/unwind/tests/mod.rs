//! Tests of the whole check: on arrays, and on live programs stopped with plain ptrace.

mod arrays;
mod hostile;
mod languages;
mod live;
mod many;
mod stepping;
mod support;
