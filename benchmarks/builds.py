"""The rows about building: the same edit of hello-lambda by our build and by what one would use.

Everything runs on one private engine, samples are taken in turn, and each subject has a copy of
the project of its own (the engine's synced contexts are keyed by directory name). A plain
container of the build image with a target directory that stays plays "cargo without Docker
layers": same toolchain, timed inside, so that it pays for no docker call.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Row, Samples
from harness import commands, engine, process
from harness.model import BuildOptions
from harness.running import builder, execution

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILES = Path(__file__).resolve().parent / "dockerfiles"
BUILD_IMAGES = ("rust:1.85-slim-bookworm", "layerproof/rust:local")
RUNTIME_IMAGES = ("amazon/aws-lambda-provided:al2023", "layerproof/runtime:local")
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
ADDED = ("hex@0.4", "roman@0.1", "fastrand@2", "either@1", "humantime@2", "unicode-width@0.2")
LIMIT = 1800.0


@dataclass(slots=True)
class Bench:
    """An engine, a folder to work in, the images, and the plain container."""

    engine: engine.Engine
    folder: Path
    build_image: str
    runtime_image: str
    ca: Path | None
    runs: int
    copies: dict[str, Path] = field(default_factory=dict)

    def project(self, subject: str) -> Path:
        """Return the subject's own copy of the sample project, made on first use."""
        if subject not in self.copies:
            copy = self.folder / f"{subject}-{os.getpid()}"
            skip = shutil.ignore_patterns("target", "lambda-package", "*.zip")
            shutil.copytree(ROOT / "fixtures" / "hello-lambda", copy, ignore=skip)
            self.copies[subject] = copy
        return self.copies[subject]

    def script(self, name: str, *arguments: str, subject: str) -> float:
        """Run one of our scripts in the subject's project; return the whole script's seconds."""
        env = {
            **self.engine.environment,
            "DOCKER_IMAGE": self.build_image,
            "RUNTIME_IMAGE": self.runtime_image,
        }
        argv = (str(ROOT / "scripts" / name), *arguments)
        result = process.run(argv, limit=LIMIT, cwd=self.project(subject), env=env)
        return result.check(f"{name} {' '.join(arguments)}").seconds

    def dockerfile(
        self, name: str, *, subject: str, args: Mapping[str, str] | None = None, tag: str = ""
    ) -> float:
        """Build one of the yardstick Dockerfiles; return the whole buildx call's seconds."""
        options = BuildOptions(
            build_args=args or {"BUILD_IMAGE": self.build_image},
            network="host",
            secrets={"ca": str(self.ca)} if self.ca else {},
        )
        seen = builder.build(
            self.engine,
            context=self.project(subject),
            dockerfile=DOCKERFILES / name,
            options=options,
            tags=(tag,) if tag else (),
            limit=LIMIT,
        )
        if not seen.succeeded:
            raise RuntimeError(f"{name}: {seen.error}\n{seen.log[-2000:]}")
        return seen.seconds

    def forget(self) -> None:
        """Empty the build cache of the engine, which is ours alone."""
        prune = commands.buildx_prune(self.engine.buildx)
        process.run(prune, limit=LIMIT, env=self.engine.environment).check("emptying the cache")


class Plain:
    """A container of the build image in which cargo keeps its target directory."""

    def __init__(self, bench: Bench, subject: str) -> None:
        self._bench = bench
        self.project = bench.project(subject)
        mounts = {str(self.project): {"bind": "/src", "mode": "rw"}}
        if bench.ca:
            mounts[str(bench.ca)] = {"bind": "/etc/ssl/certs/ca-certificates.crt", "mode": "ro"}
        self._container = bench.engine.client.containers.run(
            bench.build_image,
            ["sleep", "86400"],
            detach=True,
            init=True,
            network_mode="host",
            working_dir="/src",
            volumes=mounts,
            environment={"CARGO_TARGET_DIR": "/target"},
        )

    def run(self, command: str) -> float:
        """Run a shell command inside; return the seconds it took there."""
        timed = f"s=$(date +%s%N); {{ {command}; }} >&2 || exit 1; echo $(($(date +%s%N) - s))"
        status, said = execution.execute(
            self._bench.engine, str(self._container.id), ("sh", "-c", timed)
        )
        if status != 0:
            raise RuntimeError(f"{command}: {said.decode(errors='replace')[-2000:]}")
        return int(said.split()[-1]) / 1e9

    def remove(self) -> None:
        """Remove the container."""
        self._container.remove(force=True)


@contextlib.contextmanager
def plain(bench: Bench, subject: str) -> Iterator[Plain]:
    """Yield a plain container on the subject's project, gone after the block."""
    container = Plain(bench, subject)
    try:
        yield container
    finally:
        container.remove()


def edit(project: Path, number: int) -> None:
    """Change one line of the sample's source: a constant that the program uses."""
    main = project / "src" / "main.rs"
    lines = [line for line in main.read_text().splitlines() if not line.startswith("static EDITED")]
    lines.append(
        f"static EDITED: u64 = {time.time_ns() + number}; #[used] static _KEEP: &u64 = &EDITED;"
    )
    main.write_text("\n".join(lines) + "\n")


