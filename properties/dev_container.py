"""What P3 expects of the dev container, of `status` and of the commands."""

from __future__ import annotations

from collections.abc import Sequence

from harness.generated.projects import Blueprint, folder, render
from harness.judging.judge import Judge
from harness.judging.report import Row
from harness.judging.states import in_dockers_words
from harness.model import Edit, EditClass, File
from harness.running import execution
from harness.running.container_events import (
    COMMANDS,
    ContainerEvent,
    is_of_an_earlier_base_image,
    is_of_an_earlier_dockerfile,
)
from harness.running.scripted import DEV_CONTAINER, Container, Promise, Scripted, ScriptRun
from harness.strategies import taken_back
from properties.common import dev_truth, same_lines
from properties.story import count

CALL_SECONDS = 240.0
SHORT_ID = 12
"""As many digits of an id docker itself shows."""
HERE = "layerproof-here"
"""A file that only the container under test has, in its root."""
MAIN = b"fn main() {\n"
ASKS = b'    assert!(std::path::Path::new("/%s").exists(), "not in the container that is up");\n'
RENEWING = {ContainerEvent.START, ContainerEvent.EXEC}
"""Commands after which the container is current, where that is promised."""


def states(found: Sequence[Container]) -> str:
    """Return the states of the containers that were found, or that there is none."""
    return ", ".join(container.state for container in found) or "none"


def judge_build(dev: Scripted, blueprint: Blueprint, story: Sequence[str], judge: Judge) -> None:
    """A dev build succeeds, and leaves a container that is up and current, and a true binary."""
    seen = dev.run(DEV_CONTAINER, "build", limit=CALL_SECONDS)
    judge("The dev build failed.", holds=seen.status == 0, scenario=story, log=seen.log)
    judge_container(dev, blueprint, story, judge, log=seen.log)


def judge_container(
    dev: Scripted, blueprint: Blueprint, story: Sequence[str], judge: Judge, *, log: str
) -> None:
    """Exactly one container mounts the project, it runs, `status` says so, the binary is true."""
    found = dev.containers()
    said = dev.status()
    rows = [Row("containers (engine)", "running", states(found))]
    if "state" in said:
        rows.append(Row("state (status)", "running", str(said["state"])))
    if Promise.STATUS_EXITS in dev.promises:
        rows.append(Row("exit of status", "0", str(said["exit"])))
    if "current" in said:
        rows.append(Row("current (status)", "True", str(said["current"])))
        rows += [
            Row("image", "of the base image as it is", "of an earlier one")
            for container in found
            if is_of_an_earlier_base_image(container, dev)
        ]
    if "id" in said:
        rows.append(id_row(found, str(said["id"])))
    rows += [
        Row("image", "of the Dockerfile as it is", "of an earlier one")
        for container in found
        if is_of_an_earlier_dockerfile(container, dev)
    ]
    rows += [
        Row(name, expected, dev.printed(name)) for name, expected in dev_truth(blueprint).items()
    ]
    judge(
        "After the dev build, no container that is up and current holds the current binary.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=log,
    )


def judge_inside(now: Blueprint, dev: Scripted, story: list[str], judge: Judge) -> None:
    """The build runs in the container that is up: what its build script asks for lies there alone.

    The project is as it was afterwards, and was not built since.
    """
    (container,) = dev.containers()
    if not execution.put_empty(dev.bench.engine, container.id, HERE):
        count("the container's files cannot be written")
        return
    path = f"{folder(now, now.members[0])}build.rs"
    there = render(now).tree.get(path)
    text = there.content if isinstance(there, File) else MAIN + b"}\n"
    assert MAIN in text, text
    asking = File(text.replace(MAIN, MAIN + ASKS % HERE.encode(), 1))
    summary = "a build script that ends well in this container alone"
    edit = Edit(EditClass.BUILD_SCRIPT, summary, {path: asking})
    dev.workspace.edit(edit)
    story.append(f"{summary}, dev build")
    seen = dev.run(DEV_CONTAINER, "build", limit=CALL_SECONDS)
    judge(
        "The build did not run in the container that is up.",
        holds=seen.status == 0,
        scenario=story,
        log=seen.log,
        hint="Execute cargo in the container that stays (`docker exec`), and in no other.",
    )
    dev.workspace.edit(taken_back(edit, now))
    story.append("that is taken back")


def id_row(found: Sequence[Container], said: str) -> Row:
    """Expect the container's id, or as much of it as docker shows."""
    there = found[0].id if found else "one"
    same = len(said) >= SHORT_ID and there.startswith(said)
    return Row("id (status)", there, there if same else said)


def judge_status(
    happened: str, dev: Scripted, story: Sequence[str], judge: Judge, *, stale: bool = False
) -> str:
    """`status` says what the engine says; return that. A container there may be known as stale.

    Of a `status` that does not tell whether the container is current, its word on that is not
    judged; the container is, after the next build. How it ends is judged where that is promised.
    """
    found = dev.containers()
    truth = found[0].state if found else "absent"
    said = dev.status()
    up = truth == "running" and said.get("current") is True
    rows = []
    if "state" in said:
        rows.append(Row("state", truth, in_dockers_words(str(said["state"]), truth)))
    if Promise.STATUS_EXITS in dev.promises:
        rows.append(Row("exit of status", "0" if up else "1", str(said["exit"])))
    if "current" in said and stale and found:
        rows.append(Row("current", "False", str(said["current"])))
    judge(
        f"After {happened!r}, `status` does not say how things are.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        hint="Ask the engine each time: what was noted earlier does not tell how things are now.",
    )
    return truth


def judge_move(
    move: ContainerEvent,
    ran: ScriptRun | None,
    dev: Scripted,
    story: Sequence[str],
    judge: Judge,
) -> None:
    """`status` says what the engine says, and a command that can be obeyed is obeyed."""
    stale = move in {ContainerEvent.DOCKERFILE_CHANGED, ContainerEvent.BASE_IMAGE_CHANGED}
    truth = judge_status(move.value, dev, story, judge, stale=stale)
    if ran is None or move not in COMMANDS:
        return
    if move is ContainerEvent.STATUS:
        said = dev.status()
        row = Row("exit of status without --json", str(said["exit"]), str(ran.status))
        judge(
            "`status` does not end as `status --json` does.",
            holds=Promise.STATUS_EXITS not in dev.promises or not row.differs,
            scenario=story,
            rows=[row],
        )
        return
    expected = {
        ContainerEvent.START: ("running",),
        ContainerEvent.RESTART: ("running",),
        ContainerEvent.EXEC: ("running",),
        ContainerEvent.STOP: ("exited", "absent", "created"),
        ContainerEvent.CLEAN: ("absent",),
    }[move]
    rows = [
        Row("exit status", "0", str(ran.status)),
        Row(
            "container",
            " or ".join(expected),
            truth if truth not in expected else " or ".join(expected),
        ),
    ]
    if move in RENEWING and Promise.CURRENT_BEFORE_EXEC in dev.promises:
        rows.append(Row("current", "True", str(dev.status().get("current"))))
    judge(
        f"{move.value!r} was not obeyed.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=ran.log,
    )
