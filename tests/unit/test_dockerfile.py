"""What the parser makes of a Dockerfile, and what it says of one that the engine would refuse.

The corpora under `fixtures/dockerfiles` are also fed to a real engine, in `tests/integration`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import dockerfile
from harness.errors import DockerfileSyntaxError
from harness.model import Dockerfile, Flag, Heredoc, Instruction, Mount
from harness.parsing import instructions

CORPORA = Path(__file__).parents[2] / "fixtures" / "dockerfiles"
ACCEPTED = sorted((CORPORA / "accepted").glob("*.Dockerfile"))
REJECTED = {
    "add-without-destination": (2, "ADD with 1 argument(s)"),
    "arg-blank-name": (2, "ARG: blank name in '=x'"),
    "arg-without-name": (2, "ARG has no argument"),
    "base-by-forward-copy-index": (2, "COPY from stage 3, of 1"),
    "boolean-flag-with-word": (2, "--link=perhaps of COPY"),
    "chained-onbuild": (3, "'ONBUILD' cannot be an ONBUILD trigger"),
    "copy-from-itself": (2, "COPY from 'a', which is not defined before it"),
    "copy-from-variable": (4, "variables are not expanded in --from"),
    "copy-heredoc-as-destination": (2, "COPY to a here-document"),
    "copy-without-destination": (2, "COPY with 1 argument(s)"),
    "copy-open-quote": (2, "a double quote is not closed"),
    "empty": (1, "the Dockerfile holds no instruction"),
    "env-bad-substitution": (2, "unsupported modifier"),
    "env-missing-equals": (2, "ENV: no '=' in 'B'"),
    "env-without-value": (2, "ENV PATH has no value"),
    "escape-directive-invalid": (1, "escape directive with '|'"),
    "escape-directive-twice": (2, "the escape directive stands twice"),
    "flag-given-twice": (2, "--from is given twice"),
    "flag-unknown": (2, "unknown flag --form of COPY"),
    "flag-without-value": (2, "--chown of COPY has no value"),
    "from-three-words": (1, "FROM with 2 arguments"),
    "from-without-image": (1, "FROM has no argument"),
    "from-wrong-as": (1, "FROM with 3 arguments"),
    "healthcheck-negative-retries": (2, "--retries=-1"),
    "healthcheck-none-with-argument": (2, "HEALTHCHECK NONE with an argument"),
    "healthcheck-unknown-type": (2, "HEALTHCHECK PING"),
    "healthcheck-without-command": (2, "HEALTHCHECK CMD without a command"),
    "healthcheck-wrong-duration": (2, "--interval=soon"),
    "instruction-before-from": (2, "RUN before the first FROM"),
    "instruction-misspelt": (4, "unknown instruction 'COPPY'"),
    "json-of-numbers": (2, "CMD: the array holds something other than strings"),
    "mount-bad-boolean": (2, "readonly=maybe of a mount"),
    "mount-bad-mode": (2, "mode=999 of a mount"),
    "mount-field-without-value": (2, "field 'target' of a mount has no value"),
    "mount-from-variable": (3, "from=$S of a mount holds a variable"),
    "mount-secret-names-nothing": (2, "a secret mount names nothing"),
    "mount-sharing-on-bind": (2, "sharing is not allowed for a bind mount"),
    "mount-unknown-key": (2, "unknown key 'path' in mount field 'path=/x'"),
    "mount-unknown-sharing": (2, "sharing=mine of a mount"),
    "mount-unknown-type": (2, "unsupported mount type 'volume'"),
    "network-unknown": (2, "--network=bridge"),
    "onbuild-from": (2, "'FROM' cannot be an ONBUILD trigger"),
    "only-args": (1, "the Dockerfile has no FROM"),
    "only-comments": (1, "the Dockerfile holds no instruction"),
    "shell-not-exec-form": (2, "SHELL is not in exec form"),
    "stage-name-with-digit-first": (1, "invalid stage name '1st'"),
    "stage-name-with-symbol": (1, "invalid stage name 'a/b'"),
    "unterminated-heredoc": (2, "here-document 'EOF' is not terminated"),
    "unterminated-second-heredoc": (2, "here-document 'B' is not terminated"),
    "user-without-name": (2, "USER has no argument"),
    "volume-empty-path": (2, "VOLUME names an empty path"),
    "workdir-without-path": (2, "WORKDIR has no argument"),
}
"""Where each rejected Dockerfile is wrong, and a part of what is said about it."""


def _accepted(name: str) -> Dockerfile:
    return dockerfile.load(CORPORA / "accepted" / f"{name}.Dockerfile")


def _only(text: str) -> Instruction:
    (instruction,) = dockerfile.parse(f"FROM scratch\n{text}\n").stages[0].instructions
    return instruction


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda p: p.stem)
def test_the_accepted_corpus_parses_with_lines_in_order(path: Path) -> None:
    parsed = dockerfile.load(path)
    everything = [i for stage in parsed.stages for i in stage.instructions]
    lines = [line for each in everything for line in (each.line, each.end_line)]
    assert lines == sorted(lines)
    assert lines[-1:] <= [len(parsed.text.splitlines())]


def test_every_rejected_dockerfile_is_listed() -> None:
    assert {p.stem for p in (CORPORA / "rejected").iterdir()} == set(REJECTED)


@pytest.mark.parametrize("name", sorted(REJECTED))
def test_the_rejected_corpus_is_refused_with_its_line(name: str) -> None:
    line, part = REJECTED[name]
    path = CORPORA / "rejected" / f"{name}.Dockerfile"
    with pytest.raises(DockerfileSyntaxError) as caught:
        dockerfile.load(path)
    assert (caught.value.line, caught.value.exit_code) == (line, 2)
    assert part in caught.value.message
    assert caught.value.where == f"{path}:{line}"


def test_a_syntax_error_reads_as_a_whole() -> None:
    with pytest.raises(DockerfileSyntaxError) as caught:
        dockerfile.parse("FROM scratch\nCOPPY a b\n", path="x/Dockerfile")
    assert caught.value.render() == (
        "error: unknown instruction 'COPPY'\n  --> x/Dockerfile:2\n  expected COPY, perhaps"
    )


def test_stages_know_base_name_platform_and_line() -> None:
    parsed = _accepted("platform-and-names")
    assert [(s.index, s.name, s.base, s.platform, s.line) for s in parsed.stages] == [
        (0, "build-1.x_y", "scratch", "$BUILDPLATFORM", 1),
        (1, "other", "scratch", "linux/amd64", 2),
        (2, None, "other", None, 3),
    ]
    assert parsed.stage("OTHER") is parsed.stages[1]


def test_args_before_the_first_from_are_global() -> None:
    parsed = _accepted("arg-forms")
    assert [instructions.assignments(a, escape="\\") for a in parsed.global_args] == [
        (("BASE", "scratch"), ("EMPTY", ""), ("BARE", None)),
        (("QUOTED", '"two words"'),),
    ]


def test_a_continuation_drops_comments_and_blank_lines_and_keeps_its_blanks() -> None:
    (env,) = _accepted("comments-inside-continuation").stages[0].instructions
    assert (env.value, env.line, env.end_line) == ("A=1     B=2", 2, 5)
    first, second = _accepted("blank-lines-inside-continuation").stages[0].instructions
    assert (first.end_line, second.line) == (6, 7)


def test_a_doubled_escape_does_not_continue_the_line() -> None:
    first, second = _accepted("doubled-escape-at-line-end").stages[0].instructions
    assert (first.value, second.value) == ("a=b\\\\", "c=d")


def test_directives_count_only_before_anything_else() -> None:
    assert _accepted("check-before-escape").escape == "`"
    assert _accepted("directive-after-comment-is-a-comment").escape == "\\"
    parsed = dockerfile.parse("# syntax=docker/dockerfile:1\nFROM scratch\n")
    assert parsed.syntax == "docker/dockerfile:1"


def test_byte_order_mark_and_carriage_returns_leave_no_trace() -> None:
    parsed = _accepted("byte-order-mark-and-crlf")
    assert parsed.stages[0].instructions[0].value == "a=1       b=2"
    assert [stage.line for stage in parsed.stages] == [2, 5]


def test_a_heredoc_hides_what_it_holds() -> None:
    parsed = _accepted("heredoc-holds-instructions")
    assert [stage.name for stage in parsed.stages] == ["one", "two"]
    assert parsed.declarations == ()
    (run,) = parsed.stages[0].instructions
    assert (run.value, run.line, run.end_line) == ("<<EOF", 2, 6)
    assert run.heredocs[0].content.startswith("FROM not-a-stage\n")


def test_heredocs_know_chomping_quoting_and_order() -> None:
    copy, quoted = _accepted("heredoc-chomp-and-quotes").stages[0].instructions
    assert copy.heredocs == (
        Heredoc("EOF", "\ttabbed $HOME\n", expand=True, chomp=True),
        Heredoc("RAW", "\tkept $HOME\n", expand=False),
    )
    assert quoted.heredocs == (Heredoc("a b", "body\n", expand=False),)
    transfer = instructions.transfer_of(copy)
    assert (transfer.sources, transfer.inline, transfer.destination) == (
        (),
        copy.heredocs,
        "/files/",
    )


def test_several_heredocs_feed_one_command() -> None:
    run, label = _accepted("heredoc-to-a-command").stages[0].instructions
    assert [(h.name, h.content) for h in run.heredocs] == [("ONE", "one\n"), ("TWO", "two\n")]
    assert run.flags == (Flag("network", "none"),)
    assert (run.value, label.line) == ("cat <<ONE - 3<<TWO &&     true", 8)


def test_the_exec_form_is_recognised_and_a_broken_one_is_shell_form() -> None:
    _, run, cmd, entrypoint, volume, plain, broken, empty = (
        _accepted("exec-forms").stages[0].instructions
    )
    assert run.words == ("/bin/true", "a\tb")
    assert (cmd.words, entrypoint.words, volume.words) == (("a", "b"), ("/app",), ("/data",))
    assert (plain.words, broken.words, empty.words) == (None, None, ())
    health = _accepted("healthcheck").stages[0].instructions
    assert [h.words for h in health] == [None, ("/app", "health"), None]


def test_flags_lose_their_quotes_and_end_at_two_dashes() -> None:
    copy, mount, dashes = _accepted("flags-with-quotes").stages[0].instructions
    assert copy.flags == (Flag("from", "scratch"), Flag("chmod", "0755"))
    assert mount.flag("mount") == "type=cache,target=/a b"
    assert (dashes.flags, dashes.value) == ((), "--not-a-flag")


def test_mounts_are_typed() -> None:
    (run,) = _accepted("mounts").stages[1].instructions
    assert instructions.mounts_of(run) == (
        Mount(
            "cache",
            target="/root/.cargo",
            id="registry",
            sharing="locked",
            mode=0o700,
            uid=1000,
            gid=1000,
        ),
        Mount("bind", target="/src", source="src"),
        Mount("bind", target="/deps", from_stage="deps", read_only=True),
        Mount("tmpfs", target="/scratch", size="64m"),
        Mount("secret", id="ca", required=True, mode=0o400, read_only=True),
        Mount("ssh", read_only=True),
        Mount("bind", target="/ctx"),
    )


def test_mount_values_are_expanded_on_request() -> None:
    run = _only("RUN --mount=type=$KIND,target=/$T,sharing=${S} true")
    values = {"$KIND": "cache", "/$T": "/x", "${S}": "private"}
    assert instructions.mounts_of(run, values.__getitem__) == (
        Mount("cache", target="/x", sharing="private"),
    )


def test_sources_of_a_copy_are_taken_apart() -> None:
    copies = _accepted("copy-forms").stages[1].instructions
    transfers = [instructions.transfer_of(copy) for copy in copies]
    assert transfers[1].sources == ("with space",)
    assert transfers[1].destination == "/dst dir/"
    assert copies[0].flag("chmod") == "0644"
    assert transfers[3].sources == ("https://example.invalid/x.tar.gz",)


def test_the_old_form_of_env_takes_the_rest_of_the_line() -> None:
    old, new, _ = _accepted("env-old-form").stages[0].instructions
    assert instructions.assignments(old, escape="\\") == (("A", "one two   three"),)
    assert instructions.assignments(new, escape="\\") == (
        ("B", "1"),
        ("C", '"2 2"'),
        ("D", "'3'"),
        ("E", "a\\ b"),
    )


def test_a_trigger_is_an_instruction_of_its_own() -> None:
    _, heredoc, mount = _accepted("onbuild").stages[0].instructions
    trigger = dockerfile.trigger_of(heredoc, escape="\\")
    assert (trigger.keyword, trigger.heredocs[0].content) == ("RUN", "echo built\n")
    assert dockerfile.trigger_of(mount, escape="\\").flag("mount") == "type=cache,target=/c"


def test_bytes_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_bytes(b"FROM scratch\n# caf\xe9\nLABEL a=caf\xe9\n")
    value = dockerfile.load(path).stages[0].instructions[0].value
    assert value.encode(errors="surrogateescape") == b"a=caf\xe9"


DECLARED = """\
FROM scratch AS one
# layerproof: depends-on Cargo.toml "with space" @cargo-path-dependencies $PROFILE

