"""The results as a page."""
from live import GOOD

COUNTED = ("patch", "refused", "layout", "failed")
NAME_MAX = 60  # characters of a function's name that are shown


def write(rows, path):
    counted = [row for row in rows if row["verdict"] in COUNTED]
    keep = [row for row in counted if row["verdict"] != "layout"]
    made = [row for row in keep if row["verdict"] == "patch"]
    live = [row for row in made if row["live"] == GOOD]
    wrong = [row for row in made if row["live"].startswith("WRONG")]
    share = f"{100 * len(live) / len(keep):.0f} %" if keep else "none"
    text = [
        "# Security fixes of Debian packages",
        "",
        "Written by `scripts/corpus`, which finds the fixes; nobody picked them. How is described there.",
        "",
        f"- {len(counted)} fixes of {len({row['package'] for row in counted})} source packages change code; "
        f"{len(counted) - len(keep)} change the layout of live data: a type that it has, or the size of a variable.",
        f"- Of the other {len(keep)}, {len(made)} became a bundle, and {len(live)} ({share}) were applied to a live process, "
        f"listed and reverted with all bytes of its code restored.",
        f"- Wrong: {len(wrong)}.",
        "",
        "What the live process does: it has the program or library loaded, and sleeps (symbols that only a plug-in's own program has are",
        "stubs). That a fix does what it should is not tried here.",
        "",
        "| package | fix | file | functions | verdict | live process, or why not |",
        "|---|---|---|---|---|---|",
    ]
    fixes = [row for row in rows if row["verdict"] != "skipped"]
    text += [line(row) for row in sorted(fixes, key=lambda row: (row["package"], row["cve"], row["patch"]))]
    skipped = {}
    for row in rows:
        if row["verdict"] == "skipped":
            skipped.setdefault(row["reason"].split(":")[0], []).append(row["package"])
    if skipped:
        text += ["", "Packages that were looked at and have no row:", ""]
        text += [f"- {reason}: {', '.join(sorted(names))}" for reason, names in sorted(skipped.items())]
    path.write_text("\n".join(text) + "\n")


def line(row):
    functions = [name if len(name) <= NAME_MAX else name[:NAME_MAX] + "..." for name in row.get("functions", [])]
    shown = ", ".join(f"`{name}`" for name in functions[:4]) + (f" and {len(functions) - 4} more" if len(functions) > 4 else "")
    why = (row.get("live") or row["reason"]).replace("|", "\\|").replace("\n", " ")
    return f"| {row['package']} | {row['cve']} | {row.get('module', '')} | {shown} | {row['verdict']} | {why[:260]} |"
