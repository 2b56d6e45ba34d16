"""What a build exports runs in Lambda's runtime, so that is what is judged of it.

A Dockerfile whose last stage only carries files out of the build (for a zip, say) makes no image
that could be run. It gets one more stage: the package where Lambda unpacks it, in the image that
Lambda runs it in. Pure.
"""

from __future__ import annotations

import json
import posixpath

from harness import dockerfile, naming
from harness.model import Dockerfile, Instruction
from harness.parsing import instructions
from harness.structure import stagegraph

RUNTIME_IMAGE = "amazon/aws-lambda-provided:al2023"
STAGE = "layerproof-runtime"
TASK_ROOT = naming.OF_LAMBDA["LAMBDA_TASK_ROOT"]
BOOTSTRAP = "/bootstrap"
"""What Lambda starts (docs.aws.amazon.com/lambda, "Building a custom runtime")."""


def with_runtime(
    parsed: Dockerfile, *, target: str | None = None, binary: str | None = None
) -> Dockerfile:
    """Return `parsed` with a stage that runs what `target`, or the last stage, exports.

    `binary` is the program's path in what is exported, where it is known. A stage that makes an
    image of its own is left alone.
    """
    graph = stagegraph.of(parsed)
    shipped = parsed.stage(target or "") or parsed.stages[-1]
    if not graph.is_export(shipped.index):
        return parsed
    copies = [step.instruction for step in graph.steps_along(shipped.index)]
    program = posixpath.join(TASK_ROOT, (binary or _program(copies)).lstrip("/"))
    added = (
        f"\nFROM {RUNTIME_IMAGE} AS {STAGE}\n"
        f"COPY --from={shipped.index} / {TASK_ROOT}/\n"
        "USER 65534:65534\n"
        f"ENTRYPOINT {json.dumps([program])}\n"
    )
    return dockerfile.parse(parsed.text + added, path=parsed.path)


def _program(exporting: list[Instruction]) -> str:
    """Return what Lambda starts, or the one file that is exported under another name."""
    placed = [
        path
        for copy in exporting
        if copy.keyword == "COPY"
        and not any(source.endswith("/") for source in instructions.transfer_of(copy).sources)
        for path in naming.destinations(copy)
    ]
    names = {posixpath.normpath(posixpath.join("/", path)) for path in placed}
    return names.pop() if len(names) == 1 and BOOTSTRAP not in names else BOOTSTRAP
