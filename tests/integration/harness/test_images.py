"""An image is read alike where its layers lie and from the engine's archive of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import dockerfile, scenario, subject
from harness.engine import Engine, Kind
from harness.judging.image import Image
from harness.model import File
from harness.running import layer_folders
from harness.running.images import Reader

ROOT = Path(__file__).parents[3]
STEPS = r"""
COPY --chmod=0600 secret /srv/given/secret
COPY program /srv/program
RUN mkdir -p /srv/kept /srv/anew/deep && echo one >/srv/kept/file && echo two >/srv/anew/deep/old
RUN rm -r /srv/given /srv/anew /srv/kept/file && mkdir /srv/anew && echo three >/srv/anew/.new \
    && ln -s file /srv/kept/link && ln /srv/anew/.new /srv/kept/twice \
    && chmod 4755 /srv/program && chown 7:8 /srv/anew/.new && rm /etc/hostname /etc/os-release \
    && mkfifo /srv/pipe && printf x >"/srv/kept/with a blank"
USER 7
ENV NAME=value
CMD ["/srv/program"]
"""


def test_folders_and_archive_tell_the_same(engine: Engine, say: Callable[[str], None]) -> None:
    if engine.kind is not Kind.PRIVATE:
        pytest.skip("only a private engine's layers are read where they lie")
    loaded = subject.load(ROOT / "Dockerfile.optimized", scripts=ROOT / "scripts")
    loaded = replace(loaded, options=replace(loaded.options, network="none"))
    tree = {"program": File(b"a program"), "secret": File(b"s3cret")}
    with scenario.prepare(engine, loaded, say=say) as bench, bench.workspace(tree) as workspace:
        *_, runtime = subject.bases(dockerfile.parse(bench.text, path=""), {}).values()
        workspace.dockerfile.write_text(f"FROM {runtime}{STEPS}")
        seen = workspace.build()
        assert seen.succeeded, seen.error
        built = engine.client.images.get(str(seen.image_id))
        assert layer_folders.of(built, engine) is not None
        there = Reader(engine).read(str(built.id), base=runtime)
        packed = Reader(replace(engine, kind=Kind.NAMED)).read(str(built.id), base=runtime)
    for one, other in zip(there.layers, packed.layers, strict=True):
        assert set(one) == set(other)
    assert replace(there, layers=()) == replace(packed, layers=())
    assert_it_is_what_was_built(there)


def assert_it_is_what_was_built(image: Image) -> None:
    """What the steps above make is there, and what they remove is hidden."""
    added = image.added()
    assert {path for path in added if path.startswith("/srv")} == {
        "/srv/anew/.new",
        "/srv/kept/link",
        "/srv/kept/twice",
        "/srv/kept/with a blank",
        "/srv/pipe",
        "/srv/program",
    }
    assert image.hidden["/srv/given/secret"] == b"s3cret"
    assert image.hidden["/srv/anew/deep/old"] == b"two\n"
    assert "/etc/hostname" not in image.files()
    assert added["/srv/program"].mode == 0o4755
    assert added["/srv/anew/.new"].uid == 7
    assert (image.user, image.command) == ("7", ("/srv/program",))
    assert "NAME=value" in image.environment
    assert "CMD" in image.history[-1]
