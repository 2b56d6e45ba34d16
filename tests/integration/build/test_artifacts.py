"""What comes out: the package, the image, and that two cold builds give the same bytes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from tests.integration.build import cargo_projects as cargo
from tests.integration.build.conftest import Checkout

Open = Callable[..., AbstractContextManager[Checkout]]
TWO = {**cargo.simple(), "src/bin/other.rs": cargo.program("other", prints="one::value()")}


def files(directory: Path) -> dict[str, str]:
    """Return the digest of every file below a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_the_package_of_one_binary_is_that_binary_as_bootstrap(checkout: Open) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        _, package = project.export()
        assert set(files(package)) == {"bin/app", "bootstrap"}
        assert len(set(files(package).values())) == 1
        assert (package / "bootstrap").stat().st_mode & 0o777 == 0o755


def test_the_package_of_several_binaries_has_no_bootstrap_until_one_is_named(
    checkout: Open,
) -> None:
    with checkout(cargo.tree(TWO)) as project:
        _, package = project.export()
        assert set(files(package)) == {"bin/app", "bin/other"}
        seen, named = project.export(BIN="other")
        assert set(files(named)) == {"bin/other", "bootstrap"}
        assert project.answer(project.build(BIN="other")) == "other 3", seen.log


def test_a_failed_build_exports_nothing(checkout: Open) -> None:
    with checkout(cargo.tree({**cargo.simple(), "src/main.rs": "broken"})) as project:
        seen, package = project.export()
        assert not seen.succeeded
        assert not package.exists() or files(package) == {}


def test_two_cold_builds_give_the_same_bytes(checkout: Open) -> None:
    made = []
    for _ in range(2):
        with checkout(cargo.tree(cargo.simple())) as project:
            project.workspace.options = replace(project.workspace.options, no_cache=True)
            seen, package = project.export()
            assert len(seen.crates_compiled) == 4
            made.append(files(package))
    assert made[0] == made[1]


def test_the_image_adds_the_binary_alone_and_runs_it_as_nobody(checkout: Open) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        seen = project.build()
        assert seen.image_id is not None
        image = project.workspace.bench.engine.client.images.get(seen.image_id)
        config = image.attrs["Config"]
        assert config["User"] == "65534:65534"
        assert config["Entrypoint"] == ["/var/runtime/bootstrap"]
        assert not [word for word in config["Env"] or () if "CARGO" in word]
        with tarfile.open(fileobj=io.BytesIO(b"".join(image.save()))) as saved:
            layers = [m for m in saved.getmembers() if m.name.endswith("layer.tar")]
            blobs = layers or [m for m in saved.getmembers() if "blobs/sha256" in m.name]
            top = _top_layer(saved, blobs)
        added = {m.name: m for m in top if m.isfile()}
        assert set(added) == {"var/runtime/bootstrap"}
        assert added["var/runtime/bootstrap"].mode & 0o7777 == 0o755
        assert added["var/runtime/bootstrap"].uid == 0


def _top_layer(saved: tarfile.TarFile, blobs: list[tarfile.TarInfo]) -> list[tarfile.TarInfo]:
    """Return the entries of the layer that holds the bootstrap."""
    for blob in blobs:
        content = saved.extractfile(blob)
        if content is None:
            continue
        try:
            with tarfile.open(fileobj=io.BytesIO(content.read())) as layer:
                entries = layer.getmembers()
        except tarfile.ReadError:
            continue
        if any(entry.name == "var/runtime/bootstrap" for entry in entries):
            return entries
    raise AssertionError("no layer holds var/runtime/bootstrap")


def test_credentials_and_certificates_stay_out_of_every_layer(
    checkout: Open, tmp_path: Path
) -> None:
    mark = "layerproof-secret-5f0c1d"
    for name in ("ca", "cargo-credentials"):
        (tmp_path / name).write_text(f"# {mark}\n")
    paths = {name: str(tmp_path / name) for name in ("ca", "cargo-credentials")}
    with checkout(cargo.tree(cargo.simple())) as project:
        project.workspace.options = replace(project.workspace.options, secrets=paths)
        seen = project.build(target="build")
        assert seen.image_id is not None, seen.error
        found = project.workspace.run(
            seen.image_id,
            "sh",
            "-c",
            f"grep -rls {mark} /cargo /layerproof /result /src /target /tmp /run /etc; echo end",
        )
        assert found == "end\n"


def test_the_planner_keeps_nothing_but_manifests_and_stand_ins(checkout: Open) -> None:
    with checkout(cargo.tree(TWO)) as project:
        seen = project.build(target="planner")
        assert seen.image_id is not None, seen.error
        listed = project.workspace.run(
            seen.image_id,
            "sh",
            "-c",
            "cd /result/plan/src && find . -type f ! -path './vendor/*' | sort",
        )
        assert listed.split() == [
            "./.cargo/config.toml",
            "./Cargo.lock",
            "./Cargo.toml",
            "./src/lib.rs",
            "./src/main.rs",
        ]
