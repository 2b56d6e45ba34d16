"""Makes the plan of a build: follows a Dockerfile's stages as BuildKit's frontend does.

Expands variables, resolves stages, drops what the target does not reach, numbers the vertices as
the engine prints them. The rules are those of `frontend/dockerfile/dockerfile2llb`. Single
instructions are `instruction_rules`' business.
"""

from __future__ import annotations

import platform as machine
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from harness import dockerfile as parsing
from harness.errors import ExpansionError, UsageError
from harness.keys.instruction_rules import apply_instruction
from harness.keys.plan import ImageFacts, Plan, Source
from harness.keys.quirks import Rules
from harness.keys.stage_state import Builder, StageState
from harness.model import BuildOptions, Dockerfile, Instruction, Stage
from harness.parsing import instructions
from harness.parsing.expansion import expand

SCRATCH: Final = "scratch"
_COUNTED: Final = frozenset({"COPY", "ADD", "RUN", "WORKDIR"})
_ARCHITECTURES: Final = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm/v7",
}
_IMAGE_CONTEXT: Final = "docker-image://"


def plan(
    dockerfile: Dockerfile,
    options: BuildOptions,
    images: Mapping[str, ImageFacts] | None = None,
    rules: Rules | None = None,
) -> Plan:
    """Return the plan of building `options.target`; `images` says what is known of base images.

    Raises UsageError for a target that does not exist, and for words that do not expand.
    """
    return _Planner(dockerfile, options, images or {}, rules or Rules()).plan()


def default_platform() -> str:
    """Return the platform that an engine on this machine builds for."""
    return f"linux/{_ARCHITECTURES.get(machine.machine(), machine.machine())}"


@dataclass(slots=True)
class _Resolved:
    """A stage with its references resolved: its base stage, and the stages it reads."""

    stage: Stage
    image: str
    base: int | None
    reads: set[int] = field(default_factory=set)


