"""One package: built once, then each fix taken out and built again by `patchgen build`.

The tree with all patches is built as Debian builds it. For each fix the tree goes back to that state, the fix is taken out of it, and
`patchgen build` runs the package's own build step without the fix and with it, so that only what depends on the fix is compiled twice.
"""
import os
import re
import resource
import shlex
import shutil
import time

from live import Live
from processes import must, one_line, run
from sources import series, touched, unpack

BUILD_MAX = 180  # seconds of processor time for one build
PATIENCE = 900  # seconds on a machine that has other things to do
STEP = re.compile(r"\b(override_)?dh_auto_build\b")
LAYOUT = re.compile(r"its layout changed|live variable changed .*its size was \d+ and is \d+")
HEADER = re.compile(r"\.(h|hh|hpp|hxx|inc|in)$")


def environment(work):
    """As a package is built, without its tests and documents; ccache saves the time of what is compiled twice."""
    return {
        **os.environ,
        "PATH": "/usr/lib/ccache:" + os.environ["PATH"],
        "CCACHE_DIR": str(work / "ccache"),
        "CCACHE_NOHASHDIR": "1",
        "DEB_BUILD_OPTIONS": "nocheck nodoc parallel=2",
        "DEB_BUILD_PROFILES": "nocheck nodoc",
        "HOME": str(work),
        "LC_ALL": "C.UTF-8",
    }


