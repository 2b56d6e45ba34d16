"""P7 on the Makefile that lies beside the scripts."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.judging.judge import Judge
from harness.judging.legacy import Invocation, State, expect
from harness.judging.report import Row
from harness.running import other_scripts
from harness.running.scripted import PACKAGE, ZIP, Promise, Scripted
from properties.common import FITS, ROOM, same_lines, source_path, with_little_room
from properties.legacy_rows import said_rows, zip_rows

MAKEFILE = "Makefile"
OWN_PLACE = "MAKEFILE_LIST"
"""How a Makefile knows where it lies."""
FROM_ROOT = re.compile(r"^\t.*(?<![\w)}/.-])(\./)?scripts/", re.MULTILINE)
"""A recipe that finds scripts in the folder in which make is called."""
TEST = b"#[test]\nfn ends_as_it_is_told() {\n    assert!(%s);\n}\n"


def judge_targets(scripts: Scripted, *, judge: Judge) -> None:
    """Call the targets that run the project's tests, with a test that passes and one that fails."""
    source = scripts.project / source_path(scripts.bench.subject)
    plain = source.read_bytes()
    for passes in (True, False):
        source.write_bytes(plain + TEST % str(passes).lower().encode())
        for target in (t for t in ("test", "test-html") if has_target(t, scripts)):
            story = [f"a project whose test {'passes' if passes else 'fails'}", f"make {target}"]
            seen = scripts.command(make(target, scripts), environment={"CARGO_NET_OFFLINE": "true"})
            row = Row("exit status", "0" if passes else "not 0", "not 0" if seen.status else "0")
            judge(
                "The target did not end as the tests did.",
                holds=not row.differs,
                scenario=story,
                rows=[row],
                log=seen.log,
            )


def judge_make_elsewhere(scripts: Scripted, *, judge: Judge) -> None:
    """Call what needs no build; where any path is promised to do, in a copy of the build whose
    folder has a blank in its name.
    """
    home = None
    if Promise.ANY_PATH in scripts.promises:
        home = scripts.project.parent / "a copy"
        other_scripts.mirror(scripts.scripts, scripts.workspace.dockerfile, home)
    for target in ("help", "clean"):
        words = _make_in(home, target, scripts)
        seen = scripts.command(words)
        rows = [Row("exit status", "0", str(seen.status))]
        rows += said_rows(expect(Invocation(target=target), State(None), binary=""), seen)
        judge(
            "The target cannot be called.",
            holds=same_lines(rows),
            scenario=[" ".join(words)],
            rows=rows,
            log=seen.log,
        )
    judge_package_zip(home, scripts, judge=judge)


def judge_package_zip(home: Path | None, scripts: Scripted, *, judge: Judge) -> None:
    """Make the zip of a program that came without its mode; then of another, with no room for it.

    Neither can be compressed, so that the zip is what does not fit.
    """
    words = _make_in(home, "package-zip", scripts)
    bootstrap, archive = scripts.project / PACKAGE, scripts.project / ZIP
    bootstrap.parent.mkdir(parents=True, exist_ok=True)
    first, second = os.urandom(FITS), os.urandom(FITS)
    bootstrap.write_bytes(first)
    bootstrap.chmod(0o644)
    story = [f"a {PACKAGE} of mode 0644", " ".join(words)]
    seen = scripts.command(words)
    there = archive.is_file()
    rows = [Row("exit status", "0", str(seen.status)), Row(str(ZIP), "True", str(there))]
    rows += zip_rows(archive, first) if there else []
    finding = "The target did not make the zip that the program calls for."
    judge(finding, holds=same_lines(rows), scenario=story, rows=rows, log=seen.log)
    before = archive.read_bytes()
    bootstrap.write_bytes(second)
    story += [f"another {PACKAGE}, and files may hold {ROOM} KiB", " ".join(words)]
    seen = scripts.command(with_little_room(words))
    same = archive.is_file() and archive.read_bytes() == before
    rows = [
        Row("exit status", "not 0", "not 0" if seen.status else "0"),
        Row(str(ZIP), "as before", "as before" if same else "another, or none"),
    ]
    judge(
        "A zip that could not be made took the place of the one before.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=seen.log,
        hint="Write it beside, and move it into place when it is whole.",
    )


def _make_in(home: Path | None, target: str, scripts: Scripted) -> tuple[str, ...]:
    """Return the call of a target: of the copy in `home`, where there is one."""
    return make(target, scripts) if home is None else ("make", "-f", str(home / MAKEFILE), target)


def has_target(target: str, scripts: Scripted) -> bool:
    """Whether the Makefile has such a target."""
    words = make(target, scripts)
    return scripts.command((*words[:1], "--dry-run", *words[1:])).status == 0


def make(target: str, scripts: Scripted) -> tuple[str, ...]:
    """Return the call of a target of the Makefile that lies beside the scripts.

    One that does not go by where it lies itself finds them in the project's root, as its users have
    them.
    """
    file = scripts.scripts.parent / MAKEFILE
    here = scripts.project / "scripts"
    text = file.read_text()
    if (OWN_PLACE not in text or FROM_ROOT.search(text)) and not here.exists():
        here.symlink_to(scripts.scripts)
    return ("make", "-f", str(file), target)
