//! The data of versions 2.x: an account also knows its last message.

use crate::{Book, Counts, one};
use livepatch_module::{Failure, Host, state};
use std::collections::BTreeMap;

state! {
    /// An account.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Account {
        /// What is in it.
        pub balance: i64,
        /// How often it was changed.
        pub moves: u64,
        /// By which message it was last changed; 0 before that was kept.
        pub last: u64,
    }
}

state! {
    /// All accounts.
    #[derive(Default)]
    pub struct Ledger {
        /// By number.
        pub accounts: BTreeMap<u64, Account>,
        /// Of messages.
        pub counts: Counts,
    }
}

impl Book for Ledger {
    fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }

    fn fill(&mut self, count: u64) {
        let account = |number| Account {
            balance: i64::try_from(number).unwrap_or_default(),
            moves: 0,
            last: 0,
        };
        self.accounts
            .extend((0..count).map(|number| (number, account(number))));
    }

    fn touch(&mut self, number: u64) {
        let count = self.accounts.len() as u64;
        if let Some(account) = self.accounts.get_mut(&(number % count.max(1))) {
            account.moves += 1;
            account.last = number;
        }
    }

    fn len(&self) -> usize {
        self.accounts.len()
    }
}

/// The way here from [`one`].
///
/// # Errors
/// Never.
pub fn from_one(_host: &Host<'_>, old: &one::Ledger) -> Result<Ledger, Failure> {
    let accounts = old.accounts.iter().map(|(number, account)| {
        let one::Account { balance, moves } = *account;
        let account = Account {
            balance,
            moves,
            last: 0,
        };
        (*number, account)
    });
    Ok(Ledger {
        accounts: accounts.collect(),
        counts: old.counts,
    })
}