# The planner.
# layerproof: depends-on **/Cargo.toml
FROM scratch AS two
RUN true \\
  # layerproof: depends-on src
  && true
"""


def test_declarations_know_their_stage_patterns_and_arguments() -> None:
    found = dockerfile.parse(DECLARED).declarations
    assert [(d.stage, d.patterns, d.arguments, d.line) for d in found] == [
        (0, ("Cargo.toml", "with space", "@cargo-path-dependencies"), ("PROFILE",), 2),
        (1, ("**/Cargo.toml",), (), 5),
        (1, ("src",), (), 8),
    ]


@pytest.mark.parametrize(
    ("comment", "part"),
    [
        ("layerproof: depends-on", "depends-on"),
        ("layerproof: depend-on x", "depend-on"),
        ("layerproof:", "layerproof:"),
        ("layerproof: depends-on 'x", "No closing quotation"),
    ],
)
def test_a_malformed_declaration_is_an_error_with_its_line(comment: str, part: str) -> None:
    with pytest.raises(DockerfileSyntaxError) as caught:
        dockerfile.parse(f"FROM scratch\n\n# {comment}\n")
    assert caught.value.line == 3
    assert part in caught.value.message


def test_a_declaration_before_any_stage_is_an_error() -> None:
    with pytest.raises(DockerfileSyntaxError, match="before the first stage"):
        dockerfile.parse("# layerproof: depends-on x\n\nARG A\nFROM scratch\n")


# --- What is rendered is what is read ------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "build", "deps"])
LINES = st.one_of(
    st.builds("RUN {}".format, st.sampled_from(["true", "echo 'a  b' && x", "cat <x"])),
    st.builds("COPY {} /{}/".format, NAMES, NAMES),
    st.builds("ENV {}={}".format, NAMES, st.sampled_from(["1", '"x y"', "a\\ b"])),
    st.builds("ARG {}".format, NAMES),
    st.builds("RUN <<E\n{}\nE".format, st.sampled_from(["FROM x", "# c", "", "COPY \\"])),
    st.just('CMD ["a", "b"]'),
)
GAPS = st.sampled_from(["", "\n", "# comment\n", "  # indented\n\n", " \t\n"])


@given(st.lists(st.tuples(NAMES, st.lists(st.tuples(LINES, GAPS), max_size=5)), min_size=1))
def test_rendered_instructions_are_found_at_their_lines(
    stages: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    """Comments and blank lines between instructions change nothing but line numbers."""
    text = ""
    expected: list[tuple[str, int]] = []
    for name, body in stages:
        text += f"FROM scratch AS {name}\n"
        for line, gap in body:
            expected.append((line.split("\n")[0], text.count("\n") + 1))
            text += f"{line}\n{gap}"
    parsed = dockerfile.parse(text)
    assert [stage.name for stage in parsed.stages] == [name for name, _ in stages]
    found = [i for stage in parsed.stages for i in stage.instructions]
    assert [(f"{i.keyword} {i.value}", i.line) for i in found] == expected


@given(st.lists(st.sampled_from(["A=1", "--x=y", "B='2 2'", "C", '"d e"']), min_size=2, max_size=4))
def test_breaking_a_line_changes_only_the_blanks_and_the_lines(words: list[str]) -> None:
    whole = _only("RUN echo " + " ".join(words))
    broken = _only("RUN echo " + " \\\n # c\n\n".join(words))
    assert broken.value.split() == whole.value.split()
    assert (whole.end_line, broken.end_line) == (2, 2 + 3 * (len(words) - 1))


@given(st.text(alphabet="FROMscratchRUN\\\n<>EA#=`\"'[]$ {}", max_size=60))
def test_any_text_parses_or_is_refused_at_one_of_its_lines(text: str) -> None:
    prefix = "FROM scratch\n"
    try:
        lines = [s.line for s in dockerfile.parse(prefix + text).stages]
    except DockerfileSyntaxError as error:
        lines = [error.line]
    assert set(lines) <= set(range(1, (prefix + text).count("\n") + 2))
