//! The symbol tables of an image, each read when it is first needed.

use super::debug_data;
use super::debug_file;
use super::files::{self, Trusted};
use super::image::Image;
use super::symbol::Provenance;
use super::table::SymbolTable;
use super::unusable::Unusable;
use std::sync::OnceLock;

/// The order in which tables are asked.
const ORDER: [Provenance; 4] = [
    Provenance::File,
    Provenance::DebugFile,
    Provenance::DebugData,
    Provenance::Dynamic,
];

/// What was opened and read so far.
#[derive(Debug, Default)]
pub(super) struct Sources {
    file: OnceLock<Result<Trusted, Unusable>>,
    symtab: OnceLock<Result<SymbolTable, Unusable>>,
    debug_file: OnceLock<Result<SymbolTable, Unusable>>,
    debug_data: OnceLock<Result<SymbolTable, Unusable>>,
}

impl Image<'_> {
    /// The file that is mapped, if it is what runs.
    pub(super) fn file(&self) -> Result<&Trusted, &Unusable> {
        let file = self.sources.file.get_or_init(|| files::open_image(self));
        file.as_ref()
    }

    /// The tables that there are, in the order in which they are asked; each is read when its turn comes.
    pub(super) fn tables(&self) -> impl Iterator<Item = (Provenance, &SymbolTable)> {
        let tables = ORDER.into_iter();
        tables.filter_map(|provenance| Some((provenance, self.symbol_table(provenance).ok()?)))
    }

    /// For messages: each place where symbols are looked for, with the number found or why there are none.
    #[must_use]
    pub fn symbol_sources(&self) -> Vec<(Provenance, Result<usize, &Unusable>)> {
        let tables = ORDER.into_iter();
        tables
            .map(|from| (from, self.symbol_table(from).map(SymbolTable::len)))
            .collect()
    }

    fn symbol_table(&self, provenance: Provenance) -> Result<&SymbolTable, &Unusable> {
        let sources = &self.sources;
        match provenance {
            Provenance::File => {
                let trusted = self.file()?;
                let table = sources.symtab.get_or_init(|| symtab(trusted));
                table.as_ref()
            }
            Provenance::DebugFile => {
                let table = sources.debug_file.get_or_init(|| debug_file::read(self));
                table.as_ref()
            }
            Provenance::DebugData => {
                let trusted = self.file()?;
                let table = sources
                    .debug_data
                    .get_or_init(|| debug_data::read(self, trusted));
                table.as_ref()
            }
            Provenance::Dynamic => Ok(&self.dynamic_symbols().table),
        }
    }
}

fn symtab(trusted: &Trusted) -> Result<SymbolTable, Unusable> {
    trusted.file.symbols().ok_or_else(|| Unusable::Absent {
        path: trusted.path.clone(),
        table: ".symtab",
    })
}
