//! What commands on the kernel tell, for people and as JSON (`docs/json.md`).

use super::check::Fit;
use serde::Serialize;
use std::fmt;

/// What came of a command on the kernel.
#[derive(Clone, Debug, Serialize)]
pub struct KernelReport {
    /// `true`: the kernel is meant, and no process.
    pub kernel: bool,
    /// The patch.
    pub patch: String,
    /// Its module.
    pub module: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a command.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    /// It would fit.
    WouldLoad(Functions),
    /// It is in force.
    Loaded(Switched),
    /// It is out of force, and its module unloaded.
    Reverted(Reverted),
}

/// The functions of a patch.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Functions {
    /// As `FUNCTION` of `OBJECT`.
    pub functions: Vec<Replaced>,
    /// Modules that are not loaded, and are patched when they come.
    pub later: Vec<String>,
}

/// A replaced function.
#[derive(Clone, Debug, Serialize)]
pub struct Replaced {
    /// `vmlinux` or a module.
    pub object: String,
    /// Its name.
    pub name: String,
}

/// A switch to new code.
#[derive(Clone, Debug, Serialize)]
pub struct Switched {
    /// What was replaced.
    #[serde(flatten)]
    pub functions: Functions,
    /// How long the switch took, in milliseconds.
    pub switch_ms: u64,
    /// How it was made.
    pub means: Means,
    /// Patches that it took the place of.
    pub replaced: Vec<String>,
    /// Tasks were switched where they stood; the module can never be unloaded.
    pub forced: bool,
}

/// A switch back to old code.
#[derive(Clone, Debug, Serialize)]
pub struct Reverted {
    /// How long the switch took, in milliseconds.
    pub switch_ms: u64,
    /// How it was made.
    pub means: Means,
    /// Tasks were switched where they stood; the module stays loaded for ever.
    pub forced: bool,
}

/// How a switch is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// Task by task, by the kernel's own livepatch code.
    Transition,
    /// All at once with the machine stopped, by the companion.
    Atomic,
}

impl From<&Fit> for Functions {
    fn from(fit: &Fit) -> Self {
        let functions = fit.functions.iter().map(|one| Replaced {
            object: one.object.clone(),
            name: one.name.clone(),
        });
        Self {
            functions: functions.collect(),
            later: fit.later.clone(),
        }
    }
}

impl fmt::Display for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.functions.iter().map(|one| match one.object.as_str() {
            livepatch_bundle::VMLINUX => format!("`{}`", one.name),
            module => format!("`{}` of {module}", one.name),
        });
        let later = self
            .later
            .iter()
            .map(|module| format!("{module} when it is loaded"));
        f.write_str(&names.chain(later).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transition => "task by task",
            Self::Atomic => "all at once",
        })
    }
}

impl fmt::Display for KernelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patch = &self.patch;
        match &self.outcome {
            Outcome::WouldLoad(functions) => {
                write!(f, "patch `{patch}` fits the running kernel: {functions}")
            }
            Outcome::Loaded(done) => {
                write!(
                    f,
                    "patch `{patch}` is in force: {}, switched {} in {} ms",
                    done.functions, done.means, done.switch_ms
                )?;
                if !done.replaced.is_empty() {
                    write!(f, "; it took the place of {}", done.replaced.join(", "))?;
                }
                if done.forced {
                    f.write_str("; forced: its module can never be unloaded")?;
                }
                Ok(())
            }
            Outcome::Reverted(done) => {
                write!(
                    f,
                    "patch `{patch}` is reverted, switched {} in {} ms",
                    done.means, done.switch_ms
                )?;
                f.write_str(if done.forced {
                    "; forced: its module stays loaded"
                } else {
                    "; its module is unloaded"
                })
            }
        }
    }
}
