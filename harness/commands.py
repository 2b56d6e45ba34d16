"""Turns what is wanted into command lines; pure: nothing here runs anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.model import BuildOptions


def buildx_build(
    buildx: Path,
    *,
    context: Path,
    dockerfile: Path,
    options: BuildOptions,
    tags: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    iidfile: Path | None = None,
    export_to: Path | None = None,
) -> tuple[str, ...]:
    """Return the buildx call of one build, progress as raw JSON on standard error.

    `buildx` is the plugin binary itself, which saves the docker client's start. `export_to` makes
    it export the target's files to that directory and no image.
    """
    argv = [str(buildx), "build", "--progress=rawjson", f"--file={dockerfile}"]
    if options.target is not None:
        argv.append(f"--target={options.target}")
    if options.platform is not None:
        argv.append(f"--platform={options.platform}")
    if options.network is not None:
        argv.append(f"--network={options.network}")
    if options.no_cache:
        argv.append("--no-cache")
    argv += [f"--no-cache-filter={stage}" for stage in options.no_cache_filter]
    argv += [f"--build-arg={name}={value}" for name, value in options.build_args.items()]
    secrets = options.secrets.items()
    argv += [f"--secret={_field(f'id={name}')},{_field(f'src={path}')}" for name, path in secrets]
    argv += [f"--build-context={name}={ref}" for name, ref in options.named_contexts.items()]
    argv += [f"--label={name}={value}" for name, value in (labels or {}).items()]
    argv += [f"--tag={tag}" for tag in tags]
    if iidfile is not None:
        argv.append(f"--iidfile={iidfile}")
    if export_to is not None:
        argv.append(f"--output=type=local,{_field(f'dest={export_to}')}")
    return (*argv, "--", str(context))


def _field(text: str) -> str:
    """Return a field of the comma-separated values that buildx takes."""
    if not set(text) & set(',"\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def buildx_version(buildx: Path) -> tuple[str, ...]:
    """Return the call that prints buildx's version."""
    return (str(buildx), "version")


def buildx_prune(buildx: Path) -> tuple[str, ...]:
    """Return the call that empties an engine's build cache; for engines of our own only."""
    return (str(buildx), "prune", "--all", "--force")


def context_endpoint() -> tuple[str, ...]:
    """Return the call that prints the endpoint of docker's current context."""
    return ("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")


def setup(script: Path, part: str) -> tuple[str, ...]:
    """Return the call that provides one part of what is needed (`scripts/setup.sh PART`)."""
    return (str(script), part)


def private_engine(script: Path, action: str, *arguments: str) -> tuple[str, ...]:
    """Return a call of `scripts/private-engine.sh`."""
    return (str(script), action, *arguments)


def git(*words: str) -> tuple[str, ...]:
    """Return a call of git that needs no configuration of its caller's."""
    settings = ("user.name=LayerProof", "user.email=layerproof@localhost", "commit.gpgsign=false")
    return ("git", *(word for setting in settings for word in ("-c", setting)), *words)
