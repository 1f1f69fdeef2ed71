//! Stopping all threads of a process and letting them go as if nothing had been.
