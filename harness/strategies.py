"""Hypothesis strategies for projects and series of edits; they shrink to what a person can read.

Every draw is local to what it decides and the simplest value comes first, so that a counterexample
shrinks to the smallest project and the fewest edits. An edit is drawn only among those that apply
to the project as it then is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar, cast

from hypothesis import strategies as st

from harness.brief import Brief
from harness.fitting import Shape
from harness.generated import checkouts, edits, registry
from harness.generated.checkouts import Checkout
from harness.generated.projects import Blueprint, Dependency, Member, folder, render
from harness.model import Edit, EditClass, File, Tree

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
ERRORS = (b"\nuse no_such_crate::nothing;\n", b"\nextern crate no_such_crate;\n")
"""What makes a source file one that does not compile; the compiler has other words for each."""
NO_SUCH_DEPENDENCY = b"\n[target.'cfg(all())'.dependencies]\nno-such-crate-anywhere = \"1\"\n"
"""What makes a manifest one whose dependencies cannot be resolved."""
State: TypeAlias = Blueprint | Checkout
"""What a project is at one moment: generated, or real where one is under test."""
S = TypeVar("S", bound=State)
S_co = TypeVar("S_co", bound=State, covariant=True)
OTHER_EDITS = (EditClass.README,)


@dataclass(frozen=True, slots=True, repr=False)
class Step(Brief, Generic[S_co]):
    """One edit of a series and what the project is after it.

    `old` says that the edit's files carry an old modification time. `back_to` is the number of the
    earlier state that a revert goes back to (0 is the first), None for every other edit.
    """

    edit: Edit
    after: S_co
    old: bool = False
    back_to: int | None = None

    def __repr__(self) -> str:
        """Name the edit as reports do; the blueprint would hide it."""
        old = ", with an old modification time" if self.old else ""
        return f"<{self.edit.summary}{old}>"


@dataclass(frozen=True, slots=True, repr=False)
class Plan(Brief, Generic[S_co]):
    """A project and the edits made to it, one after another."""

    start: S_co
    steps: tuple[Step[S_co], ...]

    @property
    def same_as(self) -> tuple[int, ...]:
        """Return for each state, the first included, the earliest that a build cannot tell from it.

        That is its own number, except after idle edits and reverts.
        """
        numbers = [0]
        for number, step in enumerate(self.steps, 1):
            if step.edit.edit_class in IDLE_EDITS:
                numbers.append(numbers[-1])
            else:
                numbers.append(number if step.back_to is None else numbers[step.back_to])
        return tuple(numbers)

    def __repr__(self) -> str:
        """Say what the project is in a few words, then the edits."""
        if isinstance(self.start, Checkout):
            return f"Plan(the project; edits: {list(self.steps)})"
        kind = "workspace" if self.start.workspace else "package"
        names = ", ".join(member.name for member in self.start.members)
        crates = ", ".join(dependency.name for dependency in self.start.dependencies) or "none"
        return f"Plan({kind} {names}; dependencies: {crates}; edits: {list(self.steps)})"


@st.composite
def blueprints(draw: st.DrawFn, *, shape: Shape, binary: str, dependencies: int = 2) -> Blueprint:
    """Draw a project that the Dockerfile can build, whose first binary is called `binary`.

    So is its package, as cargo has it where nothing is said.
    """
    names = sorted(kind.name for kind in registry.KINDS)
    crates = tuple(
        Dependency(name, loud=draw(st.booleans()))
        for name in draw(st.lists(st.sampled_from(names), max_size=dependencies, unique=True))
    )
    plain = plainest(shape, binary)
    workspace = plain.workspace or (shape.workspace and draw(st.booleans()))
    uses = tuple(crate.name for crate in crates)
    others = _other_members(shape, binary) if workspace else ()
    member = replace(
        plain.members[0],
        answer=draw(st.integers(1, 99)),
        modules=(("one", 1),) if draw(st.booleans()) else (),
        build_script=1 if shape.build_script and draw(st.booleans()) else None,
        library=1 if not workspace and draw(st.booleans()) else None,
        uses=uses,
        libraries=_libraries(others),
    )
    return Blueprint(
        members=(member, *others),
        dependencies=crates,
        workspace=workspace,
        strips=shape.strips,
        profiles=shape.profiles,
        features=shape.features,
        toolchain=1 if shape.toolchain and draw(st.booleans()) else None,
        vendored=shape.vendored and draw(st.booleans()),
    )


def plainest(shape: Shape, binary: str) -> Blueprint:
    """Return the smallest project that the Dockerfile can build: nothing in it but `binary`."""
    place = shape.program_member(binary)
    workspace = bool(place) or not shape.package
    member = Member(_package_of(shape, binary), binaries=(binary,), place=place, main=shape.main)
    others = _other_members(shape, binary) if workspace else ()
    return Blueprint(
        members=(member, *others),
        workspace=workspace,
        strips=shape.strips,
        profiles=shape.profiles,
        features=shape.features,
    )


def richest(shape: Shape, binary: str, *, workspace: bool = False) -> Blueprint:
    """Return a project with every kind of source file that the Dockerfile can build.

    With `workspace` it is one, if the Dockerfile can build those.
    """
    plain = plainest(shape, binary)
    if workspace and shape.workspace and not plain.workspace:
        members = (*plain.members, *_other_members(shape, binary))
        plain = replace(plain, members=members, workspace=True)
    first = replace(
        plain.members[0],
        modules=(("one", 1),),
        build_script=1 if shape.build_script else None,
        library=None if plain.workspace else 1,
        uses=("alpha",),
        libraries=_libraries(plain.members[1:]),
    )
    members = (first, *plain.members[1:])
    toolchain = 1 if shape.toolchain else None
    return replace(plain, members=members, dependencies=(Dependency("alpha"),), toolchain=toolchain)


def each_file_in_turn(start: S) -> Plan[S]:
    """Return the plan that changes each kind of source, goes back, and changes what is no source.

    Sources get the date of a restored file, so that whoever goes by dates overlooks them. Then a
    file that nothing compiles changes alone, the lock file, and the toolchain file.
    """
    states, steps = [start], []
    for edit_class, choice in (
        (EditClass.SOURCE, 0),
        (EditClass.SOURCE, 1),
        (EditClass.SOURCE_COMMENT, 1),
        (EditClass.SOURCE_COMMENT, 2),
        (EditClass.SOURCE_COMMENT, 3),
        (EditClass.BUILD_SCRIPT, 0),
    ):
        made = _changes(edit_class, states[-1])[choice:][:1]
        steps += [Step(edit, after, old=True) for edit, after in made]
        states += [after for _, after in made]
    edit, after = _back(states[-1], start)
    steps.append(Step(edit, after, old=True, back_to=0))
    for edit_class in (EditClass.README, EditClass.LOCK, EditClass.TOOLCHAIN):
        for edit, after in _changes(edit_class, steps[-1].after)[:1]:
            steps.append(Step(edit, after))
    return Plan(start, tuple(steps))


def an_error(state: State, words: bytes = ERRORS[0]) -> Edit | None:
    """Return an edit of the source after which it does not compile; None where none is known."""
    for edit, _ in _changes(EditClass.SOURCE, state)[:1]:
        for path, entry in edit.changes.items():
            if isinstance(entry, File):
                wrong = File(entry.content + words, entry.mode)
                return Edit(EditClass.SOURCE, f"{path}: an error", changes={path: wrong})
    return None


def a_missing_module(state: State) -> Edit | None:
    """Return an edit that removes a module which the program still names; None without one."""
    if isinstance(state, Checkout):
        return None
    member = state.members[0]
    for name, _ in member.modules[:1]:
        path = f"{folder(state, member)}src/{name}.rs"
        return Edit(EditClass.SOURCE_DELETE, f"{path} is removed", changes={path: None})
    return None


def no_such_dependency(state: Blueprint) -> Edit:
    """Return an edit of a manifest after which its dependencies cannot be resolved."""
    path = f"{folder(state, state.members[0])}Cargo.toml"
    manifest = render(state).tree[path]
    assert isinstance(manifest, File)  # noqa: S101  every package has one
    wrong = File(manifest.content + NO_SUCH_DEPENDENCY)
    summary = f"{path}: a dependency that does not exist"
    return Edit(EditClass.DEPENDENCY_ADD, summary, changes={path: wrong})


def taken_back(edit: Edit, state: State) -> Edit:
    """Return the edit that takes another back, which was made to this state."""
    tree = tree_of(state)
    before = {path: tree.get(path) for path in edit.changes}
    return Edit(EditClass.REVERT, "that is taken back", changes=before)


def _other_members(shape: Shape, binary: str) -> tuple[Member, ...]:
    """Return the members beside the first: those that the Dockerfile lists or asks for by name, or
    one library.
    """
    if not shape.members:
        named = [name for name in shape.packages if name != _package_of(shape, binary)]
        return tuple(Member(name, answer=2) for name in named or ["core1"])
    return tuple(
        Member(name, answer=2, place=place, binaries=(name,) if place in shape.programs else ())
        for place in shape.members
        if place != shape.program_member(binary)
        for name in [_package_at(place, shape)]
    )


def _package_of(shape: Shape, binary: str) -> str:
    """Return what the package of the program is called: as its directory or the program, or as the
    first that is asked for where those are not.
    """
    place = shape.program_member(binary)
    own = _package_at(place, shape) if place else binary
    others = {_package_at(other, shape) for other in shape.members if other != place}
    asked = [name for name in shape.packages if name not in others]
    return own if own in asked or not asked else asked[0]


def _libraries(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the names of those that another member can use."""
    return tuple(member.name for member in members if not member.binaries)


