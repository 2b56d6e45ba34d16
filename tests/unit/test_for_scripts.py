"""Dockerfiles of other designs get the stages that the scripts name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness import dockerfile, subject
from harness.for_scripts import fitted, has_fitted_package, missing_stages
from harness.parsing.instructions import assignments

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "dockerfiles"


def added(text: str, *, program: str | None = None) -> str:
    parsed = dockerfile.parse(text)
    described = subject.describe(parsed, scripts=ROOT / "scripts")
    return missing_stages(parsed, replace(described, program=program))


def test_the_build_of_this_repository_has_all() -> None:
    assert added((ROOT / "Dockerfile.optimized").read_text()) == ""


def test_a_package_is_the_program_that_the_last_stage_starts() -> None:
    assert added((FIXTURES / "good" / "stub-layers.Dockerfile").read_text()) == (
        "\nFROM scratch AS package\n"
        "COPY --from=runtime /usr/local/bin/app /bin/app\n"
        "COPY --from=runtime /usr/local/bin/app /bootstrap\n"
    )


def test_what_other_scripts_export_is_known_to_be_one_program() -> None:
    path = FIXTURES / "good" / "stub-layers.Dockerfile"
    described = subject.describe(dockerfile.load(path), scripts=ROOT / "scripts")
    assert has_fitted_package(described)
    assert not has_fitted_package(replace(described, scripts=path.parent / "scripts"))
    ours = dockerfile.load(ROOT / "Dockerfile.optimized")
    assert not has_fitted_package(subject.describe(ours, scripts=FIXTURES))


def test_the_toolchain_is_found_whatever_its_stage_is_called() -> None:
    chef = added((FIXTURES / "designs" / "chef.Dockerfile").read_text())
    assert chef.startswith("\nFROM chef AS base\n")
    musl = added((FIXTURES / "designs" / "musl.Dockerfile").read_text())
    assert musl.startswith("\nFROM rust:${RUST_VERSION}-alpine AS base\n")
    assert "COPY --from=1 /app /bin/app" in musl


@pytest.mark.parametrize(
    ("start", "program"),
    [
        ('ENTRYPOINT ["app"]', "/usr/bin/app"),
        ('ENTRYPOINT ["./app"]', "/usr/bin/app"),
        ('CMD ["/usr/bin/app", "serve"]', "/usr/bin/app"),
        ('ENTRYPOINT ["/usr/bin/app"]\nCMD ["x"]', "/usr/bin/app"),
        ("ENTRYPOINT exec app --port 80", "/usr/bin/app"),
        ("CMD migrate && ./app", "/usr/bin/app"),
        ('ENTRYPOINT ["/sbin/tini", "-g", "--", "app"]', "/usr/bin/app"),
        ('ENTRYPOINT ["dumb-init", "/usr/bin/app", "serve"]', "/usr/bin/app"),
    ],
)
def test_a_program_is_told_by_what_is_started_and_where_it_is_copied(
    start: str, program: str
) -> None:
    build = "FROM rust AS base\nRUN cargo build\n"
    text = f"{build}FROM debian\nCOPY --from=base /t/app /usr/bin/\n{start}\n"
    assert f"COPY --from=1 {program} /bootstrap\n" in added(text)


def test_a_program_lies_where_the_working_directory_has_it() -> None:
    build = "FROM rust AS base\nRUN cargo build\n"
    text = f"{build}FROM debian\nWORKDIR /srv\nCOPY --from=base /t/app .\nCMD ./app\n"
    assert "COPY --from=1 /srv/app /bootstrap\n" in added(text)
    text = f"{build}FROM debian\nCOPY --from=base /t/app .\nENTRYPOINT ./app\n"
    assert "COPY --from=1 /app /bootstrap\n" in added(text)


def test_of_a_program_that_cannot_be_told_no_package_is_made() -> None:
    text = "FROM rust AS base\nRUN cargo build\nENTRYPOINT run me\n"
    assert added(text) == ""
    assert "COPY --from=base /opt/run /bootstrap\n" in added(text, program="/opt/run")


def test_an_argument_of_another_design_has_the_value_that_is_known_of_it(tmp_path: Path) -> None:
    """The scripts beside a Dockerfile give what it asks for; those of another build cannot."""
    text = (
        'ARG TAG\nFROM rust:$TAG\nARG BIN ONE="1 2" OTHER\nARG BIN=x\nRUN cargo build --bin $BIN\n'
    )
    file = tmp_path / "Dockerfile"
    file.write_text(text)
    arguments = {"BIN": "it's", "TAG": "1.85", "ONE": "3"}
    parsed = dockerfile.load(file)
    described = subject.describe(parsed, scripts=ROOT / "scripts")
    under_test = replace(described, options=replace(described.options, build_args=arguments))
    filled = fitted(parsed, under_test)
    assert filled.startswith(
        "ARG TAG='1.85'\nFROM rust:$TAG\nARG BIN='it'\"'\"'s' ONE=\"1 2\" OTHER\nARG BIN=x\nRUN"
    )
    assert dict(assignments(dockerfile.parse(filled).global_args[0], escape="\\")) == {
        "TAG": "'1.85'"
    }
    beside = replace(under_test, scripts=tmp_path / "scripts")
    assert fitted(parsed, beside).startswith(text)
