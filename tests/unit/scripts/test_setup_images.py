"""scripts/setup.sh images: base images are used, pulled, or made where no registry answers."""

from __future__ import annotations

from pathlib import Path

from tests.unit.scripts.shell_stubs import Answer, Shell
from tests.unit.scripts.test_setup import NO_IMAGE

DEFAULTS = ("rust:1.85-slim-bookworm", "amazon/aws-lambda-provided:al2023")
UNREACHABLE = (
    'Error response from daemon: Get "https://registry.example/v2/": dial tcp: '
    "lookup registry.example: no such host\n"
)


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
