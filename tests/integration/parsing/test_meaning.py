"""Words expand, and ignore files ignore, as on the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import commands, process
from harness.engine import Engine
from harness.model import BuildOptions
from harness.parsing import dockerignore, expansion
from tests.integration.parsing.conftest import SECONDS, Frontend

VARIABLES = {"HOME": "/root", "EMPTY": "", "TWO": "a  b", "TAG": "v1.2.3"}
EVERYWHERE = [
    "$HOME", "${HOME}x", "$NONE", "a$", "${NONE:-d}", "${EMPTY:-d}", "${HOME:+w}", "${EMPTY:+w}",
    "${NONE:-${HOME}/x}", "'$HOME'", '"$HOME"', r"\$HOME", '"\'$HOME\'"', r'"a\tb"', r"a\tb",
    '"$TWO"', "${HOME}}", r"'a\'", "$1x", "a$.b", r'"\"q\""',
]  # fmt: skip
NEWER = [
    "${NONE-d}", "${EMPTY-d}", "${EMPTY+w}", "${NONE+w}", "${HOME?no}", "${EMPTY?no}", "${TAG#v}",
    "${TAG#*.}", "${TAG##*.}", "${TAG%.*}", "${TAG%%.*}", "${TAG#x}", "${TAG%?}", "${NONE#x}",
    "${TAG/./-}", "${TAG//./-}", "${TAG/v*./}", "${TAG/x/y}", r"${HOME/\//}", r"${NONE:-\}}",
]  # fmt: skip
"""Understood from BuildKit 0.11 (`#`, `%`) and 0.12 (`/`) on."""


def _labels(engine: Engine, words: list[str], folder: Path) -> list[str]:
    """Return what the engine makes of each word, as the value of a label."""
    lines = ["FROM scratch", 'ENV HOME=/root EMPTY= TWO="a  b" TAG=v1.2.3']
    lines += [f"LABEL l{number}={word}" for number, word in enumerate(words)]
    path = folder / "Dockerfile"
    path.write_text("\n".join(lines) + "\n")
    identity = folder / "id"
    argv = commands.buildx_build(
        engine.buildx, context=folder, dockerfile=path, options=BuildOptions(), iidfile=identity
    )
    process.run(argv, limit=SECONDS, env=engine.environment).check("building labels")
    image = engine.client.images.get(identity.read_text().strip())
    try:
        return [image.labels[f"l{number}"] for number in range(len(words))]
    finally:
        engine.client.images.remove(identity.read_text().strip(), force=True)


def test_words_expand_as_on_the_engine_at_hand(engine: Engine, tmp_path: Path) -> None:
    assert _labels(engine, EVERYWHERE, tmp_path) == [
        expansion.expand(word, VARIABLES) for word in EVERYWHERE
    ]


def test_words_expand_as_on_a_newer_engine(frontend: Frontend, tmp_path: Path) -> None:
    words = EVERYWHERE + NEWER
    assert _labels(frontend.engine, words, tmp_path) == [
        expansion.expand(word, VARIABLES) for word in words
    ]


FILES = [
    "Cargo.toml", "Cargo.lock", "README.md", "a b", "a*b", "src/main.rs", "src/lib.rs", "src/a.md",
    "target/debug/app", "target/keep/x", "crates/a/target/y", "crates/a/src/lib.rs", ".git/HEAD",
    "docs/deep/er/z.md", "docs/ab", "docs/b", "mytarget", "é", "axb", "ace", "aze",
]  # fmt: skip
IGNORE_FILES = [
    "target", "**/target", "/target/", "**target", "*.md", "**/*.md", "*", "**", "target/**",
    "*\n!src", "*\n!src/*.rs\nsrc/lib.rs", "target\n!target/keep", "**/target\n!crates/**/target",
    r"a\*b", "a b", "a?b", "a[b-d]e", "a[^b-d]e", "d*/b", "docs/**/z.md", "**/d*/**/z*",
    "docs/*\n!docs/b", "# all\n\n  target  \n! target/keep ", "./src/../target", "!src\n*",
    "*/*\n!*/a", "é", "**/*é",
    "crates/*/target", "src/main.rs/", "[a]*", "**/[!a]*", "docs/de[e]p/**", "*/\n!docs/", "[*]xb",
]  # fmt: skip


@pytest.mark.parametrize("text", IGNORE_FILES)
def test_an_ignore_file_keeps_back_what_the_engine_keeps_back(
    engine: Engine, tmp_path: Path, text: str
) -> None:
    context = tmp_path / f"context-{abs(hash(text))}"
    for name in FILES:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    path = tmp_path / "Dockerfile"
    path.write_text("FROM scratch\nCOPY . /\n")
    (tmp_path / "Dockerfile.dockerignore").write_text(text + "\n")
    out = tmp_path / "out"
    argv = commands.buildx_build(
        engine.buildx, context=context, dockerfile=path, options=BuildOptions(), export_to=out
    )
    done = process.run(argv, limit=SECONDS, env=engine.environment)
    sent = sorted(dockerignore.parse(text).sent(FILES))
    if done.status != 0:
        # an engine before 23 has nothing to copy from where everything is ignored
        assert not sent, done.err
    exported = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert exported == sent