def _package_at(place: str, shape: Shape) -> str:
    """Return what the package of a listed member is called: as its directory, if no other is."""
    name = place.rpartition("/")[2]
    same = [other for other in shape.members if other.rpartition("/")[2] == name]
    return name if len(same) == 1 else place.replace("/", "-")


@st.composite
def plans(
    draw: st.DrawFn,
    *,
    start: st.SearchStrategy[S],
    classes: Sequence[EditClass],
    most: int = 4,
    least: int = 1,
) -> Plan[S]:
    """Draw a project and `least` to `most` edits of the classes, each applicable where it stands.

    Short series are likelier: every edit costs a build, and most of what breaks does so at once.
    REVERT among the classes goes back to any earlier state.
    """
    first = draw(start)
    states: list[S] = [first]
    steps: list[Step[S]] = []
    lengths = [n for n in range(least, most + 1) for _ in range(most + 1 - n)]
    for _ in range(draw(st.sampled_from(lengths))):
        step = draw(_steps(states, classes))
        steps.append(step)
        states.append(step.after)
    return Plan(first, tuple(steps))


@st.composite
def _steps(draw: st.DrawFn, states: Sequence[S], classes: Sequence[EditClass]) -> Step[S]:
    current = states[-1]
    fitting = [c for c in classes if _fits(c, states)]
    chosen = draw(st.sampled_from(fitting))
    if chosen is EditClass.REVERT:
        back_to = draw(st.sampled_from([n for n, s in enumerate(states) if s != current]))
        edit, after = _back(current, states[back_to])
        return Step(edit, after, back_to=back_to)
    edit, after = draw(st.sampled_from(_changes(chosen, current)))
    old = bool(edit.changes) and draw(st.booleans())
    return Step(edit, after, old=old)


