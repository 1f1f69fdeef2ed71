"""A live process that has the program or library loaded, and a bundle in it and out of it again."""
import os
import re
import subprocess
from pathlib import Path

from processes import must, one_line, run

GOOD = "applied, listed, reverted"


class Live:
    """A module of the old build: `output` is where it was linked, within `tree`; the build's copy of it is in `place`."""

    def __init__(self, tree, place, output, work, tools):
        self.work, self.tools = work, tools
        self.old = Path(place) / "old"
        self.module = self.old / Path(output).relative_to(tree)

    def result(self, bundle):
        """Applies, lists and reverts in a process that has the module loaded; what came of it."""
        libraries = {str(path.parent) for path in self.old.rglob("*.so*")}
        env = {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(libraries))}
        if ".so" in self.module.name or is_library(self.module):
            command = [self.work / "host", self.module]
            preload = self.stubs(env)
        else:
            command = [self.module]
            preload = self.work / "park.so"
        if preload:
            env["LD_PRELOAD"] = str(preload)
        with subprocess.Popen(list(map(str, command)), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", cwd=self.module.parent) as target:
            try:
                return self.exercise(target, bundle)
            finally:
                target.kill()

    def stubs(self, env):
        """A library with the symbols that only the program has whose plug-in the module is; none if it needs none."""
        missing = run(["ldd", "-r", self.module], env=env)
        names = re.findall(r"undefined symbol: ([A-Za-z_]\w*)", missing.stdout + missing.stderr)
        if not names:
            return None
        source, library = self.old.parent / "stubs.c", self.old.parent / "stubs.so"
        source.write_text("".join(f"void {name}(void) {{}}\n" for name in sorted(set(names))))
        must(["gcc", "-w", "-fno-builtin", "-shared", "-fPIC", source, "-o", library])
        return library

    def exercise(self, target, bundle):
        if target.stdout.readline().strip() != "ready":
            target.kill()
            return f"no process: {one_line(target.stderr.read())[-160:]}"
        before = code(target.pid, self.module)
        pid = ["--pid", str(target.pid)]
        applied = run([self.tools.livepatch, "apply", *pid, bundle], timeout=60)
        if applied.returncode:
            if code(target.pid, self.module) != before:
                return "WRONG: a refused patch changed the process"
            return f"apply exits {applied.returncode}: {one_line(applied.stderr)[:600]}"
        listed = run([self.tools.livepatch, "list", *pid], timeout=60)
        changed = code(target.pid, self.module) != before
        reverted = run([self.tools.livepatch, "revert", *pid], timeout=60)
        same = code(target.pid, self.module) == before
        if reverted.returncode or listed.returncode or bundle.stem not in listed.stdout or not changed or not same:
            return f"WRONG: list {listed.returncode}, revert {reverted.returncode}, same bytes {same}"
        return GOOD


def prepare(work):
    """The programs that a live process is made of."""
    here = Path(__file__).resolve().parent
    must(["gcc", "-O2", "-shared", "-fPIC", here / "park.c", "-o", work / "park.so"])
    must(["gcc", "-O2", here / "host.c", "-o", work / "host", "-ldl"])


def is_library(module):
    return "(SONAME)" in run(["readelf", "-d", str(module)]).stdout


def code(pid, module):
    """The bytes of a module's executable mappings."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            span, mode, _, _, _, *name = line.split(maxsplit=5)
            if "x" in mode and name and name[0].strip() == str(module):
                start, end = (int(part, 16) for part in span.split("-"))
                memory.seek(start)
                found.append(memory.read(end - start))
    return found
