"""P7 on a project with several binaries: one is named, or each gets a package."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from harness.judging.judge import Judge
from harness.judging.legacy import is_said
from harness.judging.report import Row
from harness.running.scripted import BUILD_LAMBDA, PACKAGE, Promise, Scripted
from properties.common import same_lines, source_path
from properties.story import expect_failure, expect_script

OPTION = "--bin"
SECOND = "layerproof-second"
TELLS = b"it is the second one"
"""What the second binary holds as text."""
PROGRAM = b'fn main() {\n    println!("%s");\n}\n'


def judge_several(scripts: Scripted, *, judge: Judge) -> None:
    """Add a second binary and build: none is silently left out. Then name it, and one that there is
    none of; break it, named by nobody; and let the manifest name the first.
    """
    binary = scripts.bench.subject.binary
    main = scripts.project / source_path(scripts.bench.subject)
    second = main.parent / "bin" / f"{SECOND}.rs"
    second.parent.mkdir()
    second.write_bytes(PROGRAM % TELLS)
    tells = {binary: b"<answer ", SECOND: TELLS}
    story = [f"a project with the binaries {binary} and {SECOND}, build-lambda.sh docker"]
    seen = scripts.run(BUILD_LAMBDA, "docker")
    rows = [Row("exit status", "0 or 1", "0 or 1" if seen.status in {0, 1} else str(seen.status))]
    for name, text in tells.items():
        if seen.status == 0:
            held = "there" if is_packaged(text, scripts.project) else "absent"
            rows.append(Row(f"a package of {name}", "there", held))
        else:
            said = "yes" if is_said(name, seen.log) else "no"
            rows.append(Row(f"says {name!r}", "yes", said))
    judge(
        "Of several binaries one was silently left out.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=seen.log,
        hint="Where none is named, make a package of each, or end and say which there are.",
    )
    words = (OPTION, SECOND, "docker")
    story.append(f"build-lambda.sh {' '.join(words)}")
    expect_script(scripts, words, story, judge)
    packaged = SECOND if TELLS in (scripts.project / PACKAGE).read_bytes() else "another"
    row = Row(str(PACKAGE), SECOND, packaged)
    finding = f"{OPTION} named a binary, and another was packaged."
    judge(finding, holds=not row.differs, scenario=story, rows=[row])
    missing = f"{OPTION} named a binary that there is none of, and the build succeeded."
    expect_failure(missing, scripts, (OPTION, "no-such", "docker"), story, judge)
    second.write_bytes(b"fn main() { this does not compile }\n")
    story.append(f"an error in {second.name}")
    broken = "One of two binaries does not compile, and the build succeeded."
    expect_failure(broken, scripts, ("dev",), story, judge)
    second.write_bytes(PROGRAM % TELLS)
    if Promise.PACKAGES_DEV in scripts.promises:
        judge_default(scripts, main.parents[1] / "Cargo.toml", story, judge=judge)


def judge_default(scripts: Scripted, manifest: Path, story: list[str], *, judge: Judge) -> None:
    """Let the manifest say which binary runs by default: both modes package the same of the two."""
    default = f'[package]\ndefault-run = "{scripts.bench.subject.binary}"\n'
    manifest.write_text(manifest.read_text().replace("[package]\n", default, 1))
    made = []
    for mode in ("prod", "dev"):
        shutil.rmtree((scripts.project / PACKAGE).parent)
        for path in scripts.project.glob("*.zip"):
            path.unlink()
        story.append(f"no error, a default-run, nothing packaged, build-lambda.sh {mode}")
        expect_script(scripts, (mode,), story, judge)
        made.append(", ".join(sorted(packages(scripts.project))))
    row = Row("dev packages", *made)
    finding = "Of several binaries the two modes package different ones."
    judge(finding, holds=not row.differs, scenario=story, rows=[row])


def packages(project: Path) -> list[str]:
    """Return the paths of the zips and the bootstraps in a project."""
    found = (*project.glob("*.zip"), *(project / PACKAGE).parent.rglob("*"))
    return [str(path.relative_to(project)) for path in found if path.is_file()]


def is_packaged(text: bytes, project: Path) -> bool:
    """Whether a bootstrap that holds this text lies in the package's folder, and a zip of it."""
    bootstraps = (project / PACKAGE).parent.rglob(PACKAGE.name)
    contents = [content for path in bootstraps if text in (content := path.read_bytes())]
    return any(content in zipped(project) for content in contents)


def zipped(project: Path) -> list[bytes]:
    """Return what the zips in a project hold as `bootstrap`."""
    found = []
    for path in (*project.glob("*.zip"), *(project / PACKAGE).parent.rglob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            found += [archive.read(name) for name in archive.namelist() if name == PACKAGE.name]
    return found
