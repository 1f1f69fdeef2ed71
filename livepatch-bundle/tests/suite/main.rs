//! The bundle format from outside: round trips, hostile files, other tools' readers, and the disk.

mod round_trip;

mod samples;
