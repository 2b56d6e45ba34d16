"""A cache kept in a registry: a second machine that has built nothing compiles no dependency."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness import commands, dockerfile, process, progress
from harness import engine as engines
from harness import subject as subjects
from harness.engine import Engine, Kind
from harness.generated import edits
from harness.generated.projects import Blueprint, Dependency, Member, render
from harness.model import EditClass, Vertex
from harness.running import sweep
from harness.scenario import Bench, Workspace
from tests.integration.build.conftest import Checkout

START = Blueprint(
    members=(Member("app", binaries=("app",), uses=("alpha", "beta")),),
    dependencies=(Dependency("alpha"), Dependency("beta")),
)
BUILD_SECONDS = 300.0
WAIT_SECONDS = 20.0


@contextmanager
def registry(folder: Path, say: Callable[[str], None]) -> Iterator[str]:
    """Run a registry on loopback that keeps its data in the folder; yield its host and port."""
    engines.setup("registry", say=say)
    program = engines.state_home() / "tools" / "registry" / "usr" / "bin" / "docker-registry"
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "registry.yml"
    settings.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder / 'store'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    argv = (str(program), "serve", str(settings))
    with process.background(argv, cwd=folder, env=process.environment({})) as running:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert not running.ended, "the registry does not start"
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"


def build(
    on: Engine, checkout: Checkout, context: Path, *, tag: str, extra: Sequence[str], target: str
) -> tuple[Vertex, ...]:
    """Build a target on an engine with further options of buildx; return what it did."""
    workspace: Workspace = checkout.workspace
    arguments = {**workspace.options.build_args, "CACHE_ID": checkout.cache_id}
    argv = commands.buildx_build(
        on.buildx,
        context=context,
        dockerfile=workspace.dockerfile,
        options=replace(workspace.options, target=target, build_args=arguments),
        tags=(tag,),
        labels={sweep.LABEL: workspace.bench.run_id},
    )
    done = process.run((*argv[:-2], *extra, *argv[-2:]), limit=BUILD_SECONDS, env=on.environment)
    assert done.status == 0, progress.words(done.err)
    return progress.decode(done.err)


def compiled(vertices: Sequence[Vertex]) -> set[str]:
    """Return the names of the crates that were compiled."""
    return {crate.split()[0] for crate in progress.crates_compiled(vertices)}


def test_a_second_machine_starts_warm_from_the_cache_in_a_registry(
    bench: Bench, say: Callable[[str], None], tmp_path: Path
) -> None:
    if bench.engine.kind is Kind.NAMED:
        pytest.skip("an engine elsewhere does not reach a registry on this machine's loopback")
    with (
        bench.workspace(render(START).tree, isolated=True) as workspace,
        registry(tmp_path, say) as host,
        engines.provide("private", say=say) as second,
    ):
        checkout = Checkout(workspace, folder=tmp_path)
        tags = {stage: f"{host}/app/{stage}:cache" for stage in ("dependencies", "runtime")}
        inline = ("--cache-to=type=inline",)
        seen = [
            build(bench.engine, checkout, workspace.context, tag=tag, extra=inline, target=stage)
            for stage, tag in tags.items()
        ]
        assert compiled(seen[0]) >= {"alpha", "beta"}
        for tag in tags.values():
            words = bench.engine.client.images.push(tag)
            bench.engine.client.images.remove(tag, force=True)
            assert '"error"' not in words, words
        parsed = dockerfile.parse(bench.text, path=bench.subject.dockerfile.path)
        for image in subjects.bases(parsed, bench.subject.options.build_args).values():
            if not second.has_image(image):
                assert engines.carry(bench.engine.client, second, image, say=say)
        there = tmp_path / f"elsewhere-{workspace.context.name}"
        shutil.copytree(workspace.context, there, symlinks=True)
        imported = [f"--cache-from=type=registry,ref={tag}" for tag in tags.values()]
        tag = f"layerproof/shared-cache:{bench.run_id}"
        warm = build(second, checkout, there, tag=tag, extra=imported, target="runtime")
        assert compiled(warm) == set()
        change = edits.apply(EditClass.SOURCE, START)
        assert change is not None
        workspace.edit(change.edit)
        shutil.rmtree(there)
        shutil.copytree(workspace.context, there, symlinks=True)
        edited = build(second, checkout, there, tag=tag, extra=imported, target="runtime")
        assert compiled(edited) == {"app"}
        second.client.images.remove(tag, force=True)
