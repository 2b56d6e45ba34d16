"""What enters a vertex' key: one claim a test, each of them seen on BuildKit 0.8 and 0.13."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from harness import dockerfile
from harness.cache import predict, predict_placed, vertices
from harness.keys.context import of_tree
from harness.keys.evaluate import BuildState
from harness.keys.plan import ImageFacts
from harness.keys.quirks import Quirks, Rules
from harness.model import BuildOptions, Directory, Entry, File, Link, Outcome

TREE: Mapping[str, Entry] = {
    "Cargo.toml": File(b"[package]"),
    "src/main.rs": File(b"fn main() {}"),
    "src/deep/lib.rs": File(b"//"),
    "notes.txt": File(b"n"),
    "empty": Directory(),
    "link": Link("src"),
}


def state(text: str, options: BuildOptions | None = None, **changes: Entry | None) -> BuildState:
    tree = {**TREE, **{path.replace("__", "/"): entry for path, entry in changes.items()}}
    kept = {path: entry for path, entry in tree.items() if entry is not None}
    return BuildState(dockerfile.parse(text), of_tree(kept), options or BuildOptions())


def on(text: str, changes: Mapping[str, Entry | None]) -> BuildState:
    kept = {path: entry for path, entry in {**TREE, **changes}.items() if entry is not None}
    return BuildState(dockerfile.parse(text), of_tree(kept))


def fates(before: BuildState, after: BuildState, rules: Rules | None = None) -> str:
    """Return a letter a vertex: c cached, e executed, u unknown."""
    prediction = predict([before], after, rules=rules or Rules())
    return "".join(vertex.prediction.value[0] for vertex in prediction.vertices)


def args(**values: str) -> BuildOptions:
    return BuildOptions(build_args=values)


@pytest.mark.parametrize(
    ("copy", "changes", "fate"),
    [
        ("COPY src /s", {}, "c"),
        ("COPY src /s", {"src/main.rs": File(b"other")}, "e"),
        ("COPY src /s", {"src/main.rs": File(b"fn main() {}", 0o755)}, "e"),
        ("COPY src /s", {"src/new.rs": File(b"")}, "e"),
        ("COPY src /s", {"src/deep/lib.rs": None, "src/deep/bib.rs": File(b"//")}, "e"),
        ("COPY src /s", {"notes.txt": File(b"other")}, "c"),
        ("COPY *.txt /t/", {"notes.txt": None, "votes.txt": File(b"n")}, "e"),
        ("COPY *.txt /t/", {"other.md": File(b"n")}, "c"),
        ("COPY link /l", {"src/main.rs": File(b"other")}, "e"),
        ("COPY link/deep /l", {"src/main.rs": File(b"other")}, "c"),
        ("COPY link/deep /l", {"src/deep/lib.rs": File(b"other")}, "e"),
        ("COPY empty /e", {"empty/sub": Directory()}, "e"),
        ("COPY . /all", {"notes.txt": File(b"other")}, "e"),
        ("COPY . /all", {"link": Link("notes.txt")}, "e"),
        ("COPY --chmod=600 notes.txt /n", {"notes.txt": File(b"n", 0o755)}, "e"),
        ("RUN --mount=type=bind,target=/m,source=src ls", {"notes.txt": File(b"o")}, "c"),
        ("RUN --mount=type=bind,target=/m,source=src ls", {"src/main.rs": File(b"o")}, "e"),
        ("RUN --mount=type=bind,target=/m,rw ls", {"notes.txt": File(b"o")}, "e"),
        ("RUN --mount=type=cache,target=/m ls", {"notes.txt": File(b"o")}, "c"),
    ],
)
def test_content_counts_where_it_is_selected(
    copy: str, changes: Mapping[str, Entry | None], fate: str
) -> None:
    text = f"FROM base\n{copy}\n"
    assert fates(on(text, {}), on(text, changes)) == f"c{fate}"


def test_an_argument_counts_from_its_line_on_used_or_not() -> None:
    text = "FROM base\nRUN one\nARG TAG=1\nRUN two\nCOPY notes.txt /\nRUN three\n"
    assert fates(state(text), state(text, args(TAG="2"))) == "cceee"


def test_a_copy_takes_no_notice_of_an_argument_it_does_not_expand() -> None:
    text = "FROM base\nARG TAG=1\nCOPY notes.txt /\n"
    assert fates(state(text), state(text, args(TAG="2"))) == "cc"


def test_a_global_argument_counts_only_where_it_is_declared_again() -> None:
    text = "ARG TAG=1\nFROM base\nRUN one\nARG TAG\nRUN two\n"
    assert fates(state(text), state(text, args(TAG="2"))) == "cce"


def test_the_order_of_the_environment_counts() -> None:
    one = "FROM base\nENV A=1 B=2\nRUN x\n"
    assert fates(state(one), state(one.replace("A=1 B=2", "B=2 A=1"))) == "ce"


def test_labels_and_commands_have_no_vertex() -> None:
    text = "FROM base\nRUN x\n"
    assert fates(state(text), state(f"{text}LABEL a=b\nCMD y\nEXPOSE 80\n")) == "cc"


def test_what_the_target_does_not_reach_is_not_built() -> None:
    text = "FROM base AS one\nRUN x\nFROM base AS two\nRUN y\n"
    assert len(vertices(state(text))) == 2
    assert [step.line for step in vertices(state(text, BuildOptions(target="one")))] == [1, 2]


def test_returning_to_an_earlier_state_hits() -> None:
    text = "FROM base\nCOPY notes.txt /\nRUN x\n"
    first, second = on(text, {}), on(text, {"notes.txt": File(b"other")})
    prediction = predict([first, second], on(text, {}))
    assert {vertex.prediction for vertex in prediction.vertices} == {Outcome.CACHED}


def test_no_cache_runs_again_what_is_not_a_directory() -> None:
    text = "FROM base\nWORKDIR /w\nRUN x\nCOPY notes.txt /\n"
    assert fates(state(text), state(text, BuildOptions(no_cache=True))) == "ccee"


def test_no_cache_filter_leaves_other_stages_alone() -> None:
    text = "FROM base AS a\nCOPY notes.txt /n\nFROM base\nCOPY --from=a /n /n\nRUN x\n"
    options = BuildOptions(no_cache_filter=("a",))
    assert fates(state(text), state(text, options)) == "cecc"


PURE = "FROM scratch AS a\nCOPY . /all\nFROM base\nCOPY --from=a /all/Cargo.toml /\nRUN x\n"


def test_a_stage_made_of_copies_converges_by_content() -> None:
    assert fates(on(PURE, {}), on(PURE, {"notes.txt": File(b"other")})) == "eccc"
    assert fates(on(PURE, {}), on(PURE, {"Cargo.toml": File(b"other")})) == "ecee"


FROM_IMAGE = """\
FROM {base} AS s
COPY notes.txt /up/
{copy}
COPY src/main.rs /m/
FROM scratch
COPY --from=s {taken} /t/
"""


@pytest.mark.parametrize("base", ["image", "scratch"])
@pytest.mark.parametrize(
    ("copy", "taken", "changed", "fate"),
    [
        ("COPY --from=tools /etc/x /i/", "/i", "notes.txt", "c"),
        ("COPY --from=tools /etc/x /i/", "/m/main.rs", "src/main.rs", "e"),
        ("COPY --from=tools /etc/x /i/", "/up/*.txt", "src/main.rs", "c"),
        ("COPY src/deep/*.rs /i/", "/m/main.rs", "src/deep/lib.rs", "c"),
        ("COPY src/deep/*.rs /i/", "/i/lib.rs", "src/deep/lib.rs", "u"),
        ("COPY src/deep/*.rs /", "/m/main.rs", "src/deep/lib.rs", "u"),
        ("COPY src/deep/*.rs /i/", "/i/*.rs", "notes.txt", "c"),
    ],
)
def test_files_that_are_not_told_one_by_one_leave_those_elsewhere_known(
    base: str, copy: str, taken: str, changed: str, fate: str
) -> None:
    text = FROM_IMAGE.format(base=base, copy=copy, taken=taken)
    prediction = predict([state(text)], on(text, {changed: File(b"other")}))
    assert prediction.vertices[-1].prediction.value[0] == fate


def test_what_is_copied_through_a_known_link_may_be_anywhere() -> None:
    text = (
        "FROM image AS s\nCOPY d /d/\nCOPY src/deep/*.rs /d/to/\n"
        "FROM scratch\nCOPY --from=s /real /t/\n"
    )
    before: dict[str, Entry] = {"d/to": Link("../real")}
    after = {**before, "src/deep/lib.rs": File(b"other")}
    prediction = predict([on(text, before)], on(text, after))
    assert prediction.vertices[-1].prediction is Outcome.UNKNOWN


def test_what_a_run_writes_is_unknown_and_the_reason_says_so() -> None:
    text = "FROM base AS a\nCOPY . /all\nRUN x\nFROM base\nCOPY --from=a /out /\nRUN y\n"
    prediction = predict([on(text, {})], on(text, {"notes.txt": File(b"o")}))
    copy = prediction.vertices[3]
    assert copy.prediction is Outcome.UNKNOWN
    assert "depends-on" in copy.because[0].text
    assert copy.because[0].line == 3
    assert prediction.vertices[4].because[0].text == "hangs on line 5"


def test_an_unknown_input_of_a_new_step_is_a_certain_miss() -> None:
    text = "FROM base AS a\nCOPY . /all\nRUN x\nFROM base\nCOPY --from=a /out /\n"
    after = replace(on(text.replace("/out /", "/out /new"), {"notes.txt": File(b"o")}))
    assert fates(on(text, {}), after) == "ceee"


DECLARED = (
    "# layerproof: depends-on Cargo.toml $TAG\n"
    "FROM base AS plan\nARG TAG=1\nARG OTHER=1\nRUN --mount=type=bind,target=/m plan\n"
    "FROM base\nCOPY --from=plan /plan /\nRUN build\n"
)


def test_a_declaration_makes_a_stage_converge() -> None:
    assert fates(on(DECLARED, {}), on(DECLARED, {"notes.txt": File(b"o")})) == "cecc"
    assert fates(on(DECLARED, {}), on(DECLARED, {"Cargo.toml": File(b"o")})) == "ceee"


def test_a_declared_argument_counts_and_another_does_not() -> None:
    assert fates(state(DECLARED), state(DECLARED, args(TAG="2"))) == "ceee"
    assert fates(state(DECLARED), state(DECLARED, args(OTHER="2"))) == "cecc"


def test_a_declaration_may_speak_of_a_part_of_the_output() -> None:
    text = DECLARED.replace(
        "FROM base AS plan", "# layerproof: depends-on /tool/: notes.txt\nFROM base AS plan"
    ).replace("COPY --from=plan /plan /", "COPY --from=plan /tool/ /t/\nCOPY --from=plan /plan /")
    assert fates(on(text, {}), on(text, {"Cargo.toml": File(b"o")})) == "cecee"
    assert fates(on(text, {}), on(text, {"notes.txt": File(b"o")}))[2] == "e"


def test_a_changed_command_of_a_declared_stage_leaves_its_output_unknown() -> None:
    other = DECLARED.replace("/m plan", "/m plan --more")
    assert fates(state(DECLARED), state(other)) == "ceuu"


def test_onbuild_triggers_of_an_inspected_base_are_followed() -> None:
    facts = ImageFacts("sha256:1", onbuild=("COPY src /s", "RUN x"))
    text = "FROM base\nRUN y\n"
    before = replace(on(text, {}), images={"base": facts})
    after = replace(on(text, {"src/main.rs": File(b"o")}), images={"base": facts})
    assert fates(before, after) == "ceee"


def test_a_base_with_another_identity_runs_everything_again() -> None:
    text = "FROM base\nRUN y\n"
    before = replace(state(text), images={"base": ImageFacts("sha256:1")})
    after = replace(state(text), images={"base": ImageFacts("sha256:2")})
    assert fates(before, after) == "ee"


@pytest.mark.parametrize(("rules", "fate"), [(Rules(), "c"), (Rules(cache_mount_ids=True), "e")])
def test_a_cache_mounts_id_counts_for_old_engines_only(rules: Rules, fate: str) -> None:
    text = "FROM base\nRUN --mount=type=cache,id=one,target=/c x\n"
    assert fates(state(text), state(text.replace("one", "two")), rules) == f"c{fate}"


@pytest.mark.parametrize(
    ("rules", "fate"), [(Rules(), "u"), (Rules(private_mounts_converge=False), "e")]
)
def test_a_run_with_a_secret_matches_by_content_for_new_engines_only(
    rules: Rules, fate: str
) -> None:
    text = "FROM base\nRUN one\nRUN --mount=type=secret,id=s two\n"
    assert fates(state(text), state(text.replace("one", "1")), rules) == f"ce{fate}"


def test_the_same_work_of_two_lines_is_not_guessed_at() -> None:
    text = (
        "FROM base AS one\nCOPY src/main.rs /d\nFROM base AS two\nCOPY alike/main.rs /d\n"
        "FROM scratch\nCOPY --from=one /d /1\nCOPY --from=two /d /2\n"
    )
    twin: Mapping[str, Entry | None] = {"alike/main.rs": TREE["src/main.rs"]}
    changed = {path: File(b"new") for path in ("src/main.rs", "alike/main.rs")}
    assert fates(on(text, twin), on(text, {**twin, **changed}))[1:3] == "uu"


def test_equal_steps_of_two_stages_are_one_vertex_with_two_places() -> None:
    text = (
        "FROM base AS one\nRUN x\nRUN 1\nFROM base AS two\nRUN x\nRUN 2\n"
        "FROM scratch\nCOPY --from=one /1 /\nCOPY --from=two /2 /\n"
    )
    shared = next(step for step in vertices(state(text)) if step.line == 2)
    assert [(p.stage, p.position, p.total, p.line) for p in shared.places] == [
        ("one", 2, 3, 2),
        ("two", 2, 3, 5),
    ]


def test_a_root_workdir_counts_in_the_total_and_has_no_place() -> None:
    steps = vertices(state("FROM base\nWORKDIR /\nRUN x\n"))
    assert [(step.places[0].position, step.places[0].total) for step in steps] == [(1, 3), (2, 3)]


def test_a_look_up_without_inputs_is_not_observable() -> None:
    steps = vertices(state("FROM scratch\nWORKDIR /w\nCOPY notes.txt /\n"))
    assert [step.observable for step in steps] == [False, True]


def test_an_edit_that_keeps_size_and_time_is_stale_only_with_the_quirk() -> None:
    text = "FROM base\nCOPY notes.txt /\n"
    before, after = on(text, {}), on(text, {"notes.txt": File(b"m")})
    stale = predict_placed([before], after, Quirks(stale_transfer=True))
    assert stale[1].prediction.prediction is Outcome.CACHED
    assert fates(before, after) == "ce"


def test_a_directorys_mode_is_stale_only_with_the_quirk() -> None:
    text = "FROM base\nCOPY empty /\nRUN x\n"
    before, after = on(text, {}), on(text, {"empty": Directory(0o700)})
    stale = predict_placed([before], after, Quirks(stale_directory_mode=True))
    assert stale[1].prediction.prediction is Outcome.CACHED
    assert fates(before, after) == "cee"


@pytest.mark.parametrize("copy", ["COPY gone /g", "COPY loop/x /l", "COPY [z /l"])
def test_what_makes_the_build_fail_is_unknown(copy: str) -> None:
    text = f"FROM base\n{copy}\nRUN x\n"
    changes: Mapping[str, Entry | None] = {"loop": Link("pool"), "pool": Link("loop")}
    prediction = predict([on(text, changes)], on(text, changes))
    assert [v.prediction for v in prediction.vertices[1:]] == [Outcome.UNKNOWN] * 2
    assert "the build fails at line 2" in prediction.vertices[1].because[0].text


@pytest.mark.parametrize(("rules", "fate"), [(Rules(), "e"), (Rules(owners_count=False), "c")])
def test_the_owner_of_a_stages_files_counts_but_on_old_engines(rules: Rules, fate: str) -> None:
    text = "FROM scratch AS one\nCOPY --chown=7 src/main.rs /d/\nFROM base\nCOPY --from=one /d /d\n"
    after = state(text.replace("chown=7", "chown=8"))
    assert fates(state(text), after, rules) == f"ec{fate}"
