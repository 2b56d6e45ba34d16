"""Named cases with known answers: BuildKit's own suites, re-expressed, and what they leave open.

`expected` holds, per build, a letter for each instruction that makes a vertex, in file order:
X executed, C cached, `-` not part of the build. The words in `says` are the claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness import dockerfile
from harness.generated.recipe import NONCE
from harness.model import BuildOptions, Directory, Entry, File, Link
from harness.running.workshop import Inputs


@dataclass(frozen=True, slots=True)
class Build:
    """A build after `changes` to the tree. `text` replaces (old, new) in the Dockerfile.

    `on_old` is the answer of engines before 23 where it is another.
    """

    expected: str
    changes: Mapping[str, Entry | None] = field(default_factory=dict)
    text: tuple[str, str] | None = None
    options: BuildOptions = field(default_factory=BuildOptions)
    touched: frozenset[str] = frozenset()
    keep_mtimes: bool = False
    on_old: str = ""


@dataclass(frozen=True, slots=True)
class Oracle:
    """A case: `source` names the test it re-expresses, or the issue it is about."""

    name: str
    says: str
    source: str
    dockerfile: str
    tree: Mapping[str, Entry]
    builds: tuple[Build, ...]
    modern: bool = False


def inputs(oracle: Oracle, nonce: str, image: str) -> tuple[Inputs, ...]:
    """Return what the case's builds are made from."""
    text, tree, found = oracle.dockerfile, {"n": A, **oracle.tree}, []
    for number, build in enumerate(oracle.builds):
        if build.text is not None:
            assert build.text[0] in text, build.text
            text = text.replace(*build.text)
        tree |= {path: entry for path, entry in build.changes.items() if entry is not None}
        tree = {path: e for path, e in tree.items() if build.changes.get(path, e) is not None}
        final = text.replace(NONCE, nonce).replace("@image@", image)
        found.append(
            Inputs(
                f"build {number} of {oracle.name}",
                dockerfile.parse(final),
                dict(tree),
                build.options,
                inside=False,
                touched=build.touched,
                keep_mtimes=build.keep_mtimes,
            )
        )
    return tuple(found)


A, B, LONGER = File(b"a\n"), File(b"b\n"), File(b"longer\n")
STAGE = "FROM @image@ AS base\nWORKDIR /@nonce@\n"


def args(**values: str) -> BuildOptions:
    """Return options with build arguments."""
    return BuildOptions(build_args=values)


