//! Arguments, and what is done for them.

mod build;
mod clean;
mod inspect;
mod kernel;
mod make;
mod show;
mod sign;
mod signature;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand};
use livepatch_cli::manual::{Completions, Man, complete, write_pages};
use livepatch_cli::{errln, out};
use std::path::PathBuf;

/// Bytes of stack that making the decoder's tables takes, and some.
const WARM_UP: usize = 256 << 10;

/// A bundle was written, or shown.
pub(crate) const DONE: u8 = 0;
/// Something went wrong.
pub(crate) const ERROR: u8 = 1;
/// Nothing that matters changed.
pub(crate) const UNCHANGED: u8 = 3;
/// No patch is possible.
pub(crate) const REFUSED: u8 = 4;

/// Make a live patch from old and new object files.
#[derive(Debug, Parser)]
#[command(
    name = "patchgen",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit status: 0 bundle written, 1 error, 2 usage, 3 no functional change (no bundle), \
                  4 refused (all reasons on standard error).\n\nExample:\n  \
                  patchgen build.old/ build.new/ -o fix.lpatch --target /usr/sbin/daemon\n  \
                  patchgen build --source daemon-1.2 --patch fix.diff -- make -j2\n  \
                  patchgen --kernel 6.1.0-56-amd64 old.o new.o -o fix.kpatch\n  \
                  patchgen inspect fix.lpatch\n  \
                  patchgen sign --key release.key fix.lpatch"
)]
pub(crate) struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    make: Option<Make>,
    #[command(flatten)]
    kernel: KernelChoices,
    #[command(flatten)]
    choices: Choices,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a patch from a source tree, a diff and a build command.
    Build(Box<Build>),
    /// Show what a bundle changes.
    Inspect(Inspect),
    /// Make old and new objects of a running kernel: from its headers package, its sources and a patch of them.
    #[command(after_help = "Example:\n  \
                            patchgen kernel-objects --kernel 6.1.0-56-amd64 --source linux-source-6.1 --patch fix.diff -o objects\n  \
                            patchgen --kernel 6.1.0-56-amd64 objects/vmlinux/old objects/vmlinux/new -o fix.kpatch")]
    KernelObjects(KernelObjects),
    /// Work in a copy of a source tree; for `patchgen build`.
    #[command(hide = true)]
    Inside(Inside),
    /// Remove a working directory; for `patchgen build`.
    #[command(hide = true)]
    CleanUp(CleanUp),
    /// Make a key pair to sign bundles with.
    #[command(after_help = "Example:\n  patchgen keygen release.key\n  \
                            cp release.key.pub /etc/livepatch/keys.d/     # where bundles are to be trusted")]
    Keygen(Keygen),
    /// Sign a bundle, so that `livepatch` can tell who made it and that nobody has changed it since.
    #[command(after_help = "Example:\n  patchgen sign --key release.key fix.lpatch")]
    Sign(Sign),
    /// Print what makes a shell complete this command's options.
    #[command(
        after_help = "Example:\n  patchgen completions bash >/etc/bash_completion.d/patchgen"
    )]
    Completions(Completions),
    /// Write the manual pages.
    #[command(after_help = "Example:\n  patchgen man /usr/local/share/man/man1")]
    Man(Man),
    /// Print `livepatch.h`, the header for hooks and shadow variables in the source of a fix.
    #[command(after_help = "Example:\n  patchgen header >livepatch.h")]
    Header,
}

/// OLD and NEW are each an object file, an archive (`.a`), or a directory of objects, paired by relative path.
#[derive(Debug, Args)]
struct Make {
    /// The objects that the running program was built from.
    old: PathBuf,
    /// The objects with the fix, compiled alike.
    new: PathBuf,
    /// Write the bundle here; a file there is removed if there is nothing to write (status 3 or 4).
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The executable or shared library that runs: check the old objects against it and record where things are.
    /// Repeat for several. Default: all is found when the patch is applied.
    #[arg(long, value_name = "FILE")]
    target: Vec<PathBuf>,
}