def source_edit(bench: Bench) -> list[Row]:
    """One-line edit: ours, a single-stage Dockerfile, and cargo alone, in turn."""
    samples = Samples()
    with plain(bench, "cargo") as container:
        container.run("cargo build --release --locked")
        bench.script("build-lambda.sh", "prod", subject="ours")
        for number in range(bench.runs):
            for subject in ("ours", "single", "cargo"):
                edit(bench.project(subject), number)
            samples.add("ours", bench.script("build-lambda.sh", "prod", subject="ours"))
            samples.add("cargo", container.run("cargo build --release --locked"))
            single = bench.dockerfile("single-stage.Dockerfile", subject="single")
            samples.add("single", single)
            samples.add("nothing", bench.script("build-lambda.sh", "prod", subject="ours"))
    ours = samples.of("ours")
    return [
        Row(
            "prod, one-line source edit",
            "single-stage Dockerfile",
            "s",
            8.0,
            ours,
            samples.of("single"),
            at_least=True,
        ),
        Row(
            "prod, one-line source edit",
            "`cargo build --release`, same edit and toolchain, no layers",
            "s",
            1.1,
            ours,
            samples.of("cargo"),
        ),
        Row("prod, nothing changed", "the whole script", "s", 0.6, samples.of("nothing")),
    ]


def dependency_added(bench: Bench) -> list[Row]:
    """One more dependency: ours and cargo-chef's pattern, in turn."""
    samples = Samples()
    chef = "layerproof/bench-chef:local"
    bench.dockerfile("chef-image.Dockerfile", subject="chef", tag=chef)
    bench.dockerfile("chef.Dockerfile", subject="chef", args={"CHEF_IMAGE": chef})
    bench.script("build-lambda.sh", "prod", subject="ours")
    with plain(bench, "adder") as container:
        for crate in ADDED[: bench.runs]:
            container.run(f"cargo add -q {crate} && cargo fetch -q")
            for subject in ("ours", "chef"):
                for name in ("Cargo.toml", "Cargo.lock"):
                    shutil.copyfile(container.project / name, bench.project(subject) / name)
            samples.add("ours", bench.script("build-lambda.sh", "prod", subject="ours"))
            args = {"CHEF_IMAGE": chef}
            samples.add("chef", bench.dockerfile("chef.Dockerfile", subject="chef", args=args))
    bench.engine.client.images.remove(chef, force=True)
    ours, theirs = samples.of("ours"), samples.of("chef")
    name = "prod, one dependency added"
    return [Row(name, "cargo-chef's pattern", "s", 6.0, ours, theirs, at_least=True)]


def cold(bench: Bench) -> list[Row]:
    """Nothing cached at all: ours and the single-stage Dockerfile, in turn."""
    samples = Samples()
    for _ in range(bench.runs):
        bench.forget()
        samples.add("ours", bench.script("build-lambda.sh", "prod", subject="ours"))
        bench.forget()
        single = bench.dockerfile("single-stage.Dockerfile", subject="single")
        samples.add("single", single)
    ours, theirs = samples.of("ours"), samples.of("single")
    return [Row("prod, cold", "single-stage Dockerfile", "s", 1.1, ours, theirs)]


def dev_edit(bench: Bench) -> list[Row]:
    """One-line edit to artifact in dev mode, against cargo's own incremental build."""
    samples = Samples()
    bench.script("dev-container.sh", "build", subject="dev")
    try:
        with plain(bench, "cargo") as container:
            container.run("cargo build --locked")
            for number in range(bench.runs):
                edit(bench.project("dev"), number)
                edit(bench.project("cargo"), number)
                samples.add("dev", bench.script("dev-container.sh", "build", subject="dev"))
                samples.add("cargo", container.run("cargo build --locked"))
    finally:
        bench.script("dev-container.sh", "clean", subject="dev")
    ours, theirs = samples.of("dev"), samples.of("cargo")
    against = "incremental `cargo build`, same edit and toolchain"
    name = "dev, one-line edit to artifact"
    return [Row(name, against, "s", 1.15, ours, theirs, allowance=0.15)]


def image_size(bench: Bench) -> list[Row]:
    """What the runtime image adds to its base, against the stripped binary."""
    tag = "layerproof/bench-size:local"
    bench.script("build-lambda.sh", "prod", "--image", tag, subject="ours")
    images = bench.engine.client.images
    added = images.get(tag).attrs["Size"] - images.get(bench.runtime_image).attrs["Size"]
    images.remove(tag, force=True)
    binary = (bench.project("ours") / "lambda-package" / "bootstrap").stat().st_size
    name = "final image beyond its base"
    return [Row(name, "the stripped binary", "MB", 1.02, (added / 1e6,), (binary / 1e6,))]


ROWS = {
    "source-edit": source_edit,
    "dependency-added": dependency_added,
    "cold": cold,
    "dev-edit": dev_edit,
    "image-size": image_size,
}
