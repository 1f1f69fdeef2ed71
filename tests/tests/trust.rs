//! Signed bundles: who made a patch, and that nobody changed it since.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply_with, start};
use livepatch_tests::program::Program;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::target::Target;
use livepatch_tests::tools::{Finished, livepatch, patchgen, run, tool};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A program that runs, an unsigned bundle for it, a key pair of which the public half is trusted, and a policy.
struct Scene {
    program: Program,
    target: Target,
}

impl Scene {
    fn new(test: &str) -> Result<Self> {
        let program = Program::build("cases/changed_body", test)?;
        program.patch()?;
        fs::create_dir(program.path("keys.d"))?;
        let scene = Self {
            target: start(&program)?,
            program,
        };
        scene.keygen("release")?;
        let public = scene.program.path("release.pub");
        fs::rename(public, scene.program.path("keys.d/release.pub"))?;
        scene.write("config.toml", "require-signature = true\n")?;
        Ok(scene)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.program.path(name), text)?)
    }

    fn keygen(&self, name: &str) -> Result<()> {
        let path = self.program.path(name);
        patchgen([Path::new("keygen"), &path])?.expect(0).map(drop)
    }

    fn sign(&self, key: &str) -> Result<Finished> {
        let (key, bundle) = (self.program.path(key), self.program.path("fix.lpatch"));
        let [verb, option] = ["sign", "--key"].map(Path::new);
        patchgen([verb, option, &key, &bundle])?.expect(0)
    }

    fn apply(&self) -> Result<Finished> {
        let options = ["--config", "config.toml", "--keys", "keys.d", "fix.lpatch"];
        apply_with(&self.target, &self.program, &options)
    }

    /// Applies what must be refused with `status` and `text`; the target stays as it is.
    fn refuse(&mut self, status: i32, text: &str) -> Result<()> {
        let before = Snapshot::take(self.target.pid())?;
        self.apply()?.expect_error(status, text)?;
        before.check_same(&Snapshot::take(self.target.pid())?, Extent::Everything)?;
        self.target.check_undisturbed()
    }

    /// Applies what must be accepted.
    fn accept(&mut self) -> Result<()> {
        self.apply()?.expect(0)?;
        ensure!(self.target.ask("40")? == "42", "the patch is not in force");
        Ok(())
    }

    fn spoil(&self, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let path = self.program.path("fix.lpatch");
        let mut bytes = fs::read(&path)?;
        change(&mut bytes);
        Ok(fs::write(path, bytes)?)
    }

    fn inspect(&self, status: i32, arguments: &[&str]) -> Result<Finished> {
        let mut command = Command::new(tool("patchgen")?);
        command.current_dir(self.program.path("."));
        run(command.args(["inspect", "fix.lpatch"]).args(arguments))?.expect(status)
    }
}

#[test]
fn a_signed_bundle_is_applied_and_reverted() -> Result<()> {
    let mut scene = Scene::new("trust_signed")?;
    scene.refuse(4, "has no signature")?;
    scene.sign("release")?;
    scene.accept()?;
    livepatch(["revert", "--pid", &scene.target.pid_text()])?.expect(0)?;
    scene.target.check_undisturbed()
}

#[test]
fn a_foreign_key_is_refused() -> Result<()> {
    let mut scene = Scene::new("trust_foreign")?;
    scene.keygen("other")?;
    scene.sign("other")?;
    scene.refuse(4, "not among the trusted keys")?;
    // Signing again replaces the signature.
    scene.sign("release")?;
    scene.accept()
}

#[test]
fn an_altered_bundle_is_refused() -> Result<()> {
    let mut scene = Scene::new("trust_altered")?;
    scene.sign("release")?;
    scene.spoil(|bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    })?;
    scene.refuse(4, "was altered after it was signed")?;
    // The machine need not ask for signatures: a broken one is worse than none.
    scene.write("config.toml", "")?;
    scene.refuse(4, "was altered after it was signed")
}

#[test]
fn a_malformed_signature_is_refused() -> Result<()> {
    let mut scene = Scene::new("trust_malformed")?;
    scene.sign("release")?;
    scene.spoil(|bytes| bytes.push(0))?;
    scene.refuse(4, "signature is malformed")?;
    scene.write("config.toml", "")?;
    scene.refuse(4, "signature is malformed")
}

