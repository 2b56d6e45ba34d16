"""Parses a Dockerfile's text into the model: stages, instructions, global ARGs, declarations.

`dockerfile-parse` finds the instructions. It is given a canonical text in which `lexer` has
settled what it does not know (here-documents, comments and blank lines inside continuations, the
order of directives, the escape character), line for line, so that its line numbers are the
file's. Accepts what BuildKit accepts; nothing is expanded or evaluated here.
"""

from __future__ import annotations

import io
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Final

from dockerfile_parse import DockerfileParser  # type: ignore[import-untyped]

from harness.errors import DockerfileSyntaxError, UsageError
from harness.model import Declaration, Dockerfile, Instruction, Stage
from harness.parsing import acceptance, instructions, lexer
from harness.parsing.instructions import InstructionError
from harness.parsing.lexer import Lexed, LogicalLine
from harness.parsing.words import NotStringsError, exec_form, split_flags

DECLARATION_PREFIX: Final = "layerproof:"
_SENTINEL: Final = "\x00"
_NO_TRIGGER: Final = frozenset({"ONBUILD", "FROM", "MAINTAINER"})


def load(path: str | Path) -> Dockerfile:
    """Return the Dockerfile at `path`, bytes that are not UTF-8 kept as surrogates."""
    content = Path(path).read_bytes()
    return parse(content.decode(errors="surrogateescape"), path=str(path))


def parse(text: str, *, path: str = "Dockerfile") -> Dockerfile:
    """Return the Dockerfile that `text` describes.

    Raises DockerfileSyntaxError, with the line and what was expected there, where BuildKit would
    refuse it.
    """
    lexed = lexer.lex(text, path=path)
    found = [
        _instruction(keyword, value, line, path, lexed.escape)
        for keyword, value, line in _split(lexed)
    ]
    if not found:
        raise DockerfileSyntaxError(
            "the Dockerfile holds no instruction", path=path, line=1, expected="a FROM"
        )
    global_args, stages = _stages(found, path)
    _check_references(stages, path)
    return Dockerfile(
        path=path,
        text=text,
        escape=lexed.escape,
        syntax=lexed.directives.get("syntax"),
        global_args=global_args,
        stages=stages,
        declarations=_declarations(lexed, stages, path),
    )


def target(parsed: Dockerfile, name: str | None, *, where: str | None = None) -> Stage:
    """Return the stage that `--target` names, the last one for None; a number is no name.

    `where` says who named it. Raises UsageError. Source: BuildKit's `findStateByName`.
    """
    if not parsed.stages:
        raise UsageError("the Dockerfile has no FROM", where=parsed.path)
    if name is None:
        return parsed.stages[-1]
    found = parsed.stage(name)
    if found is None or found.name != name.lower():
        known = [stage.name for stage in parsed.stages if stage.name]
        raise UsageError(
            f"there is no stage {name!r} in {parsed.path}",
            where=where,
            context=[f"stages: {', '.join(known) or 'none has a name'}"],
        )
    return found


def trigger_of(instruction: Instruction, *, path: str = "Dockerfile", escape: str) -> Instruction:
    """Return the instruction that an ONBUILD holds, with the ONBUILD's lines."""
    keyword, _, value = instruction.value.partition(" ")
    line = LogicalLine(
        instruction.value, instruction.line, instruction.end_line, instruction.heredocs
    )
    return _instruction(keyword.upper(), value.strip(), line, path, escape)


def _split(lexed: Lexed) -> list[tuple[str, str, LogicalLine]]:
    """Return keyword (upper-case), arguments and logical line of each instruction, in order."""
    canonical = ["#\n"] * lexed.lines
    for logical in lexed.logical:
        canonical[logical.line - 1] = f"{logical.text.strip()} {_SENTINEL}\n"
    parser = DockerfileParser(fileobj=io.StringIO("".join(canonical)), env_replace=False)
    by_line = {logical.line: logical for logical in lexed.logical}
    return [
        (
            entry["instruction"],
            entry["value"].removesuffix(_SENTINEL).strip(),
            by_line[entry["startline"] + 1],
        )
        for entry in parser.structure
        if entry["instruction"] != "COMMENT"
    ]


def _instruction(
    keyword: str, rest: str, logical: LogicalLine, path: str, escape: str
) -> Instruction:
    """Return one checked instruction."""
    flags, value = split_flags(rest, escape=escape)
    bare = Instruction(
        keyword=keyword,
        value=value,
        line=logical.line,
        end_line=logical.end_line,
        flags=flags,
        heredocs=logical.heredocs,
    )
    try:
        instruction = replace(bare, words=_exec_form(bare))
        acceptance.check(instruction, escape=escape)
    except InstructionError as error:
        raise DockerfileSyntaxError(
            str(error), path=path, line=logical.line, expected=error.expected
        ) from error
    except NotStringsError as error:
        raise DockerfileSyntaxError(
            f"{keyword}: the array holds something other than strings",
            path=path,
            line=logical.line,
            expected='an array of strings, ["like", "this"]',
        ) from error
    if keyword == "ONBUILD":
        if value.split(None, 1)[0].upper() in _NO_TRIGGER:
            raise DockerfileSyntaxError(
                f"{value.split(None, 1)[0]!r} cannot be an ONBUILD trigger",
                path=path,
                line=logical.line,
                expected="another instruction",
            )
        trigger_of(instruction, path=path, escape=escape)
    return instruction