ORACLES = (
    Oracle(
        "no_cache_filter_reruns_the_named_stage_only",
        "--no-cache reruns every RUN and COPY, a filter those of its stage; WORKDIR never reruns",
        "testNoCache",
        "FROM @image@ AS s0\nWORKDIR /@nonce@\nRUN : s0 > unique\n"
        "FROM @image@ AS s1\nWORKDIR /@nonce@-1\nRUN : s1 > unique2\n"
        "FROM scratch\nCOPY --from=s0 /@nonce@/unique /@nonce@/\n"
        "COPY --from=s1 /@nonce@-1/unique2 /\n",
        {},
        (
            Build("XXXXXX"),
            Build("CXCXXX", options=BuildOptions(no_cache=True)),
            Build("CCCXCC", options=BuildOptions(no_cache_filter=("s1",))),
            Build("CCCCCC"),
        ),
    ),
    Oracle(
        "a_wildcard_copy_hits_when_only_unmatched_files_change",
        "a COPY of a pattern depends on what the pattern matches",
        "testCopyWildcardCache",
        STAGE + "COPY foo* files/\nRUN : > unique\nCOPY bar files/\n"
        "FROM scratch\nCOPY --from=base /@nonce@/unique /@nonce@\n",
        {"foo1": A, "foo2": B, "bar": A},
        (
            Build("XXXXX"),
            Build("CCCXC", {"bar": LONGER}),
            Build("CXXXC", {"foo1": LONGER}),
        ),
    ),
    Oracle(
        "a_wildcard_copy_misses_when_a_match_is_renamed",
        "the names that a pattern matches are in the key, so a rename misses",
        "testWildcardRenameCache",
        STAGE + "COPY file* /files/\nRUN ls /files\n",
        {"file1": A},
        (Build("XXX"), Build("CXX", {"file1": None, "file2": A})),
    ),
    Oracle(
        "one_file_copied_by_name_keeps_its_name_in_the_key",
        "the basename of a single source is in the key where it decides the destination",
        "testWildcardRenameCache",
        STAGE + "COPY one /files/\n",
        {"one": A, "two": A},
        (Build("XX"), Build("CX", text=("COPY one", "COPY two"))),
    ),
    Oracle(
        "proxy_arguments_are_not_in_the_key",
        "the predefined proxy arguments reach RUN without entering its key; others do enter it",
        "testBuiltinArgs",
        STAGE + "ARG FOO\nRUN echo $HTTP_PROXY::$FOO\n",
        {},
        (
            Build("XX", options=args(FOO="1", HTTP_PROXY="p")),
            Build("CC", options=args(FOO="1", HTTP_PROXY="q", no_proxy="r")),
            Build("CX", options=args(FOO="2", HTTP_PROXY="q")),
        ),
    ),
    Oracle(
        "a_writable_bind_mount_is_cached_by_content",
        "a bind mount from a stage counts by content, also with rw",
        "testMountRWCache",
        "FROM @image@ AS build\nWORKDIR /@nonce@\nCOPY cachebust /\n"
        "RUN mkdir out && echo foo > out/foo\n"
        "FROM @image@ AS second\nWORKDIR /@nonce@-2\n"
        "RUN --mount=from=build,src=/@nonce@/out,target=/out,rw touch /out/bar\n",
        {"cachebust": A},
        (Build("XXXXX"), Build("CXXCC", {"cachebust": LONGER})),
    ),
    Oracle(
        "no_cache_reruns_a_step_with_a_cache_mount",
        "a cache mount's content is in no key; --no-cache reruns its step",
        "testCacheMountModeNoCache",
        STAGE + "ARG FOO=abc\n"
        "RUN --mount=type=cache,target=/cache,id=@nonce@,mode=0773 touch /cache/$FOO\n",
        {},
        (
            Build("XX"),
            Build("CX", options=BuildOptions(no_cache=True, build_args={"FOO": "def"})),
            Build("CX", options=args(FOO="ghi")),
            Build("CC"),
        ),
    ),
    Oracle(
        "a_step_is_named_by_its_stage_and_position",
        "names are `[stage i/n]`: FROM of an image counts, FROM scratch does not",
        "testStepNames",
        "FROM @image@ AS base\nWORKDIR /@nonce@\nRUN echo base > base\n"
        "FROM scratch\nCOPY --from=base --chmod=0644 /@nonce@ /out\n",
        {},
        (Build("XXX"), Build("CCC")),
    ),
    Oracle(
        "a_directory_that_becomes_a_file_misses",
        "the type of what is copied is in the key",
        "testContextChangeDirToFile",
        "FROM scratch\nCOPY n /@nonce@\nCOPY foo /\n",
        {"foo/bar": A},
        (Build("XX"), Build("CX", {"foo/bar": None, "foo": A})),
    ),
    Oracle(
        "the_same_build_again_is_cached_whole",
        "nothing changed: nothing runs, and metadata instructions have no vertex",
        "testReproducibleIDs",
        STAGE + "ENV foo=bar\nCOPY foo /\nLABEL x=y\nRUN echo bar > bar\n",
        {"foo": A},
        (Build("XXX"), Build("CCC"), Build("CCC", text=("LABEL x=y", "LABEL x=z"))),
    ),
    Oracle(
        "an_owner_set_by_a_stage_is_in_the_key",
        "a file copied from a stage counts with its owner; engine 20.10 overlooks it",
        "testFileOpCopyUIDCache",
        "FROM @image@ AS a\nWORKDIR /@nonce@\nRUN echo 1 > f && chown 7:7 f\n"
        "FROM scratch\nCOPY n /@nonce@-2\nCOPY --from=a /@nonce@/f /\n",
        {},
        (Build("XXXX"), Build("CXCX", text=("chown 7:7", "chown 8:8"), on_old="CXCC")),
    ),
    Oracle(
        "an_owner_given_by_copy_is_in_the_key_of_what_copies_from_there",
        "--chown changes what a later COPY --from takes; engine 20.10 overlooks it",
        "testFileOpCopyUIDCache",
        "FROM scratch AS a\nCOPY n /@nonce@\nCOPY --chown=7 f /x/\n"
        "FROM scratch\nCOPY n /@nonce@-2\nCOPY --from=a /x /y\n",
        {"f": A},
        (Build("XXXX"), Build("CXCX", text=("chown=7", "chown=8"), on_old="CXCC")),
    ),
    Oracle(
        "the_source_of_a_bind_mount_counts_by_content",
        "bind mounts of the context count by the content of their source only",
        "testRunCacheWithMounts",
        STAGE + "RUN --mount=type=bind,source=m,target=/m ls /m\n",
        {"m/f": A, "other": A},
        (Build("XX"), Build("CC", {"other": LONGER}), Build("CX", {"m/f": LONGER})),
    ),
    Oracle(
        "a_cache_mount_fed_by_a_stage_is_cached",
        "steps with cache mounts hit like others",
        "testCachedMounts",
        STAGE + "RUN --mount=type=cache,target=/wd,id=@nonce@ echo first > /wd/foo\n"
        "RUN --mount=type=cache,target=/wd,id=@nonce@ cat /wd/foo\n",
        {},
        (Build("XXX"), Build("CCC"), Build("CCX", text=("cat /wd/foo", "ls /wd/foo"))),
    ),
    Oracle(
        "a_cache_mount_is_called_as_its_target_unless_it_has_an_id",
        "writing the default id changes nothing",
        "testCacheMountDefaultID",
        STAGE + "RUN --mount=type=cache,target=/@nonce@ echo > /@nonce@/foo\n",
        {},
        (
            Build("XX"),
            Build("CC", text=("target=/@nonce@ ", "target=/@nonce@,id=/@nonce@ ")),
        ),
    ),
    Oracle(
        "a_copy_from_a_stage_that_ran_again_hits_by_content",
        "an upstream stage that made the same files again changes nothing below it",
        "TestSlowCache",
        "FROM @image@ AS a\nWORKDIR /@nonce@\nCOPY src s\nRUN wc -l < s > out\n"
        "FROM @image@ AS b\nWORKDIR /@nonce@-b\nCOPY --from=a /@nonce@/out .\nRUN cat out\n",
        {"src": A},
        (Build("XXXXXX"), Build("CXXCCC", {"src": B}), Build("CXXCXX", {"src": File(b"1\n2\n")})),
    ),
    Oracle(
        "a_run_with_a_read_only_mount_hits_by_what_it_mounts",
        "of a mounted stage the content of the mounted path counts, not how it was made",
        "TestExecOpContentCache",
        "FROM @image@ AS a\nWORKDIR /@nonce@\nCOPY v .\nRUN mkdir o && wc -l < v > o/f\n"
        "FROM @image@\nWORKDIR /@nonce@-2\n"
        "RUN --mount=from=a,src=/@nonce@/o,target=/m cat /m/f > f\nRUN cat f\n",
        {"v": A},
        (
            Build("XXXXXX"),
            Build("CXXCCC", {"v": B}),
            Build("CXXCXX", {"v": File(b"1\n2\n")}),
        ),
    ),
    Oracle(
        "a_path_mounted_with_its_parent_counts_once",
        "of two mounts of which one holds the other, what lies in both is in the key all the same",
        "TestDedupePaths",
        "FROM @image@ AS a\nWORKDIR /@nonce@\nCOPY v o/sub/\nCOPY w o/\nCOPY u /@nonce@-u\n"
        "FROM @image@\nWORKDIR /@nonce@-2\n"
        "RUN --mount=from=a,src=/@nonce@/o,target=/m"
        " --mount=from=a,src=/@nonce@/o/sub,target=/s cat /m/w /s/v > f\n",
        {"u": A, "v": A, "w": A},
        (
            Build("XXXXXX"),
            Build("CCCXCC", {"u": LONGER}),
            Build("CXXXCX", {"v": LONGER}),
            Build("CCXXCX", {"w": LONGER}),
        ),
    ),
    Oracle(
        "a_hard_link_counts_as_the_file_it_is",
        "a directory with a hard link and one with a copy in its place are the same content",
        "TestChecksumHardlinks",
        "FROM @image@ AS a\nWORKDIR /@nonce@\nRUN mkdir o && echo @nonce@ > o/f && cp o/f o/g\n"
        "FROM scratch\nCOPY --from=a /@nonce@/o /\n",
        {},
        (
            Build("XXX"),
            Build("CXC", text=("cp o/f", "ln o/f")),
        ),
    ),
    Oracle(
        "two_paths_of_one_stage_count_apart",
        "the selector is in the key: a COPY depends on the path it takes, not on its neighbours",
        "TestCacheWithSelector",
        "FROM scratch AS a\nCOPY n /@nonce@\nCOPY x /x/\nCOPY y /y/\n"
        "FROM scratch\nCOPY n /@nonce@-2\nCOPY --from=a /x /\nCOPY --from=a /y /\n",
        {"x": A, "y": A},
        (Build("XXXXXX"), Build("CCXCCX", {"y": LONGER})),
    ),
    Oracle(
        "no_cache_twice_and_then_a_hit",
        "a step run again by --no-cache is cached afterwards, and so is what follows",
        "TestRepeatBuildWithIgnoreCache",
        STAGE + "RUN : one\nRUN : two\n",
        {},
        (
            Build("XXX"),
            Build("CXX", options=BuildOptions(no_cache=True)),
            Build("CXX", options=BuildOptions(no_cache=True)),
            Build("CCC"),
        ),
    ),
    Oracle(
        "what_follows_a_filtered_stage_hits_by_content",
        "a stage that --no-cache-filter reruns with the same result leaves its consumers cached",
        "TestIgnoreCacheResumeFromSlowCache",
        "FROM @image@ AS a\nWORKDIR /@nonce@\nRUN echo same > f\n"
        "FROM @image@ AS b\nWORKDIR /@nonce@-b\nCOPY --from=a /@nonce@/f .\nRUN cat f\n",
        {},
        (
            Build("XXXXX"),
            Build("CXCCC", options=BuildOptions(no_cache_filter=("a",))),
            Build("CCCCC"),
        ),
    ),
    Oracle(
        "content_mode_and_link_target_are_in_a_files_key",
        "content, mode and kind count; the modification time does not",
        "TestChecksumBasicFile",
        "FROM scratch\nCOPY n /@nonce@\nCOPY f /\nCOPY d /d/\n",
        {"f": A, "d/l": Link("one"), "d/f": A},
        (
            Build("XXX"),
            Build("CCC", touched=frozenset({"f", "d/f", "d/l"})),
            Build("CXX", {"f": File(b"a\n", 0o755)}),
            Build("CCX", {"d/l": Link("two")}),
            Build("CCX", {"f": A, "d/l": A}),
        ),
    ),
    Oracle(
        "what_dockerignore_leaves_out_is_not_in_the_key",
        "a file that the ignore file excludes changes nothing, one let in again does",
        "TestChecksumIncludeExclude",
        "FROM scratch\nCOPY n /@nonce@\nCOPY . /all/\n",
        {".dockerignore": File(b"d\n!d/in\n.dockerignore\n"), "d/in": A, "d/out": A, "f": A},
        (Build("XX"), Build("CC", {"d/out": LONGER}), Build("CX", {"d/in": LONGER})),
    ),
    Oracle(
        "an_ignore_file_rewritten_to_the_same_effect_hits",
        "the set that survives counts, not the words that select it",
        "TestChecksumIdenticalWithNoopExclude",
        "FROM scratch\nCOPY n /@nonce@\nCOPY . /all/\n",
        {".dockerignore": File(b".dockerignore\nout\n"), "f": A, "out": A},
        (Build("XX"), Build("CC", {".dockerignore": File(b"# new\n.dockerignore\n*ut\nno\n")})),
    ),
    Oracle(
        "names_in_a_directory_are_in_its_key",
        "a file added to, removed from or renamed in a copied directory misses",
        "TestChecksumUpdateDirectory",
        "FROM scratch\nCOPY n /@nonce@\nCOPY d /d\n",
        {"d/f": A},
        (
            Build("XX"),
            Build("CX", {"d/g": A}),
            Build("CC", {"d/g": None}),
            Build("CX", {"d/f": None, "d/h": A}),
            Build("CX", {"d/empty": Directory()}),
        ),
    ),
    Oracle(
        "an_edit_of_the_same_size_and_mtime_ships_the_old_content",
        "the context is synced by size, mtime, mode and owner: such an edit goes unseen",
        "BK#4817, testLocalSourceDiffer",
        "FROM scratch\nCOPY n /@nonce@\nCOPY f /\n",
        {"f": A},
        (
            Build("XX"),
            Build("CC", {"f": B}, keep_mtimes=True),
            Build("CX", touched=frozenset({"f"})),
            Build("CX", {"f": LONGER}, keep_mtimes=True),
        ),
    ),
    Oracle(
        "a_changed_directory_mode_is_not_noticed_until_the_directory_is",
        "chmod of a directory that was sent before is a stale hit",
        "BK#7176",
        "FROM scratch\nCOPY n /@nonce@\nCOPY d /d\n",
        {"d": Directory(0o755), "d/f": A},
        (
            Build("XX"),
            Build("CC", {"d": Directory(0o700)}),
            Build("CX", {"d/f": B}),
        ),
    ),
    Oracle(
        "back_and_forth_hits_the_first_state",
        "the cache holds every earlier state: A, B, A hits at the third build",
        "history",
        STAGE + "COPY f /\nRUN cat /f\n",
        {"f": A},
        (Build("XXX"), Build("CXX", {"f": LONGER}), Build("CCC", {"f": A})),
    ),
    Oracle(
        "an_argument_misses_every_later_run_used_or_not",
        "ARG becomes environment from its line on; COPY misses only if it expands it",
        "environment",
        STAGE + "RUN : before\nARG X=1\nRUN : after\nCOPY f /\nCOPY f /$X/\n",
        {"f": A},
        (Build("XXXXX"), Build("CCXXX", options=args(X="2")), Build("CCCCC")),
    ),
    Oracle(
        "a_global_argument_counts_only_where_it_is_declared_again",
        "an ARG before FROM reaches no stage that does not declare it",
        "environment",
        "ARG X=1\nFROM @image@\nWORKDIR /@nonce@\nRUN : one\nARG X\nRUN : two\n",
        {},
        (Build("XXX"), Build("CCX", options=args(X="2")), Build("CCX", text=("X=1", "X=3"))),
    ),
    Oracle(
        "the_order_of_the_environment_is_in_the_key",
        "two ENV lines exchanged miss, though the values are the same",
        "environment",
        STAGE + "ENV A=1\nENV B=2\nRUN : x\n",
        {},
        (
            Build("XX"),
            Build("CX", text=("ENV A=1\nENV B=2", "ENV B=2\nENV A=1")),
            Build("CC", text=("ENV B=2\nENV A=1", "ENV A=1\nENV B=2\nENV A=1")),
            Build("CC", text=("ENV A=1\nENV B=2\nENV A=1", "ENV B=2 A=1")),
        ),
    ),
    Oracle(
        "the_shell_form_is_its_exec_form",
        "a command written as the shell's own exec form is the same step",
        "command",
        STAGE + "RUN : x\n",
        {},
        (Build("XX"), Build("CC", text=("RUN : x", 'RUN ["/bin/sh", "-c", ": x"]'))),
    ),
    Oracle(
        "white_space_inside_a_command_is_in_the_key",
        "a line break adds nothing by itself, the blanks around it do",
        "command",
        STAGE + "RUN echo a && echo b\n",
        {},
        (
            Build("XX"),
            Build("CC", text=("a && echo", "a && \\\n# why\necho")),
            Build("CX", text=("# why\necho", "# why\n  echo")),
        ),
    ),
    Oracle(
        "user_shell_and_directory_are_in_the_key_of_run",
        "USER, SHELL and WORKDIR change every RUN after them and no COPY",
        "command",
        STAGE + "USER 0\nRUN : x\nCOPY f /\n",
        {"f": A},
        (
            Build("XXX"),
            Build("CXX", text=("USER 0", "USER 7")),
            Build("CXX", text=("USER 7", 'SHELL ["/bin/sh", "-ec"]')),
            Build("CXXX", text=('SHELL ["/bin/sh", "-ec"]', "WORKDIR /w")),
        ),
    ),
    Oracle(
        "stages_that_the_target_does_not_reach_are_not_built",
        "the graph is pruned to the target",
        "--target",
        "FROM scratch AS a\nCOPY n /@nonce@\nCOPY f /\n"
        "FROM scratch AS b\nCOPY n /@nonce@-b\nCOPY f /\n"
        "FROM a AS c\nCOPY f /c/\n",
        {"f": A},
        (
            Build("XX---", options=BuildOptions(target="a")),
            Build("--XX-", options=BuildOptions(target="B")),
            Build("CC--X"),
        ),
    ),
    Oracle(
        "chmod_does_not_hide_the_mode_of_the_source",
        "COPY --chmod still counts the mode of what it copies",
        "BK#3821",
        "FROM scratch\nCOPY n /@nonce@\nCOPY --chmod=600 f /\n",
        {"f": A},
        (Build("XX"), Build("CX", {"f": File(b"a\n", 0o755)})),
    ),
    Oracle(
        "a_link_named_as_source_is_followed",
        "the target's content counts, not the link; a link inside a directory counts as a link",
        "links",
        "FROM scratch\nCOPY n /@nonce@\nCOPY l /x/\nCOPY d /d/\n",
        {"l": Link("t"), "t": A, "u": A, "d/l": Link("../t")},
        (
            Build("XXX"),
            Build("CXX", {"t": LONGER}),
            Build("CCC", {"u": LONGER}),
            Build("CCC", {"l": Link("u")}),
        ),
    ),
    Oracle(
        "a_heredoc_counts_by_its_body",
        "RUN and COPY here-documents miss when their text changes",
        "heredoc",
        STAGE + "RUN <<EOF\necho one\nEOF\nCOPY <<EOF /f\nbody\nEOF\nRUN : after\n",
        {},
        (
            Build("XXXX"),
            Build("CCXX", text=("body", "other")),
            Build("CXXX", text=("echo one", "echo two")),
        ),
        modern=True,
    ),
    Oracle(
        "what_an_image_brings_to_one_place_leaves_the_others_known",
        "files of an image that are copied into a stage say nothing of the rest of its files",
        "COPY --from=IMAGE",
        "FROM @image@ AS s\nWORKDIR /@nonce@\nCOPY f /up/\nCOPY --from=@image@ /etc/passwd /i/\n"
        "COPY g /g/\n"
        "FROM scratch\nCOPY n /@nonce@\nCOPY --from=s /i /i/\nCOPY --from=s /g/g /g/\n"
        "COPY --from=s /up/f /f/\n",
        {"f": A, "g": A},
        (
            Build("XXXXXXXX"),
            Build("CXXXCCCX", {"f": B}),
            Build("CCCXCCXX", {"g": B}),
        ),
    ),
    Oracle(
        "a_wildcard_takes_what_it_matches_and_nothing_beside_it",
        "a change beside what a wildcard matches in a stage is none of it",
        "COPY --from with a wildcard",
        "FROM @image@ AS s\nWORKDIR /@nonce@\nCOPY f /a/\nCOPY f /b/one.txt\nCOPY g /b/two.md\n"
        "FROM scratch\nCOPY n /@nonce@\nCOPY --from=s /b/*.txt /t/\n",
        {"f": A, "g": A},
        (Build("XXXXXX"), Build("CCCXCC", {"g": B})),
    ),
)
