"""commands: the exact argument lists."""

from __future__ import annotations

from pathlib import Path

from harness import commands
from harness.model import BuildOptions

BUILDX = Path("/plugins/docker-buildx")


def test_the_plainest_build() -> None:
    argv = commands.buildx_build(
        BUILDX, context=Path("/c"), dockerfile=Path("/d/Dockerfile"), options=BuildOptions()
    )
    assert argv == (
        "/plugins/docker-buildx",
        "build",
        "--progress=rawjson",
        "--file=/d/Dockerfile",
        "--",
        "/c",
    )


def test_a_build_with_everything() -> None:
    options = BuildOptions(
        target="runtime",
        build_args={"BIN": "app", "FLAGS": "--a b"},
        platform="linux/arm64",
        no_cache=True,
        no_cache_filter=("build",),
        network="none",
        secrets={"ca": "/ca.pem", "token": '/a, "b"'},
        named_contexts={"rust": "docker-image://rust:1"},
    )
    argv = commands.buildx_build(
        BUILDX,
        context=Path("-odd"),
        dockerfile=Path("D"),
        options=options,
        tags=("a:1", "b:2"),
        labels={"k": "v"},
        iidfile=Path("/i"),
    )
    assert argv[2:] == (
        "--progress=rawjson",
        "--file=D",
        "--target=runtime",
        "--platform=linux/arm64",
        "--network=none",
        "--no-cache",
        "--no-cache-filter=build",
        "--build-arg=BIN=app",
        "--build-arg=FLAGS=--a b",
        "--secret=id=ca,src=/ca.pem",
        '--secret=id=token,"src=/a, ""b"""',
        "--build-context=rust=docker-image://rust:1",
        "--label=k=v",
        "--tag=a:1",
        "--tag=b:2",
        "--iidfile=/i",
        "--",
        "-odd",
    )


def test_an_export_of_files() -> None:
    argv = commands.buildx_build(
        BUILDX,
        context=Path("/c"),
        dockerfile=Path("D"),
        options=BuildOptions(target="package"),
        export_to=Path("/out"),
    )
    assert "--output=type=local,dest=/out" in argv


def test_scripts_are_called_by_path() -> None:
    assert commands.private_engine(Path("/s/p.sh"), "start", "x") == ("/s/p.sh", "start", "x")
    assert commands.setup(Path("/s/setup.sh"), "buildx") == ("/s/setup.sh", "buildx")
    assert commands.buildx_prune(BUILDX)[1:] == ("prune", "--all", "--force")
