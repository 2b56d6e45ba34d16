"""What cargo keeps between builds: mended when damaged, shared in turn, done without when empty."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from harness.model import BuildObservation, BuildOptions
from harness.running import builder
from tests.integration.build import cargo_projects as cargo
from tests.integration.build.conftest import Checkout, compiled

Open = Callable[..., AbstractContextManager[Checkout]]


def in_cache(project: Checkout, command: str, *, folder: Path) -> BuildObservation:
    """Run a command in the checkout's own directory of the cache mount."""
    engine = project.workspace.bench.engine
    base = project.workspace.build_base(state=0)
    assert base is not None
    engine.client.images.get(base).tag("layerproof/cache-test", project.cache_id)
    context = folder / project.cache_id
    context.mkdir()
    (context / "Dockerfile").write_text(
        f"FROM layerproof/cache-test:{project.cache_id} AS done\n"
        "RUN --mount=type=cache,id=layerproof,target=/cache "
        f"cd /cache/{project.cache_id} && {command} && touch /done\n"
        "FROM scratch\nCOPY --from=done /done /\n"
    )
    try:
        return builder.build(
            engine,
            context=context,
            dockerfile=context / "Dockerfile",
            options=BuildOptions(network="none"),
            export_to=context / "out",
        )
    finally:
        engine.client.images.remove(f"layerproof/cache-test:{project.cache_id}", force=True)


def test_a_damaged_cache_is_noticed_said_so_and_done_without(
    checkout: Open, tmp_path: Path
) -> None:
    files = cargo.simple()
    with checkout(cargo.tree(files)) as project:
        project.build()
        broken = in_cache(
            project,
            "find target -name 'libtwo-*.rlib' -exec sh -c ': >$0' {} \\; -print | grep libtwo",
            folder=tmp_path,
        )
        assert broken.succeeded, broken.error
        project.edit(cargo.edit({"Cargo.toml": files["Cargo.toml"] + "# again\n"}))
        seen = project.build()
        assert "[WARNING] The dependency cache is damaged" in seen.log
        assert project.answer(seen) == "app 13"
        assert compiled(seen, "dependencies") == ("app", "one", "two")


def test_the_layer_does_without_the_cache_it_was_made_with(checkout: Open, tmp_path: Path) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        project.build()
        emptied = in_cache(
            project, "rm -rf target compiler registry git compiled sources", folder=tmp_path
        )
        assert emptied.succeeded, emptied.error
        project.edit(cargo.edit({"src/main.rs": cargo.program("v", prints="one::value()")}))
        seen = project.build()
        assert project.answer(seen) == "v 3"
        assert seen.crates_compiled == ("app 0.1.0",)


def test_two_builds_that_share_a_cache_take_turns_and_both_succeed(checkout: Open) -> None:
    seen: dict[str, str] = {}
    files = cargo.simple()
    other = {**files, "Cargo.toml": files["Cargo.toml"] + "[profile.release]\nopt-level = 1\n"}
    with checkout(cargo.tree(files)) as one, checkout(cargo.tree(other)) as two:
        two.cache_id = one.cache_id

        def build(name: str, project: Checkout) -> None:
            seen[name] = project.answer(project.build())

        threads = [
            threading.Thread(target=build, args=pair) for pair in (("one", one), ("two", two))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == {"one": "app 13", "two": "app 13"}
