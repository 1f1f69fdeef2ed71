//! `livepatch kernel list`: the patches of the kernel, by the kernel's own account and the companion's.

use super::report::{Means, Replaced};
use super::running::Running;
use super::transition::Livepatch;
use serde::Serialize;
use std::fmt;

/// What `patchgen` puts before a patch's name to name its module.
const PREFIX: &str = "livepatch_";

/// A patch of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedKernel {
    /// `true`: the kernel is meant, and no process.
    pub kernel: bool,
    /// The patch's name.
    pub patch: String,
    /// Its module.
    pub module: String,
    /// Its state.
    pub state: State,
    /// How it was switched.
    pub means: Means,
    /// What it replaces.
    pub functions: Vec<Replaced>,
}

/// The state of a patch of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// In force.
    Active,
    /// Tasks are going over to it.
    ComingIn,
    /// Tasks are going back to old code.
    GoingOut,
    /// Out of force; a task may be in its code still.
    Draining,
}

impl PartialEq for Replaced {
    fn eq(&self, other: &Self) -> bool {
        (&self.object, &self.name) == (&other.object, &other.name)
    }
}

impl Eq for Replaced {}

/// The patches of the running kernel.
#[must_use]
pub fn list() -> Vec<ListedKernel> {
    list_in(&Running::default())
}

/// The same of any kernel.
#[must_use]
pub fn list_in(running: &Running) -> Vec<ListedKernel> {
    let mut patches: Vec<_> = Livepatch::all(running).iter().map(of_livepatch).collect();
    patches.extend(of_companion(&running.companion().unwrap_or_default()));
    patches
}

fn of_livepatch(livepatch: &Livepatch) -> ListedKernel {
    let state = match (livepatch.is_in_transition(), livepatch.is_enabled()) {
        (false, true) => State::Active,
        (true, true) => State::ComingIn,
        (true, false) => State::GoingOut,
        (false, false) => State::Draining,
    };
    let functions = livepatch
        .functions()
        .into_iter()
        .map(|(object, function)| Replaced {
            object,
            // `NAME,POSITION`
            name: function.split(',').next().unwrap_or_default().to_owned(),
        });
    let module = livepatch.module.clone();
    ListedKernel {
        kernel: true,
        patch: module.strip_prefix(PREFIX).unwrap_or(&module).to_owned(),
        module,
        state,
        means: Means::Transition,
        functions: functions.collect(),
    }
}

/// Reads the companion's account: a line `patch NAME MODULE STATE` for each, and `function OLD NEW MEANS SYMBOL` for what
/// it redirects.
fn of_companion(text: &str) -> Vec<ListedKernel> {
    let mut patches: Vec<ListedKernel> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match (words.as_slice(), patches.last_mut()) {
            (["patch", name, module, state], _) => patches.push(ListedKernel {
                kernel: true,
                patch: (*name).to_owned(),
                module: (*module).to_owned(),
                state: if *state == "enabled" {
                    State::Active
                } else {
                    State::Draining
                },
                means: Means::Atomic,
                functions: Vec::new(),
            }),
            (["function", .., symbol], Some(patch)) => patch.functions.push(Replaced {
                object: livepatch_bundle::VMLINUX.to_owned(),
                name: (*symbol).to_owned(),
            }),
            _ => {}
        }
    }
    patches
}

impl ListedKernel {
    /// Whether this is a name of the patch or of its module.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        self.patch == name || self.patch == plain || self.module == name
    }
}

impl fmt::Display for ListedKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Active => "active",
            State::ComingIn => "coming in",
            State::GoingOut => "going out",
            State::Draining => "draining",
        };
        write!(
            f,
            "kernel  {}  {state}  switched {}",
            self.patch, self.means
        )?;
        for function in &self.functions {
            write!(f, "\n    {} of {}", function.name, function.object)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_companions_account_is_read() {
        let text = "patch fix livepatch_fix enabled\nfunction 1000 2000 ftrace f\n\
                    patch old livepatch_old draining\n";
        let patches = of_companion(text);
        assert_eq!(patches.len(), 2);
        assert_eq!(patches[0].functions[0].name, "f");
        assert_eq!(
            (patches[0].state, patches[1].state),
            (State::Active, State::Draining)
        );
        assert!(patches[0].is_called("fix") && patches[0].is_called("livepatch_fix"));
        assert!(!patches[0].is_called("old"));
    }

    #[test]
    fn a_garbled_account_lists_nothing() {
        assert!(of_companion("function 1 2 ftrace f\npatch\nhello world\n").is_empty());
    }
}
