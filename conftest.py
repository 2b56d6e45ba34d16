"""Options, profiles and fixtures of every test that needs an engine; `docs/properties.md` has more.

How a property is written
-------------------------
A property module lives in `properties/`, takes the fixtures below, and judges what a scenario
returned. In outline::

    pytestmark = pytest.mark.property("P1")

    @given(data=st.data())
    def test_claim_in_words(bench, tally, judge, data):
        plan = data.draw(plans(...))            # a project and edits, as data
        with tally.scenario(), bench.workspace(tree) as workspace:
            seen = workspace.build()            # a BuildObservation; never asserts
            judge(finding="…", holds=seen.succeeded, scenario=[...])

`engine`     an `Engine` of this worker's own where that is possible
`subject`    the Dockerfile, scripts and project under test
`bench`      engine and subject made ready for each other; `bench.workspace(tree)` opens a scenario
`tally`      counts scenarios; a property that passes without one fails
`judge`      raises the report of a violation, written by `harness.judging.report`

All are made once per worker, so `@given` may use them. Whatever is made on an engine carries the
label `layerproof.run=<run>`, and is removed after the run, or at the start of the next one.
"""

from __future__ import annotations

import os
import random
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pluggy
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyFailure

from harness import engine as engines
from harness import outside, scenario
from harness import subject as subjects
from harness.config import Config
from harness.config import find as find_config
from harness.engine import Engine
from harness.errors import EnvironmentLacksError, LayerProofError, ProjectError, UsageError
from harness.judging.judge import Judge, Tally
from harness.judging.report import PropertyViolation
from harness.running import sweep
from harness.scenario import Bench
from harness.subject import Subject
from properties import records

ROOT = Path(__file__).resolve().parent
CANNOT_RUN = "layerproof: cannot run"
SEEN_ONCE = (
    "Seen once, and not when the same scenario was run again: it hangs on what went before, or on "
    "chance."
)
EXAMPLES = {"dev": 10, "ci": 100, "nightly": 1000}
DEAREST_FIRST = ("P6", "P1", "P5", "P2", "P3", "P8", "P4", "P7")
"""The order of the properties by the time of a scenario, so that workers end at about one time."""

for _name, _examples in EXAMPLES.items():
    settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        database=None,
        print_blob=True,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=(
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,
        ),
    )
settings.load_profile("dev")


def other_copies(plugins: pytest.PytestPluginManager) -> list[object]:
    """Return what was loaded of other copies of this project.

    `--scripts-dir COPY/scripts`: while pytest does not know the option it takes COPY/scripts for
    tests, and loads the conftest.py above them.
    """
    found = plugins.get_plugins()
    likewise = [p for p in found if getattr(p, "CANNOT_RUN", None) == CANNOT_RUN]
    return [plugin for plugin in likewise if getattr(plugin, "__file__", None) != __file__]


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare what the tests can be pointed at."""
    if other_copies(pluginmanager):
        return
    group = parser.getgroup("layerproof", "LayerProof: what is tested, and on which engine")
    group.addoption("--project", type=Path, help="a cargo project; it is edited in a copy")
    group.addoption(
        "--dockerfile",
        type=Path,
        help="the Dockerfile (the project's own, or Dockerfile.optimized)",
    )
    group.addoption("--scripts-dir", type=Path, help="the scripts (default: this repo's scripts/)")
    group.addoption(
        "--engine",
        action="append",
        metavar="auto|private|found|URL",
        help="where to build; repeat it to share the work over several (default: auto)",
    )
    group.addoption(
        "--require-engine", action="store_true", help="fail, not skip, where there is no engine"
    )
    group.addoption("--keep", action="store_true", help="leave what was made, to look at it")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Refuse bad input before anything runs; fix the seed so that a report can name it."""
    if other_copies(config.pluginmanager):
        if not all(ROOT in path.parents for path in asked_for(config)):
            return
        if Path(records.__file__).parents[1] != ROOT:
            raise pytest.UsageError(
                "pytest took the value of an option for tests of another copy of this project\n"
                "        hint: write --scripts-dir=PATH and --dockerfile=PATH, with an equals sign"
            )
        for other in other_copies(config.pluginmanager):
            config.pluginmanager.unregister(other)
    config.addinivalue_line("markers", "property(id): the property that a test checks")
    if threading.current_thread() is threading.main_thread():  # clean up when told to end
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.option.hypothesis_seed = worker["layerproof_seed"]
    elif config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = random.SystemRandom().randrange(2**32)
    config.option.hypothesis_seed = int(config.option.hypothesis_seed)
    for choice in config.getoption("--engine") or ():
        if choice not in {"auto", "private", "found"} and "://" not in choice:
            raise pytest.UsageError(f"--engine {choice!r}: expected auto, private, found or a URL")
    if any(config.getoption(name) for name in ("--project", "--dockerfile", "--scripts-dir")):
        try:
            load_subject(config)
        except LayerProofError as error:
            raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Where the properties alone are asked for, and nothing is said of workers, use two.

    `-n 0` runs them in this process; so do `--pdb` and `-s`, which need its terminal.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:  # a worker has no workers of its own
        return
    option = config.option
    said_so = getattr(option, "numprocesses", 0) is not None or getattr(option, "tx", None)
    by_hand = option.usepdb or option.capture == "no" or option.collectonly
    folder = ROOT / "properties"
    alone = all(path == folder or folder in path.parents for path in asked_for(config))
    if not said_so and not by_hand and alone and (os.cpu_count() or 1) > 1:
        option.numprocesses = 2