class _Planner:
    def __init__(
        self,
        dockerfile: Dockerfile,
        options: BuildOptions,
        images: Mapping[str, ImageFacts],
        rules: Rules,
    ) -> None:
        self.dockerfile = dockerfile
        self.options = options
        self.images = images
        self.platform = options.platform or default_platform()
        self.global_args = self._global_args()
        self.stages = [self._resolve(stage) for stage in dockerfile.stages]
        self.extra_states = 0
        for resolved in self.stages:
            for instruction in resolved.stage.instructions:
                self._find_reads(resolved, instruction)
        self.builder = Builder(escape=dockerfile.escape, network=options.network, rules=rules)
        self.states: dict[int, StageState] = {}

    def plan(self) -> Plan:
        for index in sorted(
            self._reached(parsing.target(self.dockerfile, self.options.target).index)
        ):
            self.states[index] = self._dispatch(self.stages[index])
        return self.builder.finish(
            self.states,
            {resolved.stage.index: self._name(resolved.stage) for resolved in self.stages},
        )

    def _global_args(self) -> dict[str, str | None]:
        """Return the automatic platform arguments and those before the first FROM, in order."""
        args: dict[str, str | None] = {}
        for prefix, value in (("BUILD", default_platform()), ("TARGET", self.platform)):
            system, _, rest = value.partition("/")
            architecture, _, variant = rest.partition("/")
            args |= {
                f"{prefix}PLATFORM": value,
                f"{prefix}OS": system,
                f"{prefix}ARCH": architecture,
                f"{prefix}VARIANT": variant,
            }
        given = self.options.build_args
        args = {name: given.get(name, value) for name, value in args.items()}
        for instruction in self.dockerfile.global_args:
            pairs = instructions.assignments(instruction, escape=self.dockerfile.escape)
            for name, default in pairs:
                if name in given:
                    args[name] = given[name]
                elif default is None:
                    args[name] = None
                else:
                    args[name] = self._expand_global(default, instruction.line, args)
        return args

    def _expand_global(self, text: str, line: int, args: Mapping[str, str | None]) -> str:
        known = {name: value or "" for name, value in args.items()}
        try:
            return expand(text, known, escape=self.dockerfile.escape)
        except ExpansionError as error:
            raise UsageError(error.message, where=f"{self.dockerfile.path}:{line}") from error

    def _resolve(self, stage: Stage) -> _Resolved:
        image = self._expand_global(stage.base, stage.line, self.global_args)
        if not image:
            raise UsageError(
                f"FROM {stage.base} names nothing",
                where=f"{self.dockerfile.path}:{stage.line}",
                hint="give the argument a default, or pass --build-arg",
            )
        base = None
        for earlier in self.dockerfile.stages[: stage.index]:
            if earlier.name is not None and earlier.name == image:
                base = earlier.index
        return _Resolved(stage, image, base)

    def _find_reads(self, resolved: _Resolved, instruction: Instruction) -> None:
        names: list[str | None] = []
        if instruction.keyword == "COPY" and instruction.flag("from"):
            names = [instruction.flag("from")]
        elif instruction.keyword == "RUN":
            names = [mount.from_stage or SCRATCH for mount in instructions.mounts_of(instruction)]
        for name in names:
            stage = self.dockerfile.stage(name or SCRATCH)
            if stage is None:
                self.extra_states += 1
            else:
                resolved.reads.add(stage.index)

    def _reached(self, target: int) -> set[int]:
        reached: set[int] = set()
        pending = [target]
        while pending:
            index = pending.pop()
            if index in reached:
                continue
            reached.add(index)
            resolved = self.stages[index]
            pending += resolved.reads
            if resolved.base is not None and not self._is_replaced(resolved.stage.name):
                pending.append(resolved.base)
        return reached

    def _is_replaced(self, name: str | None) -> bool:
        return name is not None and self._named(name) is not None

    def _named(self, name: str) -> str | None:
        """Return what a named context puts in the place of a stage or an image, or None."""
        contexts = self.options.named_contexts
        if name in contexts:
            return contexts[name]
        with_tag = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        return contexts.get(with_tag)

    def _name(self, stage: Stage) -> str:
        return stage.name or f"stage-{stage.index}"

    def _shown(self, stage: Stage) -> str:
        alone = len(self.stages) + self.extra_states == 1
        return "stage-0" if alone else self._name(stage)

    def _dispatch(self, resolved: _Resolved) -> StageState:
        stage = resolved.stage
        state = self._start(resolved)
        state.total += sum(1 for each in stage.instructions if each.keyword in _COUNTED)
        for trigger in state.take_triggers():
            text = f"FROM {SCRATCH}\n{trigger}\n"
            for instruction in parsing.parse(text, path="ONBUILD").stages[0].instructions:
                placed = replace(instruction, line=stage.line, end_line=stage.line)
                self._apply(state, placed)
        for instruction in stage.instructions:
            self._apply(state, instruction)
        return state

    def _apply(self, state: StageState, instruction: Instruction) -> None:
        try:
            apply_instruction(self.builder, state, instruction, self._source)
        except ExpansionError as error:
            where = f"{self.dockerfile.path}:{instruction.line}"
            raise UsageError(error.message, where=where, context=error.context) from error

    def _start(self, resolved: _Resolved) -> StageState:
        """Return the state at the beginning of a stage: what its base leaves it."""
        stage = resolved.stage
        shown = self._shown(stage)
        name = self._name(stage)
        ignores = self.options.no_cache or (
            stage.name is not None
            and stage.name in {each.lower() for each in self.options.no_cache_filter}
        )
        replaced = self._named(stage.name) if stage.name is not None else None
        if replaced is None and resolved.base is not None:
            return self.states[resolved.base].child(
                stage=stage, name=name, shown=shown, ignore_cache=ignores
            )
        state = StageState(
            stage=stage,
            name=name,
            shown=shown,
            ignore_cache=ignores,
            platform=self._stage_platform(stage),
            global_args=self.global_args,
            build_args=self.options.build_args,
        )
        if replaced is None and resolved.image == SCRATCH:
            state.inherit(ImageFacts(identity=SCRATCH))
            return state
        state.total = 1
        self._from_image(state, resolved, replaced or self._named(resolved.image))
        return state

    def _stage_platform(self, stage: Stage) -> str:
        if stage.platform is None:
            return self.platform
        return self._expand_global(stage.platform, stage.line, self.global_args)

    def _from_image(self, state: StageState, resolved: _Resolved, replaced: str | None) -> None:
        image = resolved.image
        if replaced is not None and replaced.startswith(_IMAGE_CONTEXT):
            image = replaced.removeprefix(_IMAGE_CONTEXT)
        volatile = replaced is not None and not replaced.startswith(_IMAGE_CONTEXT)
        facts = self.images.get(image)
        identity = facts.identity if facts is not None else normalized(image)
        place = state.next_place(resolved.stage.line)
        state.vertex = self.builder.add(
            kind="FROM",
            instruction=f"FROM {image}",
            place=place,
            state=state,
            parts=(("image", replaced if volatile else identity), ("platform", state.platform)),
            base=None,
            volatile=volatile,
        )
        state.inherits_unknown = facts is None
        state.inherit(facts or ImageFacts(identity=identity))

    def _source(self, name: str) -> Source:
        """Return what `--from=name` reads: a stage, a named context, or an image."""
        stage = self.dockerfile.stage(name)
        if stage is not None:
            vertex = self.states[stage.index].vertex
            if vertex is None:
                return Source("image", SCRATCH)
            return Source("vertex", name=str(stage.index), vertex=vertex)
        if name == SCRATCH:
            return Source("image", SCRATCH)
        replaced = self._named(name)
        if replaced is None:
            facts = self.images.get(name)
            return Source("image", facts.identity if facts is not None else normalized(name))
        if replaced.startswith(_IMAGE_CONTEXT):
            return Source("image", normalized(replaced.removeprefix(_IMAGE_CONTEXT)))
        return Source("context", name)


def normalized(image: str) -> str:
    """Return an image reference with the tag that it implies."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"
