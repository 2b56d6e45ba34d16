"""The eight properties as records; tests' tags, reports and docs/properties.md are made from them.

Pure data. The tag of a property is what the acceptance criteria of the feature name it by.
"""

from __future__ import annotations

from dataclasses import dataclass

FEATURE = "docker-build-optimization"


@dataclass(frozen=True, slots=True)
class Property:
    """One promise of the build. `claim` completes "for any …"; `hint` says where to look first."""

    number: int
    title: str
    claim: str
    hint: str
    validates: tuple[str, ...]

    @property
    def id(self) -> str:
        """Return the short name, `P1`."""
        return f"P{self.number}"

    @property
    def tag(self) -> str:
        """Return the line that marks a test as this property's."""
        return f"Feature: {FEATURE}, Property {self.number}: {self.title}"


P1 = Property(
    1,
    "layer caching consistency",
    "For any sequence of builds whose base inputs do not change, the steps of the base stage are "
    "never executed again, and a build with nothing changed executes nothing and yields the same "
    "image.",
    "Look for something that changes with every commit above the line: a COPY that selects more "
    "than it needs, or an ARG or ENV whose value differs between builds.",
    ("1.2", "1.3"),
)
P2 = Property(
    2,
    "dev container persistence",
    "For any series of dev builds, the same container (same id, same start time) serves them all "
    "and keeps what it compiled.",
    "Look for a container that is removed, recreated or restarted by `build`, and for a target "
    "directory that is not on a volume.",
    ("2.1", "2.2"),
)
P3 = Property(
    3,
    "automatic lifecycle",
    "For any dev build request, whatever state the container is in, a healthy, current container "
    "is up afterwards and the build ran in it.",
    "Look for 'the container exists' being taken for 'the container is running and current'.",
    ("2.3",),
)
P4 = Property(
    4,
    "source mount",
    "For any change to the source tree on the host, it is visible in the container at once, byte "
    "for byte, and in the next build.",
    "Look for a source that is copied rather than mounted, a volume that hides part of the mount, "
    "and files written into the source tree as root.",
    ("2.4",),
)
P5 = Property(
    5,
    "dependency invalidation",
    "For any change to Cargo.toml or Cargo.lock, the dependency layers are rebuilt; for a "
    "source-only change they are reused; the binary is always that of the current source.",
    "Look at what is copied before the dependencies are compiled: too much recompiles them on "
    "every edit, too little leaves them stale. A binary that is not of the current source is "
    "usually a stub or an old output that cargo took for newer than the source.",
    ("3.1", "3.2"),
)
P6 = Property(
    6,
    "build modes",
    "For any project and edit, dev does less work per edit than prod, prod's package is smaller "
    "and optimised, and both behave alike on the same event.",
    "Look for flags or profiles that are equal in both modes, or that change behaviour in one.",
    ("4.3", "4.4"),
)
P7 = Property(
    7,
    "backward compatibility",
    "For any invocation of the legacy interface, it is accepted or refused as before, with the "
    "same exit class and the same artifacts, through the optimised process.",
    "Compare the invocation with docs/build-lambda.md: its options, defaults, exit codes and "
    "artifacts.",
    ("5.1", "5.2", "5.3", "5.4"),
)
P8 = Property(
    8,
    "final image minimality",
    "For any production build, the image holds the binary and its runtime needs, nothing else.",
    "Look at what the runtime stage starts from and what it copies: tools, sources, caches, "
    "secrets and debug symbols stay in the stages before it.",
    ("1.4",),
)

ALL = (P1, P2, P3, P4, P5, P6, P7, P8)
BY_ID = {record.id: record for record in ALL}
