"""Which source packages there are, their patches, and what they need to build."""
import os
import re
import shutil

from processes import must, run

RELEASE = "+deb12u"
SOURCE_MAX = 8 << 20  # bytes of a package's source
DEPENDENCIES_MAX = 80  # packages to install for one build
APT = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=600", "-o", "APT::Sandbox::User=root", "-P", "nocheck,nodoc",
       "--no-install-recommends"]


def paragraphs(text):
    """The fields of each paragraph of an index of sources."""
    for block in text.split("\n\n"):
        fields, last = {}, None
        for line in block.splitlines():
            if line[:1] in " \t":
                fields[last] += "\n" + line.strip()
            elif ":" in line:
                last, value = line.split(":", 1)
                fields[last] = value.strip()
        if "Package" in fields:
            yield fields


def candidates(tool):
    """Names and versions of updated source packages with programs, small ones first."""
    found = {}
    for index in must([tool, "--index"]).split():
        for one in paragraphs(must(["/usr/lib/apt/apt-helper", "cat-file", index])):
            updated = re.search(re.escape(RELEASE) + r"\d+$", one["Version"])
            files = [line.split() for line in one.get("Checksums-Sha256", "").splitlines() if line.split()]
            size = sum(int(line[1]) for line in files)
            native = {"any", "linux-any"} & set(one.get("Architecture", "").split())
            if updated and "quilt" in one.get("Format", "") and size < SOURCE_MAX and native:
                found.setdefault(one["Package"], []).append((size, one["Version"]))
    newest = {name: max(versions) for name, versions in found.items()}
    return [(name, newest[name][1]) for name in sorted(newest, key=lambda name: (newest[name][0], name))]


def unpack(name, version, work, tool):
    """The source tree with all patches of the package applied, and the version that could be had."""
    directory = work / "sources" / name
    if not (directory / "tree/debian/rules").exists():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        file = must([tool, name, version], cwd=directory, timeout=300).strip().splitlines()[-1]
        must(["dpkg-source", "--no-check", "-x", file, "tree"], cwd=directory)
    description = next(directory.glob("*.dsc"))
    return directory / "tree", re.search(r"^Version: (\S+)", description.read_text(errors="replace"), re.M)[1]


def series(tree):
    """The package's patches in their order."""
    path = tree / "debian/patches/series"
    names = path.read_text(errors="replace").splitlines() if path.exists() else []
    names = [re.sub(r"\s.*", "", name) for name in names if not name.startswith("#")]
    return [name for name in names if name]


def touched(path):
    """The files that a patch changes."""
    return re.findall(r"^\+\+\+ (?:[^/\s]+/)?(\S+)", path.read_text(errors="replace"), re.M)


def security_patches(tree):
    """Patches named CVE-* that change C or C++ sources."""
    found = []
    for name in series(tree):
        cve = re.search(r"CVE-\d{4}-\d+", name, re.I)
        path = tree / "debian/patches" / name
        if not cve or not path.is_file():
            continue
        if any(re.search(r"\.(c|cc|cpp|cxx|h|hh|hpp)$", file) and not re.search(r"(^|/)(tests?|fuzz)/", file)
               for file in touched(path)):
            found.append((name, cve[0].upper()))
    return found


def install_dependencies(name, work):
    """Installs what the package needs to build; says why not."""
    command = [*APT, "build-dep", next((work / "sources" / name).glob("*.dsc"))]
    planned = run([*command, "-s"])
    count = len(re.findall(r"^Inst ", planned.stdout, re.M))
    if planned.returncode or re.search(r"^Remv ", planned.stdout, re.M):
        return "its build dependencies cannot be had"
    if count > DEPENDENCIES_MAX:
        return f"it needs {count} packages to build"
    if count and run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, timeout=600).returncode:
        return "its build dependencies cannot be installed"
    return None