/// Patches for the kernel.
#[derive(Debug, Args)]
struct KernelChoices {
    /// Make a livepatch module for the kernel of this release (`uname -r`). Its image (`vmlinuz`) and `Module.symvers`
    /// are read; it need not run here.
    #[arg(long, value_name = "RELEASE", conflicts_with = "target")]
    kernel: Option<String>,
    /// The objects are of the kernel; show what a patch would hold. It is checked against no kernel and cannot be loaded.
    #[arg(long, conflicts_with_all = ["kernel", "target"])]
    kernel_object: bool,
    /// The objects are of this module. Default: of the kernel itself.
    #[arg(long, value_name = "NAME", requires = "kernel")]
    module: Option<String>,
    /// The patch is for this module, too, with these objects. Repeat for several. Objects of the kernel itself are OLD and NEW.
    #[arg(long, num_args = 3, value_names = ["NAME", "OLD", "NEW"], requires = "kernel")]
    with_module: Vec<PathBuf>,
    /// Where packages of the kernel are unpacked. Default: `/`.
    #[arg(long, value_name = "DIR", requires = "kernel")]
    root: Option<PathBuf>,
    /// The kernel's image. Default: `boot/vmlinuz-RELEASE`, or `lib/modules/RELEASE/vmlinuz`.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    image: Option<PathBuf>,
    /// Default: `usr/src/linux-headers-RELEASE/Module.symvers`, or that of `lib/modules/RELEASE/build`.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    symvers: Option<PathBuf>,
    /// Keep the kernel's unpacked image in this directory, since unpacking takes most of the time; of four kernels at most, 70 MB
    /// each. Default: `livepatch` in `$XDG_CACHE_HOME`, or in `~/.cache`.
    #[arg(long, value_name = "DIR", requires = "kernel")]
    cache: Option<PathBuf>,
    /// Keep nothing, and use nothing that was kept.
    #[arg(long, requires = "kernel", conflicts_with = "cache")]
    no_cache: bool,
    /// The livepatch takes the place of all that are in force in the kernel when it is loaded.
    #[arg(long, requires = "kernel")]
    replace: bool,
}

/// What the author of a patch decides.
#[derive(Debug, Args)]
struct Choices {
    /// What `livepatch list` and `revert` call the patch. Default: the output's file name without extension.
    #[arg(long)]
    name: Option<String>,
    /// One line for people.
    #[arg(long, default_value = "")]
    description: String,
    /// A function that, too, may be on no stack when the patch is applied. Repeat for several.
    #[arg(long, value_name = "FUNCTION")]
    quiesce: Vec<String>,
    /// A patch, by name, that this one replaces in the same stop, where it is in force. Repeat for several. The OLD
    /// objects are those of the program as it was built.
    #[arg(long, value_name = "NAME")]
    supersedes: Vec<String>,
    /// Go on though the initial value of this variable changed, or how it is initialised, or though it is gone; or though this function, which runs
    /// only when the program starts, changed. Risk: the running program keeps the old value, or nothing gives it one, and the new code works with it.
    #[arg(long, value_name = "SYMBOL")]
    allow_data: Vec<String>,
    /// Go on though the layout of this type changed. Risk: data that the running program already has keeps the old
    /// layout, and the new code reads and writes it with the new one; sound only if no such data lives when the patch
    /// is applied, or reverted.
    #[arg(long, value_name = "TYPE")]
    allow_layout: Vec<String>,
    /// Sign the bundle with this private key, as `patchgen sign` does. Default: it is not signed.
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,
}

