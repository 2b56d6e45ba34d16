"""Hypothesis strategies for projects and series of edits; they shrink to what a person can read.

Every draw is local to what it decides and the simplest value comes first, so that a counterexample
shrinks to the smallest project and the fewest edits. An edit is drawn only among those that apply
to the project as it then is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from harness import edits, registry
from harness.brief import Brief
from harness.model import Edit, EditClass
from harness.projects import Blueprint, Dependency, Member
from harness.subject import Shape

SOURCE_EDITS = (
    EditClass.SOURCE,
    EditClass.SOURCE_SAME_SIZE,
    EditClass.SOURCE_COMMENT,
    EditClass.MODULE_ADD,
    EditClass.SOURCE_RENAME,
    EditClass.SOURCE_DELETE,
    EditClass.MODE,
    EditClass.SYMLINK,
    EditClass.ODD_NAME,
    EditClass.BUILD_SCRIPT,
    EditClass.BIN_ADD,
)
"""Edits of what is compiled, none of which says anything about dependencies."""

DEPENDENCY_EDITS = (
    EditClass.DEPENDENCY_BUMP,
    EditClass.DEPENDENCY_ADD,
    EditClass.DEPENDENCY_REMOVE,
    EditClass.FEATURE,
    EditClass.LOCK,
    EditClass.PROFILE,
    EditClass.TOOLCHAIN,
    EditClass.OWN_VERSION,
    EditClass.MANIFEST_COMMENT,
    EditClass.MEMBER_ADD,
)
"""Edits of manifests, lock file, profile and toolchain."""

IDLE_EDITS = (EditClass.NOTHING, EditClass.MTIME, EditClass.IGNORED)
"""Edits that change nothing a build may notice."""

CHOICES = 4
OTHER_EDITS = (EditClass.README,)


@dataclass(frozen=True, slots=True, repr=False)
class Step(Brief):
    """One edit of a series and what the project is after it.

    `old` says that the edit's files carry an old modification time. `back_to` is the number of the
    earlier state that a revert goes back to (0 is the first), None for every other edit.
    """

    edit: Edit
    after: Blueprint
    old: bool = False
    back_to: int | None = None

    def __repr__(self) -> str:
        """Name the edit as reports do; the blueprint would hide it."""
        old = ", with an old modification time" if self.old else ""
        return f"<{self.edit.summary}{old}>"


@dataclass(frozen=True, slots=True, repr=False)
class Plan(Brief):
    """A project and the edits made to it, one after another."""

    start: Blueprint
    steps: tuple[Step, ...]

    def __repr__(self) -> str:
        """Say what the project is in a few words, then the edits."""
        kind = "workspace" if self.start.workspace else "package"
        names = ", ".join(member.name for member in self.start.members)
        crates = ", ".join(dependency.name for dependency in self.start.dependencies) or "none"
        return f"Plan({kind} {names}; dependencies: {crates}; edits: {list(self.steps)})"


@st.composite
def blueprints(draw: st.DrawFn, *, shape: Shape, binary: str, dependencies: int = 2) -> Blueprint:
    """Draw a project that the Dockerfile can build, whose first binary is called `binary`."""
    names = sorted(kind.name for kind in registry.KINDS)
    crates = tuple(
        Dependency(name, loud=draw(st.booleans()))
        for name in draw(st.lists(st.sampled_from(names), max_size=dependencies, unique=True))
    )
    workspace = shape.workspace and draw(st.booleans())
    uses = tuple(crate.name for crate in crates)
    member = Member(
        "app",
        answer=draw(st.integers(1, 99)),
        modules=(("one", 1),) if draw(st.booleans()) else (),
        binaries=(binary,),
        build_script=1 if shape.build_script and draw(st.booleans()) else None,
        library=1 if not workspace and draw(st.booleans()) else None,
        uses=uses,
        libraries=("core1",) if workspace else (),
    )
    return Blueprint(
        members=(member, Member("core1", answer=2)) if workspace else (member,),
        dependencies=crates,
        workspace=workspace,
        toolchain=1 if shape.toolchain and draw(st.booleans()) else None,
    )


@st.composite
def plans(
    draw: st.DrawFn,
    *,
    start: st.SearchStrategy[Blueprint],
    classes: Sequence[EditClass],
    most: int = 4,
    least: int = 1,
) -> Plan:
    """Draw a project and `least` to `most` edits of the classes, each applicable where it stands.

    REVERT among the classes goes back to any earlier state.
    """
    blueprint = first = draw(start)
    states = [first]
    steps: list[Step] = []
    for _ in range(draw(st.integers(least, most))):
        step = draw(_steps(states, classes))
        steps.append(step)
        blueprint = step.after
        states.append(blueprint)
    return Plan(first, tuple(steps))


@st.composite
def _steps(draw: st.DrawFn, states: Sequence[Blueprint], classes: Sequence[EditClass]) -> Step:
    current = states[-1]
    fitting = [c for c in classes if _fits(c, states)]
    chosen = draw(st.sampled_from(fitting))
    if chosen is EditClass.REVERT:
        back_to = draw(st.sampled_from([n for n, s in enumerate(states) if s != current]))
        change = edits.revert(current, states[back_to])
        return Step(change.edit, change.after, back_to=back_to)
    change = draw(st.sampled_from(_changes(chosen, current)))
    old = bool(change.edit.changes) and draw(st.booleans())
    return Step(change.edit, change.after, old=old)


def _changes(edit_class: EditClass, blueprint: Blueprint) -> list[edits.Change]:
    """Return the different ways to make an edit of the class."""
    found: list[edits.Change] = []
    for choice in range(CHOICES):
        change = edits.apply(edit_class, blueprint, choice)
        if change is not None and change not in found:
            found.append(change)
    return found


def _fits(edit_class: EditClass, states: Sequence[Blueprint]) -> bool:
    if edit_class is EditClass.REVERT:
        return any(state != states[-1] for state in states[:-1])
    return bool(_changes(edit_class, states[-1]))
