//! The bundle format from outside: round trips, hostile files, other tools' readers, and the disk.

mod disk;
mod errors;
mod fields;
mod hostile;
mod readers;
mod round_trip;
mod rules;
mod samples;
mod signature;
