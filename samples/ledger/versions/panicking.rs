//! A version of the ledger that panics in the operation that the environment variable `LEDGER_PANICS` names: whatever that is, the
//! component goes on.

use livepatch_ledger::one;
use livepatch_ledger::two::{self, Ledger};
use livepatch_module::{Event, Failure, Held, Host, Module, Why, export};

const VERSION: &str = "panicking";

struct Logic;

/// Panics where this operation was named.
fn enter(operation: &str) {
    let named = std::env::var("LEDGER_PANICS");
    assert!(named.as_deref() != Ok(operation), "in {operation}");
}

impl Module for Logic {
    const NAME: &'static str = "ledger";
    const VERSION: &'static str = VERSION;
    type State = Ledger;

    fn init(_host: &Host<'_>) -> Result<Ledger, Failure> {
        enter("init");
        Ok(Ledger::default())
    }

    fn term(_host: &Host<'_>, _ledger: &mut Ledger) -> Result<(), Failure> {
        enter("term");
        Ok(())
    }

    fn hold(_host: &Host<'_>, _ledger: &mut Ledger) -> Result<Held, Failure> {
        enter("hold");
        Ok(Held::Quiescent)
    }

    fn restart(_host: &Host<'_>, _ledger: &Ledger, _why: Why) -> Result<(), Failure> {
        enter("restart");
        Ok(())
    }

    fn validate(_host: &Host<'_>, _ledger: &Ledger) -> Result<(), Failure> {
        enter("validate");
        Ok(())
    }

    fn health(_host: &Host<'_>, _ledger: &Ledger) -> Result<(), Failure> {
        enter("health");
        Ok(())
    }
}

fn message(host: &Host<'_>, ledger: &mut Ledger, event: &Event<'_>) -> Result<(), Failure> {
    enter("message");
    livepatch_ledger::message(host, ledger, event)
}

fn command(host: &Host<'_>, ledger: &mut Ledger, event: &Event<'_>) -> Result<(), Failure> {
    enter("command");
    livepatch_ledger::command(host, ledger, event, VERSION)
}

/// Panics half-way.
fn migrate(host: &Host<'_>, old: &one::Ledger) -> Result<Ledger, Failure> {
    let ledger = two::from_one(host, old)?;
    enter("migrate");
    Ok(ledger)
}

export! {
    module: Logic,
    entries: [message, command],
    migrations: [one::Ledger => migrate],
}