def _exec_form(instruction: Instruction) -> tuple[str, ...] | None:
    if instruction.keyword == "HEALTHCHECK":
        words = instruction.value.split(None, 1)
        return exec_form(words[1]) if len(words) == 2 else None
    if instruction.keyword in instructions.EXEC_FORM_KEYWORDS:
        return exec_form(instruction.value)
    return None


def _stages(
    found: list[Instruction], path: str
) -> tuple[tuple[Instruction, ...], tuple[Stage, ...]]:
    """Return the ARGs before the first FROM, and the stages."""
    starts = [index for index, each in enumerate(found) if each.keyword == "FROM"]
    before = found[: starts[0]] if starts else found
    for instruction in before:
        if instruction.keyword != "ARG":
            raise DockerfileSyntaxError(
                f"{instruction.keyword} before the first FROM",
                path=path,
                line=instruction.line,
                expected="FROM (only ARG may precede it)",
            )
    if not starts:
        raise DockerfileSyntaxError(
            "the Dockerfile has no FROM", path=path, line=found[-1].line, expected="a FROM"
        )
    stages = []
    for index, (start, end) in enumerate(zip(starts, [*starts[1:], len(found)], strict=True)):
        base = instructions.base_of(found[start])
        stages.append(
            Stage(
                index=index,
                name=base.name,
                base=base.image,
                platform=base.platform,
                line=found[start].line,
                instructions=tuple(found[start + 1 : end]),
            )
        )
    return tuple(before), tuple(stages)


def _check_references(stages: tuple[Stage, ...], path: str) -> None:
    """Refuse references to a stage by an index there is none of, to itself, or to a later one."""
    last = {stage.name: stage.index for stage in stages if stage.name is not None}
    for stage in stages:
        for instruction in stage.instructions:
            for name in _names(instruction):
                index = int(name) if name.isdecimal() else last.get(name.lower(), -1)
                if index >= stage.index:
                    exists = index < len(stages)
                    raise DockerfileSyntaxError(
                        f"{instruction.keyword} from {name!r}, which is not defined before it"
                        if exists
                        else f"{instruction.keyword} from stage {name}, of {len(stages)}",
                        path=path,
                        line=instruction.line,
                        expected="a stage that stands above this one",
                    )


def _names(instruction: Instruction) -> list[str]:
    """Return the names of the stages or images that an instruction reads from."""
    if instruction.keyword == "COPY":
        name = instruction.flag("from")
        return [name] if name else []
    if instruction.keyword == "RUN":
        mounts = instructions.mounts_of(instruction)
        return [mount.from_stage for mount in mounts if mount.from_stage]
    return []


def _declarations(lexed: Lexed, stages: tuple[Stage, ...], path: str) -> tuple[Declaration, ...]:
    """Return the `# layerproof:` comments, each with the stage it stands in."""
    commented = {comment.line for comment in lexed.comments}
    found = []
    for comment in lexed.comments:
        if not comment.text.startswith(DECLARATION_PREFIX):
            continue
        following = comment.line
        while following in commented:
            following += 1
        position = following if any(s.line == following for s in stages) else comment.line
        stage = next((s.index for s in reversed(stages) if s.line <= position), None)
        if stage is None:
            raise DockerfileSyntaxError(
                "a layerproof declaration stands before the first stage",
                path=path,
                line=comment.line,
                expected="it inside a stage, or right above its FROM",
            )
        found.append(_declaration(comment, stage, path))
    return tuple(found)


def _declaration(comment: lexer.Comment, stage: int, path: str) -> Declaration:
    try:
        verb, *words = shlex.split(comment.text.removeprefix(DECLARATION_PREFIX)) or [""]
        problem = "" if verb == "depends-on" and words else f"declaration {comment.text!r}"
    except ValueError as error:
        words, problem = [], f"declaration {comment.text!r}: {error}"
    if problem:
        raise DockerfileSyntaxError(
            problem,
            path=path,
            line=comment.line,
            expected="`# layerproof: depends-on PATTERN…` (globs, @sets or $ARGUMENTS)",
        )
    return Declaration(
        stage=stage,
        patterns=tuple(word for word in words if not word.startswith("$")),
        line=comment.line,
        arguments=tuple(word[1:] for word in words if word.startswith("$")),
    )
