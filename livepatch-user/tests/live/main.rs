//! Stopping, borrowing and examining live processes.

mod child;
mod examine;
mod remote;
mod signals;
mod stop;

/// Tests that stop and go without end would starve each other's targets of their two CPUs; one at a time.
fn exclusive() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