/// Builds the tree twice at its own path, in copies that lie over it in a mount namespace of their own, once with the
/// patch; takes the objects that changed and makes the bundle. The tree itself, the compiler and debug files stay untouched.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: as `patchgen`, and 5 the patch does not apply, 6 the build failed, 7 the build does not \
                        make the target (or several: name one with `--link`).\n\nExample:\n  \
                        patchgen build --source ~/daemon-1.2 --patch CVE-2024-1.diff --target /usr/sbin/daemon -- make -j2"
)]
struct Build {
    /// The source tree that the running program was built from, not built yet.
    #[arg(long, value_name = "DIR")]
    source: PathBuf,
    /// The fix, as `diff -u` or `git diff` writes it. Repeat for several; they are applied in this order.
    #[arg(long, value_name = "FILE", required = true)]
    patch: Vec<PathBuf>,
    /// The executable or shared library that runs: its link is followed, and the old objects are checked against it.
    /// Default: what the build links, if only one thing changes.
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// Which of the programs and libraries that the build links, by its path within the tree. Overrides what
    /// `--target` is called.
    #[arg(long, value_name = "PATH")]
    link: Option<PathBuf>,
    /// Write the bundle here. Default: the patch's file name with `.lpatch`, in the current directory.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Copies and objects go into a directory made here, and removed at the end, also at an early one; it takes twice the space of a build.
    /// Default: the directory for temporary files.
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Keep the working directory, with what both builds made in `old` and `new`.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    choices: Choices,
    /// The build command; it runs in the tree and must build everything.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Debug, Args)]
struct KernelObjects {
    /// The kernel's release (`uname -r`).
    #[arg(long, value_name = "RELEASE")]
    kernel: String,
    /// The kernel's source tree, unpacked; of it the directories that the patch names are copied.
    #[arg(long, value_name = "DIR")]
    source: PathBuf,
    /// The patch, with paths from the root of the tree.
    #[arg(long, value_name = "FILE")]
    patch: PathBuf,
    /// Where objects go: `vmlinux/old` and `vmlinux/new`, or `MODULE/old` and `MODULE/new`.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// The kernel's headers. Default: `/usr/src/linux-headers-RELEASE`, or `/lib/modules/RELEASE/build`.
    #[arg(long, value_name = "DIR")]
    headers: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Keygen {
    /// Where the private key goes (mode 0600); the public one goes to KEY.pub. Existing files are not overwritten.
    key: PathBuf,
}

#[derive(Debug, Args)]
struct Sign {
    /// The bundle; a signature that it has is replaced.
    bundle: PathBuf,
    /// The private key: Ed25519, PKCS #8 in PEM, as `patchgen keygen` or `openssl genpkey -algorithm ed25519` make it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Write the signed bundle here. Default: in place.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Inside {
    job: PathBuf,
}

#[derive(Debug, Args)]
struct CleanUp {
    directory: PathBuf,
}

#[derive(Debug, Args)]
struct Inspect {
    /// The bundle.
    bundle: PathBuf,
    /// Print JSON: the manifest, sections and symbols.
    #[arg(long)]
    json: bool,
    /// Show old and new code side by side: `|` changed, `<` removed, `>` added. Each instruction is decoded by iced-x86
    /// and by capstone; where they disagree, both are shown and the exit status is 1.
    #[arg(long, conflicts_with = "json")]
    disasm: bool,
    /// Write the same as a page that needs nothing else.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// The keys by which the signature is verified: a public key, or a directory of them. Default: /etc/livepatch/keys.d. If they are named, the
    /// exit status is 4 unless one of them has signed the bundle; it always is where a signature is not right.
    #[arg(long, value_name = "PATH")]
    keys: Option<PathBuf>,
    /// Columns of the listing. Default: as wide as the terminal, or `COLUMNS`, or 120; below 72 old and new stand one below
    /// the other.
    #[arg(long)]
    width: Option<usize>,
}

/// Does what the command says.
///
/// # Errors
/// When files cannot be read or written.
pub(crate) fn run(command: &Command) -> anyhow::Result<u8> {
    match (&command.verb, &command.make) {
        (Some(Verb::Build(arguments)), _) => build::run(arguments),
        (Some(Verb::KernelObjects(arguments)), _) => kernel::objects(arguments),
        (Some(Verb::Inspect(inspect)), _) => inspect::run(inspect),
        (Some(Verb::Inside(arguments)), _) => build::run_inside(arguments),
        (Some(Verb::CleanUp(arguments)), _) => clean::run(arguments),
        (Some(Verb::Keygen(arguments)), _) => sign::keygen(arguments),
        (Some(Verb::Sign(arguments)), _) => sign::sign(arguments),
        (Some(Verb::Completions(options)), _) => {
            complete(options, Command::command());
            Ok(DONE)
        }
        (Some(Verb::Man(options)), _) => {
            let directory = &options.directory;
            write_pages(directory, Command::command()).with_context(|| {
                format!("cannot write manual pages to `{}`", directory.display())
            })?;
            Ok(DONE)
        }
        (Some(Verb::Header), _) => {
            out!("{}", patchgen::hooks::HEADER);
            Ok(DONE)
        }
        (None, Some(make)) => {
            warm_up();
            match command.kernel.is_meant() {
                true => kernel::run(make, &command.kernel, &command.choices),
                false => make::run(make, &command.choices),
            }
        }
        (None, None) => anyhow::bail!("nothing to do: see `patchgen --help`"),
    }
}

/// Has the decoder make its tables (millions of instructions, at its first use) on another processor, while the input is read. Without
/// that thread they are made later.
fn warm_up() {
    let warm_up = || drop(iced_x86::Decoder::new(64, &[], 0));
    let thread = std::thread::Builder::new().stack_size(WARM_UP);
    let _ = thread.spawn(warm_up);
}

/// Prints an error with its causes.
pub(crate) fn complain(error: &anyhow::Error) {
    errln!("patchgen: {error}");
    for cause in error.chain().skip(1) {
        errln!("  caused by: {cause}");
    }
}
