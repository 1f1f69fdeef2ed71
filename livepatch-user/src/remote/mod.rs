//! System calls on behalf of the target, on a borrowed thread.
