//! A version of the ledger that refuses to go on: an upgrade to it is rolled back.

use livepatch_ledger::one::{self, Ledger};
use livepatch_ledger::two;
use livepatch_module::{Event, Failure, Host, Module, Why, export};

const VERSION: &str = "refusing";

struct Logic;

impl Module for Logic {
    const NAME: &'static str = "ledger";
    const VERSION: &'static str = VERSION;
    type State = Ledger;

    fn init(_host: &Host<'_>) -> Result<Ledger, Failure> {
        Ok(Ledger::default())
    }

    fn restart(_host: &Host<'_>, ledger: &Ledger, _why: Why) -> Result<(), Failure> {
        let count = ledger.accounts.len();
        Err(format!("{count} accounts are too many").into())
    }
}

fn message(host: &Host<'_>, ledger: &mut Ledger, event: &Event<'_>) -> Result<(), Failure> {
    livepatch_ledger::message(host, ledger, event)
}

fn command(host: &Host<'_>, ledger: &mut Ledger, event: &Event<'_>) -> Result<(), Failure> {
    livepatch_ledger::command(host, ledger, event, VERSION)
}

export! {
    module: Logic,
    entries: [message, command],
    migrations: [two::Ledger => one::from_two],
}
