"""A workspace finds the program that an image starts, however the image names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness import dockerfile, scenario, subject
from harness.engine import Engine
from harness.model import File
from harness.scenario import Bench

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def bench(engine: Engine, say: Callable[[str], None]) -> Iterator[Bench]:
    """Return a bench for our own Dockerfile."""
    loaded = subject.load(ROOT / "Dockerfile.optimized", scripts=ROOT / "scripts")
    loaded = replace(loaded, program=None, options=replace(loaded.options, network="none"))
    with scenario.prepare(engine, loaded, say=say) as made:
        yield made


@pytest.mark.parametrize(
    ("ending", "found"),
    [
        ('ENTRYPOINT ["/opt/program"]', True),
        ('CMD ["/opt/program"]', True),
        ('WORKDIR /opt\nCMD ["./program"]', True),
        ('ENV PATH=/none:/opt\nCMD ["program"]', True),
        ('RUN ln -s program /opt/link\nCMD ["/opt/link"]', True),
        ("WORKDIR /opt\nENTRYPOINT exec ./program --port 80", True),
        ('ENTRYPOINT ["/sbin/tini", "--", "/opt/program"]', True),
        ('CMD ["/none"]', False),
        ("CMD []", False),
    ],
)
def test_the_program_is_what_the_image_starts(bench: Bench, ending: str, found: bool) -> None:
    *_, runtime = subject.bases(dockerfile.parse(bench.text, path=""), {}).values()
    with bench.workspace({"program": File(b"a program")}) as workspace:
        workspace.dockerfile.write_text(f"FROM {runtime}\nCOPY program /opt/program\n{ending}\n")
        seen = workspace.build()
        assert seen.succeeded, seen.error
        assert workspace.program(str(seen.image_id)) == (b"a program" if found else b"")
