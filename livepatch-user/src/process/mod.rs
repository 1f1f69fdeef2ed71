//! What `/proc` tells about a process: maps, threads, state.
