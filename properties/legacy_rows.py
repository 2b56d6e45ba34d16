"""What a call of the legacy interface did, compared with what the reference model expects."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

from harness.generated.source_trees import differences, on_host
from harness.judging.legacy import CODEBUILD_FILES, ExitClass, Invocation, Outcome, Program, is_said
from harness.judging.report import Row
from harness.running.scripted import OUTPUTS, PACKAGE, ZIP, ScriptRun

WITNESS = "compiled-by-the-dockerfile-under-test"
"""What a program holds that the Dockerfile under test compiled."""
Facts = Mapping[str, tuple[object, ...]]
"""What is known of each file of a tree, by path."""
UNIX = 3
"""The system by which a zip says that it keeps modes (APPNOTE.TXT, 4.4.2.2)."""
JUST_NOW = 3600


def artifacts(root: Path) -> dict[Path, bytes]:
    """Return the outputs that there are, by path."""
    return {path: (root / path).read_bytes() for path in (PACKAGE, ZIP) if (root / path).is_file()}


def exit_row(call: Invocation, expected: Outcome, seen: ScriptRun) -> Row:
    """Compare exit statuses; make has one of its own for every failure."""
    if call.target and expected.exit is ExitClass.REFUSED:
        return Row("exit status of make", "not 0", "not 0" if seen.status else "0")
    return Row("exit status", str(expected.exit.value), str(seen.status))


def said_rows(expected: Outcome, seen: ScriptRun) -> list[Row]:
    """Expect the words that an invocation has to say."""
    told = {words: "yes" if is_said(words, seen.log) else "no" for words in expected.says}
    return [Row(f"says {words!r}", "yes", said) for words, said in told.items()]


def artifact_rows(
    expected: Outcome, seen: ScriptRun, before: dict[Path, bytes], root: Path
) -> list[Row]:
    """Compare the artifacts: absent, as they were, or of the program that was to be packaged."""
    after = artifacts(root)
    packaged = expected.state.packaged
    rows = [
        Row(name, "there", "there" if (root / name).is_file() else "absent")
        for name in (CODEBUILD_FILES if expected.codebuild else ())
    ]
    if packaged is None:
        there = {path: "there" if path in after else "absent" for path in (PACKAGE, ZIP)}
        return rows + [Row(str(path), "absent", state) for path, state in there.items()]
    if seen.status == 0:
        return rows + package_rows(packaged, root)
    same = {p: "as before" if after.get(p) == before.get(p) else "changed" for p in (PACKAGE, ZIP)}
    return rows + [Row(str(path), "as before", state) for path, state in same.items()]


def package_rows(program: Program, root: Path) -> list[Row]:
    """Compare the package with the program it has to hold."""
    binary, bootstrap, archive = root / program.path, root / PACKAGE, root / ZIP
    rows = [
        Row(str(path.relative_to(root)), "there", "there" if path.is_file() else "absent")
        for path in (binary, bootstrap, archive)
    ]
    if any(row.differs for row in rows):
        return rows
    content = bootstrap.read_bytes()
    rows += [
        Row(f"{PACKAGE}: mode", "0755", f"{bootstrap.stat().st_mode & 0o7777:04o}"),
        holds(content, f"<answer {program.answer}>", wanted=True),
        holds(content, "<feature extra>", wanted=program.extra),
        holds(content, WITNESS, wanted=program.optimised),
    ]
    return rows + zip_rows(archive, content)


def zip_rows(archive: Path, content: bytes) -> list[Row]:
    """Compare a zip with the one that a program makes: its bytes follow from the program's."""
    with zipfile.ZipFile(archive) as packed:
        infos = packed.infolist()
        rows = [Row(f"{ZIP}: entries", "bootstrap", ", ".join(i.filename for i in infos))]
        if [info.filename for info in infos] == ["bootstrap"]:
            same = packed.read("bootstrap") == content
            rows.append(Row(f"{ZIP}: date", "a fixed one", date_of(infos[0])))
            rows.append(Row(f"{ZIP}: mode", "0755", mode_of(infos[0])))
            rows.append(
                Row(f"{ZIP}: content", "the bootstrap", "the bootstrap" if same else "other")
            )
    return rows


def readers_row(archive: Path) -> Row:
    """Expect a zip, as it lies there, to be read by whom the umask leaves that."""
    os.umask(umask := os.umask(0))  # there is no other way to read it
    wanted, found = 0o444 & ~umask, archive.stat().st_mode & 0o444
    return Row(f"{ZIP}: may be read by", f"{wanted:04o}", f"{found:04o}")


def mode_of(info: zipfile.ZipInfo) -> str:
    """Return the mode that an entry is unpacked with: one of a zip made on DOS has none."""
    unix = info.create_system == UNIX
    return f"{info.external_attr >> 16 & 0o777:04o}" if unix else "none: not made on Unix"


def date_of(info: zipfile.ZipInfo) -> str:
    """Say whether an entry's date is that of the build: then equal programs give unequal zips."""
    written = time.mktime((*info.date_time, 0, 0, -1))
    just_now = abs(time.time() - written) < JUST_NOW
    return f"the host's: {info.date_time}" if just_now else "a fixed one"


def holds(content: bytes, text: str, *, wanted: bool) -> Row:
    """Expect a text in a binary, or expect it not there."""
    return Row(
        f"{PACKAGE} holds {text!r}",
        "yes" if wanted else "no",
        "yes" if text.encode() in content else "no",
    )


def sources_of(root: Path) -> Facts:
    """Return everything in the project but what an invocation may write."""
    return on_host(root, skip=(*OUTPUTS, str(ZIP), *CODEBUILD_FILES))


def source_rows(before: Facts, after: Facts) -> list[Row]:
    """Expect each file of the source as it was; what has come to it is not judged here."""
    still = {path: facts for path, facts in after.items() if path in before}
    return [Row(*words) for words in differences(before, still)]
