//! The data of versions 1.x.

use crate::{Book, Counts, two};
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
        };
        self.accounts
            .extend((0..count).map(|number| (number, account(number))));
    }

    fn touch(&mut self, number: u64) {
        let count = self.accounts.len() as u64;
        if let Some(account) = self.accounts.get_mut(&(number % count.max(1))) {
            account.moves += 1;
        }
    }

    fn len(&self) -> usize {
        self.accounts.len()
    }
}

/// The way back from [`two`].
///
/// # Errors
/// Never.
pub fn from_two(_host: &Host<'_>, new: &two::Ledger) -> Result<Ledger, Failure> {
    let accounts = new.accounts.iter().map(|(number, account)| {
        let two::Account { balance, moves, .. } = *account;
        (*number, Account { balance, moves })
    });
    Ok(Ledger {
        accounts: accounts.collect(),
        counts: new.counts,
    })
}
