"""scripts/lib/build.sh: the command line of a build, and what its words mean."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.scripts.shell_stubs import Shell

SETTINGS = (
    "BUILDX=(/x/buildx); DOCKERFILE='a b/D'; BUILD_IMAGE=rust; RUNTIME_IMAGE=run; "
    "ENGINE_NETWORK=''; CA_BUNDLE=''; CARGO_CREDENTIALS=''; BIN=''; TRIPLE=''; IMAGE_TAG=''; "
)
SHOW = "printf '%s\\n' \"${BUILD_COMMAND[@]}\""
PLAIN = [
    *("/x/buildx", "build", "--progress=plain", "--file", "a b/D", "--target", "package"),
    *("--build-arg", "BUILD_IMAGE=rust", "--build-arg", "RUNTIME_IMAGE=run"),
    *("--build-arg", "CACHE_ID=id-1"),
]


def composed(shell: Shell, settings: str = "", **changes: str) -> list[str]:
    done = shell.call(
        "compose_build", "package", "id-1", "ctx", before=SETTINGS + settings, after=SHOW, **changes
    )
    assert done.status == 0, done.err
    return done.out.splitlines()


def test_the_plain_build(shell: Shell) -> None:
    assert composed(shell) == [*PLAIN, "ctx"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("BIN=one", ["--build-arg", "BIN=one"]),
        ("TRIPLE=aarch64-x", ["--build-arg", "TARGET=aarch64-x"]),
        ("CARGO_FLAGS='--features  a b'", ["--build-arg", "CARGO_FLAGS=--features  a b"]),
        ("ENGINE_NETWORK=host", ["--network", "host"]),
        ("CA_BUNDLE=/ca.pem", ["--secret", "id=ca,src=/ca.pem"]),
        ("CA_BUNDLE='/a,b.pem'", ["--secret", 'id=ca,"src=/a,b.pem"']),
        ("CARGO_CREDENTIALS=/c.toml", ["--secret", "id=cargo-credentials,src=/c.toml"]),
        (
            "LAYERPROOF_OFFLINE=1 ENGINE_NETWORK=host CARGO_FLAGS=-q",
            ["--build-arg", "CARGO_FLAGS=-q --offline", "--network", "none"],
        ),
    ],
)
def test_each_setting_adds_its_words(shell: Shell, settings: str, words: list[str]) -> None:
    assert composed(shell, settings) == [*PLAIN, *words, "ctx"]


def test_secrets_are_never_arguments(shell: Shell) -> None:
    words = composed(shell, "CA_BUNDLE=/ca.pem CARGO_CREDENTIALS=/c.toml")
    values = [b for a, b in itertools.pairwise(words) if a == "--build-arg"]
    assert not [v for v in values if "ca.pem" in v or "c.toml" in v]


def test_the_package_is_exported_and_the_image_loaded(shell: Shell) -> None:
    show = 'echo "${OUTPUT[@]}"'
    package = shell.call("output_option", "package", "out", before=SETTINGS, after=show)
    assert package.out == "--output type=local,dest=out\n"
    image = shell.call("output_option", "runtime", "", before=SETTINGS + "IMAGE_TAG=t", after=show)
    assert image.out == "--load --tag t\n"


ARCHITECTURES = [
    ("x86_64", "", ""),
    ("x86_64", "x86_64-unknown-linux-gnu", ""),
    ("x86_64", "aarch64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"),
    ("arm64", "", "x86_64-unknown-linux-gnu"),
    ("arm64", "aarch64-unknown-linux-gnu", ""),
    ("x86_64", "x86_64-unknown-linux-musl", "x86_64-unknown-linux-musl"),
]


@pytest.mark.parametrize(("engine", "asked", "given"), ARCHITECTURES)
def test_lambdas_default_is_x86_64_wherever_it_is_built(
    shell: Shell, engine: str, asked: str, given: str
) -> None:
    before = f"ENGINE_ARCHITECTURE={engine}; TRIPLE={asked}"
    assert shell.call("choose_triple", before=before, after='echo "$TRIPLE"').out == f"{given}\n"


SOLVE = "ERROR: failed to solve: "
OLD = "ERROR: failed to solve: rpc error: code = Unknown desc = "
DAMAGED = [
    # seen on 20.10.24 after a layer's directory was removed
    OLD + "failed to solve with frontend dockerfile.v0: failed to read dockerfile: "
    "stat /var/lib/docker/overlay2/u4wzikbw43bvhibo1q6kutkvf: no such file or directory",
    SOLVE + "failed to compute cache key: blob not found",
    SOLVE + "failed to compute cache key: blob sha256:043e7f3dd05a not found",
    SOLVE + "snapshot  does not exist: not found",
    SOLVE + "failed to prepare sha256:ec9d as u464: parent snapshot sha256:ec9d does not exist: "
    "not found",
    SOLVE + "failed to load cache key: content digest sha256:97bac: not found",
    SOLVE
    + "failed to compute cache key: failed to get state for index 0 on [a 3/9] COPY --from=x /y",
    OLD + "failed to build LLB: failed to load cache: not found",
    OLD + "error committing 5yhg: invalid mutable ref 0xc002a652c0: invalid: executor failed "
    "running [/bin/sh -c x]: stat /d/overlay2/5yhg: no such file or directory",
]
SOUND = [
    SOLVE + 'failed to compute cache key: "/nope" not found: not found',
    SOLVE + "failed to compute cache key: failed to calculate checksum of ref a::b: "
    '"/nope": not found',
    SOLVE + "executor failed running [/bin/sh -c echo snapshot x does not exist]: exit code: 1",
    SOLVE + 'process "/bin/sh -c cat /d/overlay2/x: no such file or directory" did not complete '
    "successfully: exit code: 1",
    "#9 0.1 blob sha256:00 not found",
]


def judged(shell: Shell, function: str, line: str) -> bool:
    shell.write("log", f"#1 [internal] load\n#1 DONE 0.0s\n{line}\n")
    return shell.call(function, "log").status == 0


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_cache_is_told_from_buildx_words(shell: Shell, line: str) -> None:
    assert judged(shell, "is_damaged_cache", line)


@pytest.mark.parametrize("line", SOUND)
def test_other_failures_are_no_damaged_cache(shell: Shell, line: str) -> None:
    assert not judged(shell, "is_damaged_cache", line)


@pytest.mark.parametrize(
    "line",
    [
        '#9 0.6 error: failed to select a version for the requirement `serde = "^9"`',
        "#9 0.6 error: no matching package named `nope` found",
        "#9 0.6 error: failed to get `serde` as a dependency of package `x v0.1.0 (/src)`",
        "#9 0.6 error: failed to download from `https://index.crates.io/config.json`",
        "error: failed to verify the checksum of `serde v1.0.0`",
        "#9 1.2   failed to unpack package `serde v1.0.0`",
        "#9 1.2   Unable to update registry `crates-io`",
        "error: checksum for `serde v1.0.0` changed between lock files",
    ],
)
def test_a_failed_resolution_is_told_from_cargos_words(shell: Shell, line: str) -> None:
    assert judged(shell, "is_resolution_failure", line)


@pytest.mark.parametrize(
    "line",
    [
        "#9 0.6 error[E0425]: cannot find value `nope` in this scope",
        "#9 [build 1/1] RUN cargo build || echo error: failed to select a version for",
        'error: could not compile `x` (bin "x") due to 1 previous error',
    ],
)
def test_a_compile_error_is_no_failed_resolution(shell: Shell, line: str) -> None:
    assert not judged(shell, "is_resolution_failure", line)


BUILD = SETTINGS + (
    "LOG=log; BUILDX=(buildx); cache_id() { echo id; }; choose_context() { CONTEXT=ctx; }; "
    "mark_sync_begun() { :; }; mark_synced() { :; }; renew_cache_id() { echo renewed; }; "
    "keep_cache_id() { echo kept; }; restore_cache_id() { echo restored; }; "
)
RESOLUTION = "#9 0.6 error: failed to select a version for the requirement"


def builds(*outcomes: str) -> str:
    """Make run_child say one outcome after another and fail, then succeed; it logs its flags."""
    cases = "".join(
        f"{n}) printf '%s\\n' {outcome!r} >log; return 1 ;;"
        for n, outcome in enumerate(outcomes, 1)
    )
    return (
        "run_child() { [ -f n ] || echo 0 >n; local n=$(($(cat n) + 1)); echo $n >n; shift; "
        f'echo "${{*: -1}}" >>flags; case $n in {cases} esac; }}; '
    )


def test_a_good_build_runs_once(shell: Shell) -> None:
    assert shell.call("build_target", "package", "out", before=BUILD + builds()).status == 0
    assert (shell.project / "n").read_text() == "1\n"


def test_a_damaged_cache_is_built_without_once_and_said(shell: Shell) -> None:
    done = shell.call("build_target", "package", "out", before=BUILD + builds(DAMAGED[0]))
    assert done.status == 0
    assert "[WARNING] the build cache is damaged; building again without it" in done.err
    assert (shell.project / "flags").read_text().splitlines() == [
        "type=local,dest=out",
        "--no-cache",
    ]


def test_a_cache_that_stays_damaged_is_given_up(shell: Shell) -> None:
    before = BUILD + builds(DAMAGED[0], DAMAGED[0], DAMAGED[0])
    done = shell.call("build_target", "package", "out", before=before)
    assert done.status == 1
    assert (shell.project / "n").read_text() == "2\n"
    assert "the engine has lost parts of an image" in done.err


def test_a_dependency_cache_is_cleared_and_resolution_tried_once_more(shell: Shell) -> None:
    done = shell.call("build_target", "package", "out", before=BUILD + builds(RESOLUTION))
    assert (done.status, done.out) == (0, "renewed\nkept\n")
    assert "clearing the dependency cache and trying once more" in done.err


def test_a_dependency_cache_that_was_not_to_blame_is_kept(shell: Shell) -> None:
    before = BUILD + builds(RESOLUTION, RESOLUTION, RESOLUTION)
    done = shell.call("build_target", "package", "out", before=before)
    assert (done.status, done.out) == (1, "renewed\nrestored\n")
    assert (shell.project / "n").read_text() == "2\n"


def test_offline_nothing_is_cleared(shell: Shell) -> None:
    before = BUILD + builds(RESOLUTION)
    done = shell.call("build_target", "package", "out", before=before, LAYERPROOF_OFFLINE="1")
    assert (done.status, done.out) == (1, "")


@pytest.mark.parametrize("file", ["Cargo.lock", "Cargo.toml", "src/main.rs"])
def test_a_failed_build_changes_nothing_in_the_source(shell: Shell, file: str) -> None:
    """Old bug 3: any compile error deleted the lock file and resolved anew."""
    shell.cargo_project()
    path = shell.write(file, "as it was\n")
    error = "#9 0.6 error[E0425]: cannot find value"
    before = BUILD + builds(error, error)
    assert shell.call("build_target", "package", "out", before=before).status == 1
    assert path.read_text() == "as it was\n"
    assert (shell.project / "n").read_text() == "1\n"


@pytest.mark.parametrize(
    ("line", "error", "hint"),
    [
        (
            "#9 1.0   = note: the `aarch64-unknown-linux-gnu` target may not be installed",
            "the toolchain cannot compile for aarch64-unknown-linux-gnu",
            "rustup target add aarch64-unknown-linux-gnu",
        ),
        ("#9 1.0 write: No space left on device", "the disk is full", "docker builder prune"),
        (
            SOLVE + "rust:1: failed to resolve source metadata for docker.io/library/rust:1",
            "a base image could not be pulled",
            "make setup",
        ),
        (
            SOLVE + "network mode: could not find bridge docker0",
            "the engine's network bridge is missing",
            "LAYERPROOF_NETWORK=host",
        ),
        (
            "#9 1 error: the lock file /src/Cargo.lock needs to be updated but --locked was passed",
            "Cargo.lock does not fit Cargo.toml any more",
            "cargo update --workspace",
        ),
    ],
)
def test_a_known_reason_is_explained(shell: Shell, line: str, error: str, hint: str) -> None:
    shell.write("log", line + "\n")
    said = shell.call("explain_build_failure", "log", before=SETTINGS).err
    assert f"[ERROR] {error}" in said
    assert hint in said.split("hint:")[1]


def test_progress_is_shown_as_one_wants_to_read_it_and_kept_whole(shell: Shell) -> None:
    run = "#7 [build 1/2] RUN " + "x" * 200
    lines = [
        "#0 building with default",
        "#1 [internal] load build definition",
        "#1 DONE 0.0s",
        "",
        run,
        "#7 0.5 [WARNING] " + "y" * 200,
        "#7 ERROR: executor failed running [/bin/sh -c " + "z" * 200 + "]: exit code: 1",
        "------",
        " > [build 1/2] RUN",
        "0.5 again",
        "------",
        "ERROR: failed to solve: no",
    ]
    shell.write("in", "\n".join(lines) + "\n")
    done = shell.call("eval", "LOG=log; show_progress <in")
    assert done.err.splitlines() == [
        run[:99] + "…",
        lines[5],
        "#7 ERROR: executor failed running: exit code: 1",
        lines[-1],
    ]
    assert (shell.project / "log").read_text() == "\n".join(lines) + "\n"