def asked_for(config: pytest.Config) -> list[Path]:
    """Return the files and folders whose tests are to be run."""
    return [Path(word.partition("::")[0]).absolute() for word in config.args]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Hand the seed to an xdist worker."""
    node.workerinput["layerproof_seed"] = node.config.option.hypothesis_seed  # type: ignore[attr-defined]


def pytest_report_header(config: pytest.Config) -> str:
    """Say what is under test."""
    path = dockerfile_path(config)
    return f"layerproof: {path}, seed {config.option.hypothesis_seed}"


def dockerfile_path(config: pytest.Config) -> Path:
    """Return the Dockerfile under test: the one named, the project's, the scripts', or ours."""
    named = config.getoption("--dockerfile")
    project = config.getoption("--project")
    if named is not None:
        return Path(named)
    configured = said(config)
    if configured.dockerfile is not None:
        return configured.directory / configured.dockerfile
    scripts = config.getoption("--scripts-dir")
    for folder in (project, scripts.resolve().parent if scripts is not None else None):
        for name in ("Dockerfile.optimized", "Dockerfile"):
            if folder is not None and (folder / name).is_file():
                return Path(folder) / name
    return ROOT / "Dockerfile.optimized"


def said(config: pytest.Config) -> Config:
    """Return what `layerproof.toml` says: the project's, or the one beside the Dockerfile."""
    named, project = config.getoption("--dockerfile"), config.getoption("--project")
    return find_config(project or (named.parent if named is not None else ROOT))


def load_subject(config: pytest.Config, *, generated: bool = False) -> Subject:
    """Read what the options point at; with `generated`, to be judged by generated projects alone.

    Those are like the project, or what lies beside the Dockerfile. Raises a LayerProofError for
    what cannot be read.
    """
    project = config.getoption("--project")
    if project is not None and not project.is_dir():
        what = "not a directory" if project.exists() else "no such project"
        raise UsageError(f"{what}: {str(project)!r}")
    path = config.getoption("--dockerfile")
    like = project or (path.parent if path is not None else None)
    if generated:
        project = None
    configured = said(config)
    scripts = config.getoption("--scripts-dir")
    if scripts is None:
        named = configured.scripts
        scripts = configured.directory / named if named is not None else ROOT / "scripts"
    loaded = subjects.load(
        dockerfile_path(config),
        scripts=scripts.resolve(),
        project=project.resolve() if project is not None else None,
        like=like,
        config=configured,
    )
    needs_network = project is not None or outside.downloads(loaded.dockerfile)
    network = None if needs_network else "none"
    return replace(loaded, options=replace(loaded.options, network=network))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tag each property's tests with the property's own line; leave out what is not claimed."""
    try:
        not_claimed = said(config).not_claimed
    except LayerProofError as error:
        raise pytest.UsageError(str(error)) from error
    left_out = []
    places = [n for n, item in enumerate(items) if item.get_closest_marker("property")]
    ordered = sorted((items[n] for n in places), key=_turn)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item
    for item in items:
        for mark in item.iter_markers("property"):
            item.user_properties.append(("tag", records.BY_ID[mark.args[0]].tag))
            if mark.args[0] in not_claimed:
                left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _turn(item: pytest.Item) -> int:
    return min(DEAREST_FIRST.index(mark.args[0]) for mark in item.iter_markers("property"))


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return how set-up says what it does: on the terminal, past pytest's capture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"[INFO] {line}", file=sys.stderr, flush=True)

    return say


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Iterator[Engine]:
    """Provide this worker's engine; sweep up what runs that were killed left on it."""
    config = request.config
    choices = config.getoption("--engine") or ["auto"]
    worker = getattr(config, "workerinput", {}).get("workerid", "gw0").removeprefix("gw")
    choice = choices[int(worker) % len(choices)]
    required = config.getoption("--require-engine") or bool(os.environ.get("CI"))
    at_least = subjects.engine_version(load_subject(config).dockerfile)
    try:
        provided = engines.provide(choice, say=say, at_least=at_least)
        found = provided.__enter__()
    except EnvironmentLacksError as error:
        if required:
            raise
        pytest.skip(f"{error.message}; {error.hint}")
    try:
        sweep.abandoned(found)
        yield found
        if not config.getoption("--keep"):
            sweep.own(found)
    finally:
        provided.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def living_engine(request: pytest.FixtureRequest, say: Callable[[str], None]) -> None:
    """Start this worker's private engine again before a test, where one has ended it."""
    ours = request.getfixturevalue("engine") if "engine" in request.fixturenames else None
    if isinstance(ours, Engine):  # a test may have a parameter of that name
        ours.start_again_if_dead(say=say)