def spent():
    """Seconds of processor time of all processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Package:
    """A package whose fixes are tried one by one."""

    def __init__(self, name, version, work, tools, through=()):
        self.name, self.work, self.tools, self.through = name, work, tools, list(through)
        self.pristine, self.version = unpack(name, version, work, tools.source)
        self.tree = work / "trees" / name  # the same path for all its builds
        self.built = work / "trees" / f"{name}.built"
        self.command = None

    def prepare(self):
        """Builds the package once; says why not."""
        self.remove()
        self.tree.parent.mkdir(parents=True, exist_ok=True)
        must(["cp", "-a", self.pristine, self.tree])
        step = self.build_step()  # debhelper shows only what is still to be done
        begin = spent()
        done = run([*self.through, "debian/rules", "build-arch"], timeout=PATIENCE, env=environment(self.work), cwd=self.tree)
        if done.returncode == 124 or spent() - begin > BUILD_MAX:
            return f"its build takes more than {BUILD_MAX} s of processor time"
        if done.returncode:
            errors = re.findall(r".*(?:[Ee]rror|\*\*\*).*", done.stdout + done.stderr)
            return f"its build fails: {one_line(' '.join(errors[:1]))[:200]}"
        self.command = step
        self.tree.rename(self.built)
        return None

    def build_step(self):
        """The command that builds what changed: debhelper's build step, where the package uses debhelper."""
        shown = run(["make", "-n", "-f", "debian/rules", "build-arch"], cwd=self.tree, env=environment(self.work)).stdout
        sequence = re.search(r"^(?:test .*\n)?(dh .*)$", shown, re.M)
        if not sequence:
            return None
        steps = run([*shlex.split(sequence[1]), "--no-act"], cwd=self.tree, env=environment(self.work)).stdout.splitlines()
        steps = [step.strip() for step in steps if STEP.search(step) and "execute_" not in step]
        if not steps:
            return None
        rules = ["include debian/rules", "", "livepatch-build:"]
        rules += [f'\teval "$$(dpkg-buildflags --export=sh)"; {step.replace("$", "$$")}' for step in steps]
        (self.tree / "debian/livepatch.mk").write_text("\n".join(rules) + "\n")
        return ["make", "-f", "debian/livepatch.mk", "livepatch-build"]

    def undo(self, patch):
        path = self.pristine / "debian/patches" / patch
        command = ["patch", "-R", "-p1", "--batch", "-s", "-F0", "--no-backup-if-mismatch", "--reject-file=-", "-i", path]
        return run([*command, "--dry-run"], cwd=self.tree).returncode == 0 and run(command, cwd=self.tree).returncode == 0

    def without(self, patch, source):
        """Lays out a source tree without a patch, and without later ones where those stand in its way."""
        names = series(self.pristine)
        later = list(reversed(names[names.index(patch) + 1:]))
        for out in ([patch], [*later, patch]):
            self.remove(built=False)
            must(["cp", "-a", source, self.tree])
            if all(map(self.undo, out)):
                return True
        return False

    def lay_out(self, patch):
        """Lays out the source without a patch, ready for the build command."""
        if not self.without(patch, self.built if self.command else self.pristine):
            return False
        if self.command and any(map(HEADER.search, touched(self.pristine / "debian/patches" / patch))):
            self.clean()
        return True

    def clean(self):
        """So that all is compiled again, whatever the build knows about its dependencies."""
        for path in self.tree.rglob("*"):
            if path.suffix in (".o", ".lo") and path.is_file():
                path.unlink()

    def remove(self, built=True):
        for tree in (self.tree, self.built) if built else (self.tree,):
            shutil.rmtree(tree, ignore_errors=True)

    def patchgen(self, patch, bundle, extra=()):
        fix = self.pristine / "debian/patches" / patch
        command = [*self.through, self.tools.patchgen, "build", "--source", self.tree, "--patch", fix, "-o", bundle,
                   "--work", self.work / "builds", "--keep", *extra, "--", *(self.command or ["debian/rules", "build-arch"])]
        return run(command, timeout=PATIENCE, env=environment(self.work))

    def build(self, patch, bundle):
        """By `patchgen build`; of several programs or libraries with the fix one is chosen."""
        done = self.patchgen(patch, bundle)
        if done.returncode == 7 and "--link" in done.stderr:
            chosen = choice(re.findall(r"`([^`]+)`", done.stderr.split("give `--target`:")[-1].split("\n")[0]))
            forget(done.stderr)
            done = self.patchgen(patch, bundle, ["--link", chosen])
        return done

    def judge(self, patch, cve):
        """The row of the table for a fix."""
        row = {"package": self.name, "version": self.version, "cve": cve, "patch": patch}
        begin = time.monotonic()
        if not self.lay_out(patch):
            return {**row, "verdict": "not counted", "reason": "it cannot be taken out of the source again"}
        bundle = self.work / "bundles" / f"{self.name}-{cve}.lpatch"
        done = self.build(patch, bundle)
        if self.command and (done.returncode == 3 or "linked nothing" in done.stderr):
            forget(done.stderr)
            self.clean()  # the build may not know what depends on the fix
            done = self.build(patch, bundle)
        if self.command and done.returncode == 6:
            forget(done.stderr)
            self.command = None  # its build step cannot be repeated: everything, then
            self.lay_out(patch)
            done = self.build(patch, bundle)
        try:
            return {**row, **self.verdict(done, bundle), "seconds": round(time.monotonic() - begin)}
        finally:
            forget(done.stderr)

    def verdict(self, done, bundle):
        said = done.stderr
        linked = re.search(r"^patchgen: `([^`]+)`: (\d+) of (\d+) objects changed", said, re.M)
        facts = {"module": os.path.basename(linked[1])} if linked else {}
        if done.returncode == 0:
            functions = re.findall(r"^  `([^`]+)` in ", done.stdout, re.M)
            place = re.search(r"^patchgen: working in `([^`]+)`", said, re.M)[1]
            live = Live(self.tree, place, linked[1], self.work, self.tools).result(bundle)
            return {**facts, "functions": functions, "verdict": "patch", "live": live, "reason": ""}
        if done.returncode == 4:
            reasons = re.findall(r"^  (`.*)", said, re.M)
            layout = any(map(LAYOUT.search, reasons))
            return {**facts, "verdict": "layout" if layout else "refused", "reason": " / ".join(reasons)}
        if done.returncode == 3:
            return {**facts, "verdict": "no change", "reason": "no code of this package changes"}
        if done.returncode in (124, 6, 7):
            last = [line for line in said.splitlines() if line.startswith("patchgen: ")]
            reason = "it takes too long" if done.returncode == 124 else (last or ["?"])[-1].removeprefix("patchgen: ")
            return {**facts, "verdict": "not built", "reason": reason}
        return {**facts, "verdict": "failed", "reason": one_line(said)[-300:]}


def choice(names):
    """A library before a program before a test."""
    rank = lambda name: (bool(re.search(r"test|example|fuzz|bench|sample|demo", name)), ".so" not in name, name)
    return min(names, key=rank)


def forget(said):
    place = re.search(r"^patchgen: working in `([^`]+)`", said, re.M)
    if place:
        shutil.rmtree(place[1], ignore_errors=True)
