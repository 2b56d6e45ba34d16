"""scripts/lib/apt.sh: sources for another release from the configured ones, packages unpacked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.scripts.shell_stubs import Answer, Shell

DEBIAN = """# made by the installer
Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
DEBIAN_TRIXIE = """URIs: http://mirror.example/debian
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
Types: deb
Suites: trixie
Components: main

URIs: http://mirror.example/debian-security
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
Types: deb
Suites: trixie-security
Components: main

"""


def on(
    shell: Shell, codename: str = "bookworm", system: str = "debian", version: str = "12"
) -> str:
    """Shell code that makes the libraries see this release and the test's own apt folder."""
    shell.stub("apt-get", Answer(when="", times=0))
    fields = (
        f"ID) echo {system} ;; VERSION_CODENAME) echo {codename} ;; VERSION_ID) echo {version} ;;"
    )
    return (
        f'os_field() {{ case "$1" in {fields} esac; }}; apt_etc() {{ echo {shell.project}/apt; }}'
    )


def rewritten(shell: Shell, function: str, text: str) -> str:
    source = shell.write("source", text)
    done = shell.call(function, "bookworm", "trixie", before=f"exec <{source}")
    assert done.status == 0, done.err
    return done.out


def test_stanzas_of_the_release_become_those_of_the_other(shell: Shell) -> None:
    assert rewritten(shell, "rewrite_deb822", DEBIAN) == DEBIAN_TRIXIE


@pytest.mark.parametrize(
    "change",
    [
        ("Types: deb deb-src", "Types: deb-src"),
        ("Components: main contrib", "Components: stable"),
        ("Suites: bookworm bookworm-updates", "Suites: nodistro"),
        ("Suites: bookworm bookworm-updates", "Suites: bookworm-backports"),
        ("URIs:", "Enabled: no\nURIs:"),
    ],
)
def test_stanzas_of_others_are_left_out(shell: Shell, change: tuple[str, str]) -> None:
    text = DEBIAN.split("\n\n", maxsplit=1)[0].replace(*change) + "\n"
    assert rewritten(shell, "rewrite_deb822", text) == ""


def test_suites_may_stand_on_lines_of_their_own(shell: Shell) -> None:
    text = (
        "Types: deb\nURIs: http://m.example\n"
        "Suites:\n bookworm\n bookworm-security\nComponents: main\n"
    )
    assert "Suites: trixie trixie-security\n" in rewritten(shell, "rewrite_deb822", text)


def test_a_release_called_stable_is_followed(shell: Shell) -> None:
    text = DEBIAN.replace("bookworm", "stable")
    assert rewritten(shell, "rewrite_deb822", text) == DEBIAN_TRIXIE


def test_lines_keep_their_options(shell: Shell) -> None:
    text = (
        "# deb http://off.example bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb\thttp://mirror.example/security  bookworm-security   main\n"
        "deb https://docker.example/linux/debian bookworm stable\n"
        "deb http://mirror.example/debian bookworm-updates main\n"
    )
    assert rewritten(shell, "rewrite_one_line", text) == (
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian trixie main\n"
        "deb http://mirror.example/security trixie-security main\n"
    )


def test_files_of_both_forms_are_read_and_empty_results_dropped(shell: Shell) -> None:
    before = on(shell)
    shell.write("apt/sources.list", "deb http://m.example/debian bookworm main\n")
    shell.write("apt/sources.list.d/debian.sources", DEBIAN)
    shell.write("apt/sources.list.d/other.list", "deb http://o.example nodistro main\n")
    shell.write("apt/sources.list.d/other.sources.disabled", DEBIAN)
    done = shell.call("write_sources", "trixie", "out", before=before)
    assert done.status == 0, done.err
    made = {path.name: path.read_text() for path in (shell.project / "out").iterdir()}
    assert made == {
        "1.list": "deb http://m.example/debian trixie main\n",
        "3.sources": DEBIAN_TRIXIE,
    }


