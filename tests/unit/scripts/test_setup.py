"""scripts/setup.sh and its libraries: look first, provide what is lacking, say what and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.scripts.shell_stubs import Answer, Shell

ABSENT = (
    "Cannot connect to the Docker daemon at unix:///nowhere/docker.sock. "
    "Is the docker daemon running?\n"
)
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at "
    "unix:///var/run/docker.sock\n"
)
NO_IMAGE = "Error response from daemon: No such image: rust:1.85-slim-bookworm\n"
BUILDX_13 = "github.com/docker/buildx v0.13.1 788433953af10f2a698f5c07611dddce2e08c7a0\n"
DEFAULTS = ("rust:1.85-slim-bookworm", "amazon/aws-lambda-provided:al2023")
OWN = 'name = "layerproof"\n'
UNREACHABLE = (
    'Error response from daemon: Get "https://registry.example/v2/": dial tcp: '
    "lookup registry.example: no such host\n"
)


def engine(err: str = NO_IMAGE, times: int | None = None) -> Answer:
    return Answer(when="image inspect --format image*", err=err, status=1, times=times)


def is_linux(shell: Shell, user: int = 0) -> None:
    shell.stub("uname", Answer(out="Linux\n"))
    shell.stub("id", Answer(when="-u", out=f"{user}\n"))


# ---- the entry point


def test_help_names_every_part(shell: Shell) -> None:
    done = shell.run("setup.sh", "--help")
    assert done.status == 0
    for part in (
        "python",
        "engine",
        "buildx",
        "images",
        "invoke",
        "newer-engine",
        "registry",
        "all",
    ):
        assert f"\n  {part} " in done.out
    assert "set -Eeuo" not in done.out


@pytest.mark.parametrize("word", ["rust", "--force", ""])
def test_an_unknown_word_is_refused(shell: Shell, word: str) -> None:
    done = shell.run("setup.sh", word)
    assert done.status == 2
    assert f"[ERROR] unknown part or option: {word}" in done.err


def test_check_tells_each_part_and_changes_nothing(shell: Shell) -> None:
    shell.stub("docker", Answer(when="buildx version", status=1), engine(times=1))
    done = shell.run("setup.sh", "--check", "engine", "buildx", "newer-engine")
    assert done.status == 3
    assert done.err == (
        "[SUCCESS] engine: there\n[WARNING] buildx: not there\n[WARNING] newer-engine: not there\n"
    )
    assert not (shell.root / "state").exists()


def test_engine_is_named_on_stdout(shell: Shell) -> None:
    shell.stub("flock", Answer(when="-n 8"))
    shell.stub("docker", engine())
    done = shell.run("setup.sh", "engine", DOCKER_HOST="unix:///some/where.sock")
    assert (done.status, done.out, done.err) == (0, "unix:///some/where.sock\n", "")


def test_the_endpoint_of_the_context_is_named(shell: Shell) -> None:
    shell.stub(
        "docker",
        engine(),
        Answer(when="context inspect --format {{.Endpoints.docker.Host}}", out="unix:///c.sock\n"),
    )
    done = shell.run("setup.sh", "engine")
    assert (done.status, done.out) == (0, "unix:///c.sock\n")


# ---- engine


def test_a_named_engine_that_is_dead_is_an_error(shell: Shell) -> None:
    shell.stub("docker", engine(ABSENT))
    done = shell.run("setup.sh", "engine", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.status == 3
    assert done.out == ""
    assert "no Docker engine is running at unix:///nowhere/docker.sock" in done.err


def test_a_context_of_the_users_counts_as_named(shell: Shell) -> None:
    shell.stub("docker", engine(ABSENT), Answer(when="context show", out="colima\n"))
    done = shell.run("setup.sh", "engine")
    assert done.status == 3
    assert "no Docker engine is running" in done.err


def test_no_permission_is_not_worked_around(shell: Shell) -> None:
    shell.stub("docker", engine(DENIED))
    done = shell.run("setup.sh", "engine")
    assert done.status == 3
    assert "no permission to use the Docker engine" in done.err


def test_without_root_the_way_out_is_named(shell: Shell) -> None:
    is_linux(shell, user=1000)
    shell.stub("docker", engine(ABSENT), Answer(when="context show", out="default\n"))
    done = shell.run("setup.sh", "engine")
    assert done.status == 3
    assert "no Docker engine is running" in done.err
    assert "as root on Linux" in done.err


def test_on_a_mac_without_docker_nothing_is_installed(shell: Shell) -> None:
    shell.stub("uname", Answer(out="Darwin\n"))
    done = shell.run("setup.sh", "engine")
    assert done.status == 3
    assert "install Docker Desktop, Colima or OrbStack" in done.err


def test_as_root_a_private_engine_is_started(shell: Shell) -> None:
    is_linux(shell)
    shell.stub("dockerd", Answer(times=0))
    shell.stub("docker", engine(ABSENT), Answer(when="context show", out="default\n"))
    shell.stub(
        "private-engine.sh", Answer(when="start main", out="unix:///private.sock\n", times=1)
    )
    done = shell.call(
        "provide_engine", before=f"SCRIPTS={shell.root}/stubs", after='echo "$DOCKER_HOST"'
    )
    assert (done.status, done.out) == (0, "unix:///private.sock\n"), done.err
    assert "no Docker engine answers; starting a private one" in done.err


def test_a_private_engine_named_by_the_user_is_started_again(shell: Shell) -> None:
    is_linux(shell)
    host = f"unix://{shell.root}/run/layerproof-{os.getuid()}/main.sock"
    shell.stub("dockerd", Answer(times=0))
    shell.stub("docker", engine(ABSENT))
    shell.stub("private-engine.sh", Answer(when="start main", out=f"{host}\n", times=1))
    done = shell.call("provide_engine", before=f"SCRIPTS={shell.root}/stubs", DOCKER_HOST=host)
    assert done.status == 0, done.err


def test_installing_docker_is_announced_before(shell: Shell) -> None:
    is_linux(shell)
    shell.stub(
        "apt-get", Answer(when="install -y -q --no-install-recommends docker.io", out="Unpacking\n")
    )
    done = shell.call("provide_client")
    assert done.status == 0
    why = "[INFO] installing docker.io with apt-get, to build in containers"
    assert done.err.index(why) < done.err.index("Unpacking")
    assert done.out == ""


def test_package_lists_are_fetched_where_they_are_too_old(shell: Shell) -> None:
    shell.stub("id", Answer(when="-u", out="0\n"))
    shell.stub(
        "apt-get",
        Answer(when="-qq update", does=": >updated", times=1),
        Answer(
            when="install *",
            does='[ -e updated ] || { echo "E: Unable to locate" >&2; exit 100; }',
            times=2,
        ),
    )
    assert shell.call("install_packages", "to test", "runc").status == 0


def test_installing_needs_root(shell: Shell) -> None:
    shell.stub("apt-get", Answer(times=0))
    shell.stub("id", Answer(when="-u", out="1000\n"))
    done = shell.call("install_packages to-test runc || echo status $?")
    assert done.out == "status 3\n"
    assert "sudo apt-get install runc" in done.err


# ---- buildx


def plugin(shell: Shell, version: str) -> Path:
    """Put a buildx plugin where docker would find it."""
    file = shell.root / "home" / ".docker" / "cli-plugins" / "docker-buildx"
    file.parent.mkdir(parents=True)
    file.write_text(f"#!/bin/sh\necho '{version}'\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    "version",
    [
        "github.com/docker/buildx v0.13.1 788433953af1",
        "github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3",
        "github.com/docker/buildx v0.24.0-desktop.2 bd3d1a9",
        "github.com/docker/buildx v1.0.0 x",
    ],
)
def test_buildx_that_is_there_is_left_as_it_is(shell: Shell, version: str) -> None:
    plugin(shell, version)
    done = shell.call("provide_buildx")
    assert (done.status, done.err) == (0, "")
    assert not (shell.root / "state").exists()


def test_buildx_is_unpacked_where_there_is_none(shell: Shell) -> None:
    shell.stub("docker", Answer(when="buildx version", status=1))
    shell.stub("apt-get", Answer(times=0))
    shell.stub("dpkg-deb", Answer(times=0))
    unpack = (
        "os_field() { case $1 in ID) echo debian ;; VERSION_ID) echo 12 ;; esac; }\n"
        'unpack_packages() { echo "$@" >unpacked; mkdir -p "$2/usr/libexec/docker/cli-plugins"; '
        f"printf '#!/bin/sh\\necho {BUILDX_13.strip()}\\n' >plugin; chmod +x plugin; "
        'mv plugin "$2/usr/libexec/docker/cli-plugins/docker-buildx"; }'
    )
    done = shell.call("provide_buildx", before=unpack, after='find_buildx; echo "${BUILDX[@]}"')
    assert done.status == 0, done.err
    state = shell.root / "state"
    assert (
        shell.project / "unpacked"
    ).read_text() == f"trixie {state}/tools/buildx docker-buildx\n"
    assert done.out == f"{state}/tools/docker-buildx\n"
    assert "[SUCCESS] buildx 0.13.1 unpacked" in done.err


def test_buildx_without_apt_says_what_to_install(shell: Shell) -> None:
    shell.stub("docker", Answer(when="buildx version", status=1))
    done = shell.call("provide_buildx || echo status $?")
    assert done.out == "status 3\n"
    assert "install the docker-buildx-plugin package" in done.err


def test_old_buildx_is_named(shell: Shell) -> None:
    plugin(shell, "github.com/docker/buildx v0.11.2 9872040")
    done = shell.call("provide_buildx || echo status $?")
    assert "buildx 0.11.2 is older than 0.13" in done.err
    assert done.out == "status 3\n"


@pytest.mark.parametrize("version", ["", "x", "0", "0.12.9", "0.x", "0.1"])
def test_versions_too_old(shell: Shell, version: str) -> None:
    assert shell.call(f"is_buildx_recent '{version}' || echo old").out == "old\n"


# ---- images


def inspected(*have: str) -> list[Answer]:
    """Answers of an engine that has these images and no others."""
    return [
        Answer(when=f"image inspect --format . {image}", out=".\n", times=None) for image in have
    ] + [Answer(when="image inspect --format *", err=NO_IMAGE, status=1)]


def archives(shell: Shell) -> list[Path]:
    """Return where the stand-ins lie when they are made."""
    told = shell.call("archive_of rust && archive_of runtime").out
    return [Path(line) for line in told.splitlines()]


def test_images_that_are_there_are_left(shell: Shell) -> None:
    shell.stub("docker", *inspected(*DEFAULTS)[:2])
    done = shell.call("ensure_base_images")
    assert (done.status, done.err) == (0, "")


def test_images_are_pulled(shell: Shell) -> None:
    pulls = [Answer(when=f"pull {i}", out=f"x: Pulling from {i}\n", times=1) for i in DEFAULTS]
    shell.stub("docker", *pulls, *inspected())
    done = shell.call("ensure_base_images")
    assert done.status == 0, done.err
    assert "pulling base images, which the engine lacks: rust runtime" in done.err


def test_only_the_image_that_lacks_is_pulled(shell: Shell) -> None:
    pull = Answer(when=f"pull {DEFAULTS[1]}", out="x: Pulling from y\n", times=1)
    shell.stub("docker", pull, *inspected(DEFAULTS[0]))
    assert shell.call("ensure_base_images").status == 0


def test_images_are_made_where_no_registry_answers(shell: Shell) -> None:
    rust, runtime = archives(shell)
    shell.stub(
        "docker",
        Answer(when=f"pull {DEFAULTS[0]}", err=UNREACHABLE, status=1, times=1),
        Answer(when=f"load --quiet --input {rust}", times=1),
        Answer(when=f"load --quiet --input {runtime}", times=1),
        *inspected(),
    )
    shell.stub("mmdebstrap", Answer(times=0))
    made = 'make_image() { mkdir -p "$(images_dir)"; : >"$(archive_of "$1")"; }'
    done = shell.call("ensure_base_images", before=made)
    assert done.status == 0, done.err
    assert f"cannot pull {DEFAULTS[0]}: {UNREACHABLE.strip()}" in done.err
    assert "making base images from Debian's packages" in done.err


def test_images_made_before_are_loaded_without_asking_a_registry(shell: Shell) -> None:
    for path in archives(shell):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    shell.stub("docker", Answer(when="load --quiet --input *", times=2), *inspected())
    assert shell.call("ensure_base_images").status == 0


def test_an_image_by_an_earlier_recipe_is_replaced(shell: Shell) -> None:
    rust, _runtime = archives(shell)
    rust.parent.mkdir(parents=True)
    rust.touch()
    shell.stub(
        "docker",
        Answer(when="image inspect --format *Labels* layerproof/rust:local", out="7\n"),
        Answer(when="image inspect --format {{.Id}} layerproof/rust:local", out="sha256:7\n"),
        Answer(when=f"load --quiet --input {rust}", times=1),
        Answer(when="image rm sha256:7", times=1),
        *inspected(DEFAULTS[1]),
    )
    done = shell.call("ensure_base_images")
    assert done.status == 0, done.err


def test_a_private_engine_forgets_an_image_by_an_earlier_recipe(shell: Shell) -> None:
    """It is not made anew yet; whoever needs it then finds that it is not there."""
    shell.stub(
        "docker",
        Answer(when="image inspect --format *Labels* layerproof/*", out="7\n", times=2),
        Answer(when="image rm layerproof/rust:local", times=1),
        Answer(when="image rm layerproof/runtime:local", times=1),
    )
    assert shell.call("load_made_images").status == 0


def test_a_new_archive_takes_the_place_of_the_earlier_one(shell: Shell) -> None:
    rust, runtime = archives(shell)
    rust.parent.mkdir(parents=True)
    for path in (rust.with_name("rust.tar"), rust.with_name("rust-7.tar"), runtime):
        path.touch()
    layer = 'for word; do case "$word" in */layer.tar) : >"$word" ;; esac; done'
    shell.stub("mmdebstrap", Answer(does=layer))
    shell.stub("dpkg", Answer(when="--print-architecture", out="amd64\n"))
    shell.stub("tar", Answer(does=': >"$4"'))
    shell.stub("setsid", Answer(does='exec "$@"', times=1))
    done = shell.call("make_image rust", before='write_sources() { mkdir "$2"; : >"$2/1.list"; }')
    assert done.status == 0, done.err
    assert set(rust.parent.iterdir()) == {rust, runtime}


def test_a_registry_that_hangs_is_given_up(shell: Shell) -> None:
    shell.stub("docker", Answer(when="pull slow", does="exec sleep 30"))
    done = shell.call("pull_image slow || echo failed", LAYERPROOF_PULL_SECONDS="1")
    assert done.out == "failed\n"
    assert "cannot pull slow" in done.err


def test_a_slow_pull_that_has_begun_is_waited_for(shell: Shell) -> None:
    shell.stub("docker", Answer(when="pull big", does="echo 'x: Pulling from big'; sleep 1.5"))
    assert shell.call("pull_image", "big", LAYERPROOF_PULL_SECONDS="1").status == 0


def test_offline_no_registry_is_asked(shell: Shell) -> None:
    assert shell.call("pull_images rust || echo none", LAYERPROOF_OFFLINE="1").out == "none\n"


def test_a_failed_image_leaves_nothing(shell: Shell) -> None:
    shell.stub("mmdebstrap", Answer(err="E: apt-get update failed\n", status=25, times=1))
    shell.stub("setsid", Answer(does='exec "$@"', times=1))
    done = shell.call(
        "make_image rust || echo status $?",
        before='write_sources() { mkdir "$2"; echo deb >"$2/1.list"; }',
    )
    assert done.out == "status 3\n"
    assert "E: apt-get update failed" in done.err
    assert list((shell.root / "state" / "images").iterdir()) == []


def test_an_unpacked_mmdebstrap_finds_its_helper_beside_it(shell: Shell) -> None:
    tools = shell.root / "state" / "tools" / "mmdebstrap" / "usr" / "bin"
    tools.mkdir(parents=True)
    for name, text in {
        "mmdebstrap": "#!/bin/sh\nmmtarfilter\n",
        "mmtarfilter": "#!/bin/sh\n",
    }.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    shell.stub("setsid", Answer(does='exec "$@"', times=1))
    sources = 'write_sources() { mkdir "$2"; echo deb >"$2/1.list"; }'
    done = shell.call(
        "make_image rust || echo status $?",
        before=f"{sources}; archive_image() {{ :; }}; mv() {{ :; }}",
    )
    assert done.out == "", done.err


# ---- Python


def test_a_python_too_old_is_not_taken(shell: Shell) -> None:
    shell.stub("python3", Answer(when="-c *", status=1, times=1))
    shell.stub("python3.12", Answer(when="-c *", times=1))
    assert shell.call("find_python").out == f"{shell.root}/stubs/python3.12\n"


def test_no_python_at_all(shell: Shell) -> None:
    shell.write("pyproject.toml", OWN)
    done = shell.call("provide_python || echo status $?", before=f"ROOT={shell.project}")
    assert done.out == "status 3\n"
    assert "there is no Python 3.11 or later" in done.err


def test_an_environment_of_the_users_stays(shell: Shell) -> None:
    shell.write("pyproject.toml", OWN)
    shell.write(".venv/bin/python", "#!/bin/sh\nexit 1\n")
    (shell.project / ".venv/bin/python").chmod(0o755)
    done = shell.call("provide_python || echo status $?", before=f"ROOT={shell.project}")
    assert done.out == "status 3\n"
    assert "a .venv that set-up did not make, and it lacks what the tests need" in done.err
    shell.write(".venv/bin/python", "#!/bin/sh\n[ 'pytest' ]\n")
    assert shell.call("provide_python", before=f"ROOT={shell.project}").status == 0


@pytest.mark.parametrize("part", ["python", "invoke"])
def test_in_another_projects_repository_no_environment_is_made(shell: Shell, part: str) -> None:
    """The scripts may be copied; what lies beside them then is somebody's own."""
    shell.write("pyproject.toml", 'name = "theirs"\n')
    shell.write(".venv/kept", "")
    done = shell.call(f"provide_{part} || echo status $?", before=f"ROOT={shell.project}")
    assert done.out == "status 3\n"
    assert [path.name for path in (shell.project / ".venv").iterdir()] == ["kept"]
    assert ("pip install cargo-lambda" in done.err) == (part == "invoke")


