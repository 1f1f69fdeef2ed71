//! What `/proc` tells about a process, and access to its memory.
//!
//! [`examine`] decides whether a process can be a target at all; [`maps`] and [`threads`] list what it has;
//! [`ProcessMemory`] reads and writes its memory while it runs or stands. Nothing here stops anything: that is
//! [`crate::stop`]'s and [`crate::remote`]'s part.

mod confinement;
mod examine;
mod fields;
mod forced;
mod id;
mod maps;
mod memory;
mod permission;
mod sharing;
mod threads;

pub use confinement::Confinement;
pub(crate) use examine::tracer;
pub use examine::{Target, TargetError, examine, examine_to_read};
pub use fields::{Stat, Status, read_text};
pub use forced::{WriteError, Written};
pub use id::{Pid, Tid};
pub use maps::{Backing, Mapping, find_mapping, maps, parse_maps};
pub use memory::{ProcessMemory, Range};
pub use permission::Obstacle;
pub use sharing::{SharingScan, Stranger};
pub use threads::{Activity, activity, threads};