def test_no_source_of_debian_is_an_error_that_says_so(shell: Shell) -> None:
    before = on(shell)
    shell.write("apt/sources.list", "deb http://o.example nodistro main\n")
    done = shell.call("write_sources trixie out || echo status $?", before=before)
    assert done.out == "status 3\n"
    assert "apt has no source of Debian bookworm's main component" in done.err


def test_ubuntu_reads_its_own_release_as_it_is_configured(shell: Shell) -> None:
    before = on(shell, codename="noble", system="ubuntu")
    text = "Types: deb\nURIs: http://u.example\nSuites: noble\nComponents: main universe\n"
    shell.write("apt/sources.list.d/ubuntu.sources", text)
    assert shell.call("write_sources", "noble", "out", before=before).status == 0
    assert [path.read_text() for path in (shell.project / "out").iterdir()] == [text]


def test_packages_are_unpacked_in_place_of_what_was_there(shell: Shell) -> None:
    before = on(shell)
    shell.write("apt/sources.list", "deb http://m.example/debian bookworm main\n")
    shell.write("tree/old", "old")
    shell.stub(
        "apt-get",
        Answer(when="-qq * update", times=1),
        Answer(when="-qq * download one two", does=": >one_1.deb; : >two_1.deb", times=1),
    )
    shell.stub(
        "dpkg-deb", Answer(when="-x */debs/*.deb */tree", does='mkdir -p "$3"; : >"$3/${2##*/}"')
    )
    done = shell.call(
        "unpack_packages", "trixie", f"{shell.project}/tree", "one", "two", before=before
    )
    assert done.status == 0, done.err
    assert sorted(path.name for path in (shell.project / "tree").iterdir()) == [
        "one_1.deb",
        "two_1.deb",
    ]
    assert sorted(path.name for path in shell.project.iterdir()) == ["apt", "tree"]


def test_apt_keeps_to_its_own_directories(shell: Shell) -> None:
    shell.stub("apt-get", Answer(when="*", times=1))
    work = f"{shell.project}/apt"
    assert shell.call("private_apt", work, "update").status == 0
    (call,) = shell.calls("apt-get")
    for setting in (
        "Dir::Etc::sourcelist=/dev/null",
        f"Dir::Etc::sourceparts={work}/sources",
        f"Dir::State::lists={work}/lists",
        f"Dir::Cache={work}/cache",
    ):
        assert call[call.index(setting) - 1] == "-o"
    assert "#clear APT::Update::Post-Invoke;" in Path(call[call.index("-c") + 1]).read_text()


def test_what_cannot_be_fetched_leaves_the_old_tree(shell: Shell) -> None:
    before = on(shell)
    shell.write("apt/sources.list", "deb http://m.example/debian bookworm main\n")
    shell.write("tree/old", "old")
    shell.stub(
        "apt-get",
        Answer(when="* update"),
        Answer(when="* download one", err="E: Unable to locate package one\n", status=100),
    )
    done = shell.call(
        f'unpack_packages trixie "{shell.project}/tree" one || echo status $?', before=before
    )
    assert done.out == "status 3\n"
    assert "cannot fetch one from Debian trixie" in done.err
    assert "Unable to locate package one" in done.err
    assert (shell.project / "tree" / "old").exists()
    assert sorted(path.name for path in shell.project.iterdir()) == ["apt", "tree"]


def test_mmdebstrap_of_the_system_is_used(shell: Shell) -> None:
    shell.stub("mmdebstrap", Answer(times=0))
    done = shell.call("ensure_mmdebstrap", after="mmdebstrap_command")
    assert done.out == f"{shell.root}/stubs/mmdebstrap\n"


def test_without_debian_packages_the_way_out_is_named(shell: Shell) -> None:
    before = on(shell, codename="noble", system="ubuntu")
    done = shell.call("ensure_mmdebstrap || echo status $?", before=before)
    assert done.out == "status 3\n"
    assert "only Debian has the packages" in done.err
    assert "docker save" in done.err
