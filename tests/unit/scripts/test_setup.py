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
OWN = 'name = "layerproof"\n'


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