@pytest.fixture(scope="session")
def configuration(request: pytest.FixtureRequest) -> Config:
    """Return what `layerproof.toml` says of the build under test."""
    return said(request.config)


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest) -> Subject:
    """Return what is under test."""
    return load_subject(request.config)


@pytest.fixture(scope="session")
def bench(generated_bench: Bench) -> Bench:
    """Return the bench of generated projects for what runs the scripts in them."""
    folder = generated_bench.subject.shape.folder
    if folder:
        pytest.skip(
            f"{generated_bench.subject.dockerfile.path} takes the project from {folder}/, and "
            "scripts build one in the root of the context"
        )
    return generated_bench


@pytest.fixture(scope="session")
def generated_bench(
    engine: Engine, say: Callable[[str], None], request: pytest.FixtureRequest
) -> Iterator[Bench]:
    """Make this worker's engine ready for generated projects."""
    keep = bool(request.config.getoption("--keep"))
    subject = load_subject(request.config, generated=True)
    real = request.config.getoption("--project")
    if real:
        try:
            scenario.expect_projects_to_fit(subject)
        except ProjectError as error:
            pytest.skip(f"{error.message}: {error.context[-1]}")
    with scenario.prepare(engine, subject, say=say, keep=keep) as made:
        if real:
            why = scenario.why_it_builds_no_generated_project(made)
            if why is not None:
                pytest.skip(
                    f"{subject.dockerfile.path} builds the project, and no generated one: {why}"
                )
        yield made


@pytest.fixture(scope="session")
def project_bench(
    engine: Engine, subject: Subject, say: Callable[[str], None], request: pytest.FixtureRequest
) -> Iterator[Bench]:
    """Make this worker's engine ready for the project under test, or for generated ones."""
    if subject.project is None:
        yield request.getfixturevalue("generated_bench")
        return
    keep = bool(request.config.getoption("--keep"))
    with scenario.prepare(engine, subject, say=say, keep=keep) as made:
        scenario.expect_project_to_build(made)
        yield made


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Count the scenarios of a test; one that ends without any has checked nothing."""
    counted = Tally()
    yield counted
    report = getattr(request.node, "layerproof_report", None)
    if report is not None and report.passed and counted.scenarios == 0:
        pytest.fail("the property checked no scenario at all", pytrace=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """Keep the outcome of a test for its fixtures; what we report ourselves needs no traceback."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.layerproof_report = report  # type: ignore[attr-defined]
    raised = call.excinfo.value if call.excinfo is not None else None
    engine = getattr(item, "funcargs", {}).get("engine")
    if raised is not None and engine is not None:  # it may have failed for want of that
        try:
            engine.expect_answer(str(raised))
        except EnvironmentLacksError as error:
            raised = error
    if isinstance(raised, FlakyFailure):  # Hypothesis could not make it happen once more
        seen = [e for e in raised.exceptions if isinstance(e, PropertyViolation)]
        report.longrepr = f"{seen[0]}\n\n{SEEN_ONCE}" if seen else report.longrepr
    if isinstance(raised, (PropertyViolation, LayerProofError)):
        report.longrepr = str(raised)
    if isinstance(raised, LayerProofError):
        report.user_properties.append((CANNOT_RUN, str(raised)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where nothing failed but what could not be run, end as pytest does on bad usage.

    What kept several tests from running is told in full once.
    """
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return
    bad = [*reporter.stats.get("failed", ()), *reporter.stats.get("error", ())]
    reasons = [dict(getattr(report, "user_properties", ())).get(CANNOT_RUN) for report in bad]
    for number, (report, reason) in enumerate(zip(bad, reasons, strict=True)):
        if reason is not None and reason in reasons[:number]:
            report.longrepr = f"{reason.splitlines()[0]} (in full above)"
    if bad and None not in reasons:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR


@pytest.fixture
def judge(request: pytest.FixtureRequest, subject: Subject) -> Judge:
    """Return the judge of the test's property: it raises a violation's report."""
    mark = request.node.get_closest_marker("property")
    return Judge(records.BY_ID[mark.args[0]], subject.dockerfile, repeat_command(request))


def repeat_command(request: pytest.FixtureRequest) -> str:
    """Return the command line that runs this test again as it ran, ready to be pasted."""
    config = request.config
    words = ["pytest", request.node.nodeid]
    profile = config.getoption("hypothesis_profile", None)
    words += [f"--hypothesis-profile={profile}"] if profile else []
    words.append(f"--hypothesis-seed={config.option.hypothesis_seed}")
    for name in ("--project", "--dockerfile", "--scripts-dir"):
        value = config.getoption(name)
        words += [f"{name}={value}"] if value is not None else []
    words += [f"--engine={choice}" for choice in config.getoption("--engine") or ()]
    return shlex.join(words)
