"""A build that only exports gets the runtime that its package is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import dockerfile, exported, subject
from harness.config import Config
from harness.model import Dockerfile

BUILD = "FROM rust AS build\nWORKDIR /x\nCOPY . .\nRUN cargo build --release\n"


def completed(last: str, *, target: str | None = None, binary: str | None = None) -> Dockerfile:
    """Return the Dockerfile with a runtime where it lacks one."""
    return exported.with_runtime(dockerfile.parse(BUILD + last), target=target, binary=binary)


@pytest.mark.parametrize(
    ("copies", "program"),
    [
        ("COPY --from=build /x/target/release/app /bootstrap", "/var/task/bootstrap"),
        ("COPY --from=build /x/target/release/app /", "/var/task/app"),
        ("COPY --from=build /x/target/release/app .", "/var/task/app"),
        ("COPY --from=build /x/out/ /", "/var/task/bootstrap"),
        ("COPY --from=build /a /bootstrap\nCOPY --from=build /b /config", "/var/task/bootstrap"),
    ],
)
def test_what_is_exported_is_run_where_lambda_unpacks_it(copies: str, program: str) -> None:
    made = completed(f"FROM scratch\n{copies}\n")
    assert made.text.splitlines()[-4:] == [
        "FROM amazon/aws-lambda-provided:al2023 AS layerproof-runtime",
        "COPY --from=1 / /var/task/",
        "USER 65534:65534",
        f'ENTRYPOINT ["{program}"]',
    ]


def test_a_path_that_is_configured_goes_before_a_guess() -> None:
    made = completed("FROM scratch\nCOPY --from=build /out/ /\n", binary="/bin/app")
    assert made.text.endswith('ENTRYPOINT ["/var/task/bin/app"]\n')


@pytest.mark.parametrize(
    "last",
    [
        "",
        'FROM scratch\nCOPY --from=build /x/app /app\nENTRYPOINT ["/app"]\n',
        "FROM debian\nCOPY --from=build /x/app /app\n",
    ],
)
def test_an_image_of_its_own_is_left_alone(last: str) -> None:
    assert len(completed(last).stages) == len(dockerfile.parse(BUILD + last).stages)


def test_a_target_that_exports_is_what_is_run(tmp_path: Path) -> None:
    stages = "FROM scratch AS zip\nCOPY --from=build /x/app /bootstrap\nFROM debian AS image\n"
    (tmp_path / "Dockerfile").write_text(BUILD + stages)
    config = Config(target="zip", binary="/bootstrap")
    made = subject.load(tmp_path / "Dockerfile", scripts=tmp_path, config=config)
    assert (made.options.target, made.program) == (None, None)
    assert "\nCOPY --from=1 / /var/task/\n" in made.dockerfile.text
