//! Changed functions that shall stay as they are: the new source names them with kpatch's `KPATCH_IGNORE_FUNCTION`.

use super::Comparison;
use crate::object::FunctionId;
use crate::object::tables::IGNORED;
use crate::pair::Pair;

impl Comparison {
    /// Takes functions for unchanged that the new object lists.
    pub fn ignore(&mut self, pair: &Pair<'_>) {
        for function in self.changed() {
            let entry = pair.new.function(function).entry();
            let mut entries = pair.new.attached(entry).iter();
            if entries.any(|one| one.table.name == IGNORED && one.at == 0) {
                self.changed.remove(&function);
                self.ignored.insert(function);
            }
        }
    }

    /// Changed functions that stay as they are.
    pub fn ignored(&self) -> impl Iterator<Item = FunctionId> {
        self.ignored.iter().copied()
    }
}
