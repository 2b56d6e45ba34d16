"""Build states from what a command line names: directories, revisions, Dockerfiles, arguments."""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness import config
from harness import dockerfile as parsing
from harness.errors import ProjectError, UsageError
from harness.generated import trees
from harness.keys.context import Context, of_directory, of_tree
from harness.keys.dispatch import normalized
from harness.keys.evaluate import BuildState
from harness.model import BuildOptions, Dockerfile, Edit, EditClass, File, Tree
from harness.parsing import dockerignore
from harness.running import revisions

IMAGE_CONTEXTS = ("docker-image://", "oci-layout://", "http://", "https://", "target:")


@dataclass(frozen=True, slots=True)
class Where:
    """What is built: the project's directory and its Dockerfile, as the command line gave them."""

    project: Path
    dockerfile: Path


def load(where: Where, options: BuildOptions, *, dockerfile: Path | None = None) -> BuildState:
    """Return the state of a project as it lies on disk."""
    parsed = _load_dockerfile(dockerfile or where.dockerfile)
    text, path = _ignore_beside(where.project, dockerfile or where.dockerfile)
    ignore = dockerignore.parse(text, path=path) if text else dockerignore.NOTHING
    context = of_directory(where.project, ignore=ignore)
    return BuildState(
        parsed,
        context,
        options,
        contexts=_named(options.named_contexts),
        declared=config.find(where.project).depends_on,
        ignore=text,
        write_to=lambda folder: _copy(where.project, context, folder),
    )


def load_revision(
    where: Where, revision: str, options: BuildOptions, *, dockerfile: Path | None = None
) -> BuildState:
    """Return the state of a project at a git revision, its Dockerfile included if it has one."""
    tree = revisions.tree_at(revision, where.project)
    parsed = None if dockerfile is None else _load_dockerfile(dockerfile)
    chosen = dockerfile or where.dockerfile
    inside = _inside(where.project, chosen)
    if parsed is None and inside is not None and isinstance(tree.get(inside), File):
        content = _text(tree, inside)
        parsed = parsing.parse(content, path=f"{revision}:{inside}")
    names = [*dockerignore.candidates(inside or chosen.name)]
    text = next((_text(tree, name) for name in names if isinstance(tree.get(name), File)), "")
    context = of_tree(tree)
    return BuildState(
        parsed or _load_dockerfile(chosen),
        context,
        options,
        contexts=_named(options.named_contexts),
        declared=config.find(where.project).depends_on,
        ignore=text,
        write_to=lambda folder: trees.write(folder, tree),
    )


def of_name(
    where: Where, name: str, options: BuildOptions, *, dockerfile: Path | None = None
) -> BuildState:
    """Return the state that `name` stands for: a directory, or a revision of the project."""
    if not Path(name).is_dir():
        return load_revision(where, name, options, dockerfile=dockerfile)
    project = Path(name)
    if dockerfile is None:
        inside = _inside(where.project, where.dockerfile)
        own = project / inside if inside is not None else None
        dockerfile = own if own is not None and own.is_file() else where.dockerfile
    return load(Where(project, dockerfile), options)


def without_git(state: BuildState) -> BuildState:
    """Return the state without git's own files, which a revision does not have."""
    context = state.context.kept(lambda path: path != ".git" and not path.startswith(".git/"))
    return replace(state, context=context)


def edited(state: BuildState, edit: Edit) -> BuildState:
    """Return the state after an edit."""

    def write_to(folder: Path) -> None:
        if state.write_to is not None:
            state.write_to(folder)
        trees.apply(folder, edit)

    context = state.context.edited(edit, now_ns=1)
    return replace(state, context=context, write_to=write_to)


def _copy(project: Path, context: Context, folder: Path) -> None:
    """Copy what is sent of a project; modes and links stay as they are."""
    for path, record in sorted(context.records.items()):
        source, target = project / path, folder / path
        if record.kind == "dir":
            target.mkdir(parents=True, exist_ok=True)
            target.chmod(record.mode)
        elif record.kind in ("file", "link"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def edit_of(project: Path, paths: Iterable[str]) -> Edit:
    """Return the edit that changes the content of `paths`; one that is not there is added."""
    changes = {}
    for path in paths:
        relative = _inside(project, Path(path) if Path(path).is_absolute() else project / path)
        if relative is None:
            raise UsageError(f"--edit {path!r} lies outside the project", where=str(project))
        full = project / relative
        if full.is_dir() and not full.is_symlink():
            raise UsageError(f"--edit {path!r} is a directory", hint="name a file in it")
        try:
            content, mode = full.read_bytes(), full.stat().st_mode & 0o7777
        except FileNotFoundError:
            content, mode = b"", 0o644
        except OSError as error:
            raise ProjectError(f"--edit {path!r} cannot be read", context=(str(error),)) from error
        changes[relative] = File(content + b"\n", mode)
    return Edit(EditClass.SOURCE, ", ".join(changes), changes)


def _load_dockerfile(path: Path) -> Dockerfile:
    try:
        return parsing.load(path)
    except OSError as error:
        raise UsageError(
            f"the Dockerfile {str(path)!r} cannot be read",
            context=(error.strerror or str(error),),
            hint="name it with --dockerfile",
        ) from error


def _ignore_beside(project: Path, dockerfile: Path) -> tuple[str, str]:
    """Return the text and path of the ignore file that applies, or empty strings."""
    own = dockerfile.with_name(f"{dockerfile.name}{dockerignore.DEFAULT_NAME}")
    for path in (own, project / dockerignore.DEFAULT_NAME):
        if path.is_file():
            try:
                return path.read_bytes().decode(errors="surrogateescape"), str(path)
            except OSError as error:
                reason = error.strerror or str(error)
                raise ProjectError(
                    "the ignore file cannot be read", where=str(path), context=(reason,)
                ) from error
    return "", ""


def _named(contexts: Mapping[str, str]) -> Mapping[str, Context]:
    found = {}
    for name, value in contexts.items():
        if not value.startswith(IMAGE_CONTEXTS):
            found[name] = of_directory(Path(value))
            found[normalized(name)] = found[name]
    return found


def _inside(project: Path, path: Path) -> str | None:
    """Return `path` relative to the project with `/`, or None when it lies elsewhere."""
    try:
        return _absolute(path).relative_to(_absolute(project)).as_posix()
    except ValueError:
        try:
            return path.resolve().relative_to(project.resolve()).as_posix()
        except ValueError:
            return None


def _absolute(path: Path) -> Path:
    """Return `path` from the root, `..` resolved by its words and no link followed."""
    return Path(posixpath.normpath(path.absolute().as_posix()))


def _text(tree: Tree, path: str) -> str:
    entry = tree[path]
    assert isinstance(entry, File)  # noqa: S101 - the caller looked
    return entry.content.decode(errors="surrogateescape")
