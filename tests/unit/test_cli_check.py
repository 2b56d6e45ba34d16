"""`layerproof check`: what a user sees of the structure checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.__main__ import main

MOUNTED = "RUN --mount=type=cache,target=/usr/local/cargo/registry mkdir"
BAD = "FROM rust:1.85-slim-bookworm\nCOPY . .\nRUN cargo build --release\n"


def test_findings_are_shown_with_their_line_and_what_to_write_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(BAD)
    assert main(["check", str(file)]) == 1
    said = capsys.readouterr().err
    assert f"{file}:2: COPY . . brings in the source before any manifest" in said
    assert "    2 | COPY . .\n" in said
    assert "  instead: COPY Cargo.toml Cargo.lock before anything of the source." in said
    assert f"finding(s) in the structure of {file}\nhint: docs/structure-checks.md" in said


def test_advice_is_told_and_fails_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Dockerfile"
    good = Path(__file__).resolve().parents[2] / "fixtures/dockerfiles/good/stub-layers.Dockerfile"
    text = good.read_text().replace("RUN mkdir", MOUNTED)
    file.write_text(text)
    assert main(["check", str(file)]) == 0
    said = capsys.readouterr().out
    assert ": advice: the cache mount /usr/local/cargo/registry is shared [registry-mount" in said
    assert said.endswith(f"\n\n{file}: nothing found but advice\n")


def test_a_rule_that_is_allowed_is_not_applied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(BAD)
    (tmp_path / "layerproof.toml").write_text(
        'allow = ["single-stage", "runs-as-root", "manifests-after-source",'
        ' "no-dependency-layer"]\n'
    )
    assert main(["check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: nothing found\n"


def test_our_own_dockerfile_has_no_finding() -> None:
    ours = Path(__file__).resolve().parents[2] / "Dockerfile.optimized"
    assert main(["check", str(ours)]) == 0


def test_no_such_dockerfile_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(tmp_path / "none")]) == 2
    assert "no such Dockerfile" in capsys.readouterr().err


def test_the_project_beside_the_dockerfile_is_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its files none is opened that no rule looks into; one that cannot be is named."""
    file = tmp_path / "Dockerfile"
    file.write_text(
        "FROM rust:1.85-slim-bookworm AS build\nCOPY Cargo.toml Cargo.lock ./\nCOPY src src\n"
        'RUN cargo build --release\nFROM scratch\nCOPY --from=build /a /a\nENTRYPOINT ["/a"]\n'
    )
    assert main(["check", str(file)]) == 1
    assert "[libc-missing]" in capsys.readouterr().err
    manifest = tmp_path / "Cargo.toml"
    manifest.write_text("[package]\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.rs").write_text("fn main() {}\n")
    (tmp_path / ".cargo").mkdir()
    configuration = tmp_path / ".cargo" / "config.toml"
    configuration.write_text('[build]\ntarget = "x86_64-unknown-linux-musl"\n')
    opened: list[Path] = []
    unread = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        opened.append(path)
        if path.name == "Cargo.lock":
            raise PermissionError(13, "Permission denied", str(path))
        return unread(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert main(["check", str(file)]) == 1
    said = capsys.readouterr().err
    assert "[no-dependency-layer]" in said
    assert "[libc-missing]" not in said
    assert sorted(opened) == sorted([file, manifest, configuration])
    (tmp_path / "Cargo.lock").write_text("")
    assert main(["check", str(file)]) == 2
    said = capsys.readouterr().err
    assert "the project beside the Dockerfile cannot be read" in said
    assert f"Permission denied: '{tmp_path / 'Cargo.lock'}'" in said