#[test]
fn signatures_are_asked_for_only_by_policy() -> Result<()> {
    let mut scene = Scene::new("trust_no_policy")?;
    scene.write("config.toml", "require-signature = false\n")?;
    scene.accept()?;
    livepatch(["revert", "--pid", &scene.target.pid_text()])?.expect(0)?;
    // A key that nobody here knows says no more than none.
    scene.keygen("other")?;
    scene.sign("other")?;
    scene.accept()
}

#[test]
fn a_policy_that_others_may_write_is_not_believed() -> Result<()> {
    let mut scene = Scene::new("trust_modes")?;
    scene.sign("release")?;
    for (name, bad, good) in [
        ("config.toml", 0o666, 0o644),
        ("keys.d", 0o777, 0o755),
        ("keys.d/release.pub", 0o662, 0o644),
    ] {
        let path = scene.program.path(name);
        fs::set_permissions(&path, Permissions::from_mode(bad))?;
        scene.refuse(1, "others may write")?;
        fs::set_permissions(&path, Permissions::from_mode(good))?;
    }
    std::os::unix::fs::chown(scene.program.path("config.toml"), Some(65534), None)?;
    scene.refuse(1, "belongs to user 65534")?;
    std::os::unix::fs::chown(scene.program.path("config.toml"), Some(0), None)?;
    scene.accept()
}

#[test]
fn a_policy_that_is_not_understood_is_no_permission() -> Result<()> {
    let mut scene = Scene::new("trust_misspelt")?;
    scene.write("config.toml", "require-signatures = true\n")?;
    scene.refuse(1, "require-signatures")?;
    fs::remove_file(scene.program.path("config.toml"))?;
    scene.refuse(1, "config.toml")?;
    scene.write("config.toml", "")?;
    fs::write(scene.program.path("keys.d/broken.pem"), "no key")?;
    scene.refuse(1, "broken.pem")
}

#[test]
fn inspect_tells_who_signed() -> Result<()> {
    let scene = Scene::new("trust_inspect")?;
    for (status, arguments) in [(0, &[][..]), (4, &["--keys", "keys.d"])] {
        let shown = scene.inspect(status, arguments)?;
        ensure!(shown.stdout.contains("not signed"), "{shown}");
    }
    let signed = scene.sign("release")?.stdout;
    let id = signed.trim().rsplit(' ').next().context("the key's id")?;
    let shown = scene.inspect(0, &["--keys", "keys.d"])?;
    let expected = format!("signed with key {id} (verified by `keys.d`)");
    ensure!(shown.stdout.contains(&expected), "{shown}");
    let shown = scene.inspect(4, &["--keys", "missing", "--json"])?;
    ensure!(shown.stdout.contains("\"verified\": null"), "{shown}");
    scene.spoil(|bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    })?;
    let shown = scene.inspect(4, &["--keys", "keys.d"])?;
    ensure!(shown.stdout.contains("NOT to be trusted"), "{shown}");
    scene
        .inspect(4, &["--keys", "keys.d", "--disasm"])
        .map(drop)
}

#[test]
fn a_bundle_is_signed_as_it_is_made() -> Result<()> {
    let mut scene = Scene::new("trust_made")?;
    let program = &scene.program;
    let paths = [
        program.object("old.c")?,
        program.object("new.c")?,
        program.path("release"),
        program.path("fix.lpatch"),
    ];
    let [old, new, key, output] = paths;
    let options = ["--sign-key", "-o"].map(Path::new);
    patchgen([&old, &new, options[0], &key, options[1], &output])?.expect(0)?;
    let first = fs::read(&output)?;
    patchgen([&old, &new, options[0], &key, options[1], &output])?.expect(0)?;
    ensure!(fs::read(&output)? == first, "not reproducible");
    scene.accept()?;
    // The work is not done for nothing.
    fs::set_permissions(&key, Permissions::from_mode(0o644))?;
    patchgen([&old, &new, options[0], &key, options[1], &output])?
        .expect_error(1, "others may read the private key")
        .map(drop)
}

#[test]
fn keys_are_not_overwritten() -> Result<()> {
    let scene = Scene::new("trust_overwrite")?;
    let key = scene.program.path("release");
    let before = fs::read(&key)?;
    ensure!(fs::metadata(&key)?.permissions().mode() & 0o777 == 0o600);
    patchgen([Path::new("keygen"), &key])?.expect_error(1, "cannot create")?;
    ensure!(fs::read(&key)? == before, "the key is another one");
    Ok(())
}