def test_the_environment_is_made_once_and_again_when_the_packages_change(shell: Shell) -> None:
    shell.write("pyproject.toml", OWN)
    made = (
        'printf \'#!/bin/sh\\necho pip "$@" >>"%s"\\n\' "$PWD/log" >"$4/bin/python"; '
        'chmod +x "$4/bin/python"'
    )
    shell.stub(
        "python3",
        Answer(when="-c *"),
        Answer(when="-m venv --clear *", does=f'mkdir -p "$4/bin"; {made}', times=2),
    )
    before = f"ROOT={shell.project}"
    assert shell.call("provide_python", before=before).status == 0
    again = shell.call("provide_python", before=before)
    assert (again.status, again.err) == (0, "")
    shell.write("pyproject.toml", f"{OWN}# more\n")
    assert shell.call("provide_python", before=before).status == 0
    log = (shell.project / "log").read_text().splitlines()
    assert (
        log
        == [f"pip -m pip install -q --disable-pip-version-check -e {shell.project}[dev,invoke]"] * 2
    )


# ---- a second engine version


def test_the_newer_engine_is_debians(shell: Shell) -> None:
    done = shell.call(
        "provide_newer_engine || echo status $?", before="os_field() { echo fedora; }"
    )
    assert done.out == "status 3\n"
    assert "--dockerd PATH" in done.err