def tree_of(state: State) -> Tree:
    """Return the files of a state."""
    tree: Tree = state.tree if isinstance(state, Checkout) else render(state).tree
    return tree


def _back(current: S, earlier: S) -> tuple[Edit, S]:
    if isinstance(current, Checkout):
        return cast("tuple[Edit, S]", checkouts.back(current, cast(Checkout, earlier)))
    change = edits.revert(current, cast(Blueprint, earlier))
    return cast("tuple[Edit, S]", (change.edit, change.after))


def _changes(edit_class: EditClass, state: S) -> list[tuple[Edit, S]]:
    """Return the different ways to make an edit of the class."""
    found: list[tuple[Edit, State]] = []
    for choice in range(CHOICES):
        made: tuple[Edit, State] | None
        if isinstance(state, Checkout):
            made = checkouts.apply(edit_class, state, choice)
        else:
            change = edits.apply(edit_class, state, choice)
            made = (change.edit, change.after) if change is not None else None
        if made is not None and made not in found:
            found.append(made)
    return cast("list[tuple[Edit, S]]", found)


def _fits(edit_class: EditClass, states: Sequence[State]) -> bool:
    if edit_class is EditClass.REVERT:
        return any(state != states[-1] for state in states[:-1])
    return bool(_changes(edit_class, states[-1]))
