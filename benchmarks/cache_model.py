"""Measures the cache model on one core and prints JSON: predictions a second, and a big context."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from harness import dockerfile
from harness.cache import Cache
from harness.keys.context import of_directory, of_tree
from harness.keys.evaluate import BuildState
from harness.model import Edit, EditClass, Entry, File

RUNS = 5
SECONDS_PER_RUN = 1.0
FILES = 200
BIG_FILES = 20_000
DOCKERFILE = """\
ARG TAG=1
FROM rust:${TAG} AS base
ENV CARGO_HOME=/cargo
RUN apt-get update
WORKDIR /src
FROM base AS dependencies
COPY Cargo.toml Cargo.lock ./
COPY crates/*/Cargo.toml ./manifests/
ARG PROFILE=release
RUN cargo fetch
RUN --mount=type=cache,target=/target cargo build
FROM dependencies AS build
COPY src src
COPY . .
RUN --mount=type=bind,target=/context cargo build --profile $PROFILE
FROM debian AS runtime
USER 65534
COPY config /etc/app
COPY --from=build /src/Cargo.lock /licences/
COPY --from=build /out/app /app
ENTRYPOINT ["/app"]
"""


def project(files: int) -> dict[str, Entry]:
    """Return a project of that many files, a tenth of them manifests, in directories of ten."""
    tree: dict[str, Entry] = {
        "Cargo.toml": File(b"[workspace]\n"),
        "Cargo.lock": File(b"version = 4\n"),
        "config/app.toml": File(b"a = 1\n"),
        "src/main.rs": File(b"fn main() {}\n"),
        ".dockerignore": File(b"target\n**/*.tmp\n!keep.tmp\n"),
    }
    for number in range(files - len(tree)):
        name = "Cargo.toml" if number % 10 == 0 else f"src/m{number % 10}.rs"
        tree[f"crates/c{number // 10}/{name}"] = File(b"// %d\n" % number)
    return tree


def predictions_per_second() -> float:
    """Return how many edits are predicted in a second of one core, each of a fresh snapshot."""
    state = BuildState(dockerfile.parse(DOCKERFILE), of_tree(project(FILES)))
    cache = Cache()
    cache.build(state)
    paths = sorted(state.context.records)
    files = [path for path in paths if state.context.records[path].kind == "file"]
    count = 0
    started = time.process_time()
    while (elapsed := time.process_time() - started) < SECONDS_PER_RUN:
        path = files[count % len(files)]
        edit = Edit(EditClass.SOURCE, path, {path: File(b"edit %d" % count)})
        cache.predict(
            BuildState(state.dockerfile, state.context.edited(edit, now_ns=count), state.options)
        )
        count += 1
    return count / elapsed


def big_context_seconds(root: Path) -> float:
    """Return how long it takes to hash a big directory and to predict its build."""
    started = time.perf_counter()
    state = BuildState(dockerfile.parse(DOCKERFILE), of_directory(root))
    cache = Cache()
    cache.build(state)
    cache.predict(state)
    return time.perf_counter() - started


def main() -> int:
    """Run the measurements; each number is the median of five runs."""
    speeds = [predictions_per_second() for _ in range(RUNS)]
    with tempfile.TemporaryDirectory(prefix="layerproof-bench-") as folder:
        for path, entry in project(BIG_FILES).items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            assert isinstance(entry, File)  # noqa: S101 - a project is made of files
            target.write_bytes(entry.content)
        times = [big_context_seconds(Path(folder)) for _ in range(RUNS)]
    instructions = sum(1 for line in DOCKERFILE.splitlines() if line)
    report = {
        "instructions": instructions,
        "files": FILES,
        "predictions_per_second": round(statistics.median(speeds)),
        "big_context_files": BIG_FILES,
        "big_context_seconds": round(statistics.median(times), 3),
        "runs": RUNS,
    }
    json.dump(report, sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
