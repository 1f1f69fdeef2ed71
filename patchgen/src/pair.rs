//! An old object file beside its new version.

use crate::object::{AtomId, Object};

/// Two versions of one object file. An object that only one side has is paired with an empty one.
#[derive(Debug)]
pub struct Pair<'d> {
    /// The path that both have in their directories or archives, or the file name.
    pub name: String,
    /// The version that runs.
    pub old: Object<'d>,
    /// The version that shall run.
    pub new: Object<'d>,
}

/// The atoms that an atom may link to, and who links to it.
#[derive(Debug)]
pub struct Users {
    by_target: Vec<Vec<AtomId>>,
}

impl Users {
    /// Collects the links of an object, by target.
    #[must_use]
    pub fn of(object: &Object<'_>) -> Self {
        let mut by_target = vec![Vec::new(); object.atoms.len()];
        for (id, _) in object.enumerate() {
            for link in object.references(id) {
                let users: &mut Vec<AtomId> = &mut by_target[link.target.0 as usize];
                if users.last() != Some(&id) {
                    users.push(id);
                }
            }
        }
        Self { by_target }
    }

    /// The atoms that link to `target`, ascending.
    #[must_use]
    pub fn of_atom(&self, target: AtomId) -> &[AtomId] {
        &self.by_target[target.0 as usize]
    }
}
