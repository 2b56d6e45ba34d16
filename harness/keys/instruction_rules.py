"""What each instruction adds to a plan: its vertex with all that enters the key, or its effect.

COPY and ADD are `transfer_rules`' business; which stages there are and what their names mean is
`dispatch`'s.
"""

from __future__ import annotations

from harness.keys.plan import (
    EnvValue,
)
from harness.keys.run_rules import run_arguments, run_inputs, shares_root
from harness.keys.stage_state import (
    DEFAULT_SHELL,
    Builder,
    Parts,
    SourceOf,
    StageState,
    instruction_text,
)
from harness.keys.transfer_rules import transfer
from harness.model import Instruction
from harness.parsing import instructions
from harness.parsing.expansion import expand


def apply_instruction(
    builder: Builder, state: StageState, instruction: Instruction, source_of: SourceOf
) -> None:
    """Let one instruction have its effect on the stage's state and on the plan."""
    match instruction.keyword:
        case "ARG":
            _arg(builder, state, instruction)
        case "ENV":
            _env(builder, state, instruction)
        case "USER":
            state.user = expand(instruction.value, state.values, escape=builder.escape)
        case "SHELL":
            state.shell = instruction.words or DEFAULT_SHELL
        case "ONBUILD":
            state.onbuild += (instruction.value,)
        case "WORKDIR":
            _workdir(builder, state, instruction)
        case "RUN":
            _run(builder, state, instruction, source_of)
        case "COPY" | "ADD":
            transfer(builder, state, instruction, source_of)


def _arg(builder: Builder, state: StageState, instruction: Instruction) -> None:
    values = state.values
    for name, default in instructions.assignments(instruction, escape=builder.escape):
        value = None if default is None else expand(default, values, escape=builder.escape)
        value = state.build_args.get(name, value)
        if value is None:
            value = state.global_args.get(name)
        if value is not None:
            state.set(name, EnvValue(value, "ARG", instruction.line))


def _env(builder: Builder, state: StageState, instruction: Instruction) -> None:
    values = state.values
    for name, text in instructions.assignments(instruction, escape=builder.escape):
        value = EnvValue(expand(text or "", values, escape=builder.escape), "ENV", instruction.line)
        state.set(name, value)
        state.image_env[name] = value


def _workdir(builder: Builder, state: StageState, instruction: Instruction) -> None:
    path = expand(instruction.value, state.values, escape=builder.escape)
    state.workdir = state.absolute(path)
    if state.workdir == "/":
        return
    state.vertex = builder.add(
        kind="WORKDIR",
        instruction=instruction_text(instruction),
        place=state.next_place(instruction.line),
        state=state,
        parts=(("path", state.workdir), ("user", state.user)),
        base=state.vertex,
        makes=state.workdir,
    )


def _run(
    builder: Builder, state: StageState, instruction: Instruction, source_of: SourceOf
) -> None:
    values = state.values
    expanded = builder.rules.expands_mounts
    mounts = instructions.mounts_of(
        instruction,
        (lambda text: expand(text, values, escape=builder.escape)) if expanded else None,
    )
    arguments, inline = run_arguments(instruction, state.shell)
    described, inputs = run_inputs(
        mounts, inline, state.absolute, source_of, root=state.vertex, rules=builder.rules
    )
    network = instruction.flag("network") or builder.network
    parts: Parts = (
        ("command", arguments),
        ("env", tuple((name, each.value) for name, each in state.env.items())),
        ("workdir", state.workdir),
        ("user", state.user),
        ("network", expand(network, values, escape=builder.escape)),
        ("security", instruction.flag("security") or "sandbox"),
        ("device", tuple(f.value for f in instruction.flags if f.name == "device")),
        ("platform", state.platform),
        ("mounts", described),
    )
    state.vertex = builder.add(
        kind="RUN",
        instruction=instruction_text(instruction),
        place=state.next_place(instruction.line),
        state=state,
        parts=parts,
        base=state.vertex,
        inputs=inputs,
        root_by_content=builder.rules.private_mounts_converge
        and state.vertex is not None
        and shares_root(mounts, source_of, state.vertex),
        env=dict(state.env),
    )