# ---- a registry


def test_a_registry_is_unpacked_where_there_is_none_and_once(shell: Shell) -> None:
    shell.stub("apt-get", Answer(times=0))
    shell.stub("dpkg-deb", Answer(times=0))
    unpack = (
        "os_field() { echo bookworm; }\n"
        'unpack_packages() { echo "$@" >>unpacked; mkdir -p "$2/usr/bin"; '
        ': >"$2/usr/bin/docker-registry"; chmod +x "$2/usr/bin/docker-registry"; }'
    )
    done = shell.call("provide_registry && provide_registry", before=unpack)
    assert done.status == 0, done.err
    state = shell.root / "state"
    asked = f"bookworm {state}/tools/registry docker-registry\n"
    assert (shell.project / "unpacked").read_text() == asked
    assert done.err.endswith("[SUCCESS] registry unpacked\n")


def test_a_registry_that_is_installed_is_taken(shell: Shell) -> None:
    shell.stub("docker-registry", Answer(times=0))
    done = shell.call("provide_registry")
    assert (done.status, done.err) == (0, "")


def test_a_registry_without_apt_says_what_to_install(shell: Shell) -> None:
    done = shell.call("provide_registry || echo status $?")
    assert done.out == "status 3\n"
    assert "install the package docker-registry" in done.err
