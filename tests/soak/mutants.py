"""Changes one small thing in fmcore's code after the other: tests must notice each of them.

Tests are collected once. Then a process is forked for each mutant: it swaps the code of the changed
function, and runs the tests that run the changed line until the first fails. A mutant that no test
notices is a law that no test states, or it changes nothing that can be seen: those are listed in
`equivalent_mutants.txt`, each with its reason.

    python tests/soak/mutants.py [--quick] [--share S] [--only TEXT …] [FILE …]
"""

from __future__ import annotations

import ast
import gc
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import coverage
import pytest
from hypothesis import Phase, settings

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.harness import Options
from soak.mutations import Mutant, mutants_of

# Where all survivors have been dealt with; other modules can be named.
SCOPE = (
    "fmcore/files.py",
    "fmcore/selection",
    "fmcore/capture/cost.py",
)
# An estimate has no exact reference: tests hold it to a share of what a store takes.
LEFT_OUT = tuple(
    f"fmcore/capture/cost.py {name}"
    for name in (
        "estimate_layer",
        "(MOMENT_BYTES",
        "TOP_BYTES",
        "(HISTOGRAM",
        "(CHANCE",
        "SHARES",
        "ARRAY_METADATA",
        "_share",
        "(EMPTY_TABLES",
    )
)
QUICK = ("fmcore/selection/names.py", "tests/fmcore/test_selection.py")
FAST = "not (keras or browser or viewer or slow)"
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.txt")
MEMORY = 3 << 30  # more than the tests need, for a mutant that allocates without end
# A test that waits, or works without end.
TIMERS = (signal.SIGALRM, signal.SIGPROF)
ERROR = 9  # the exit code of a process in which a mutant could not be tried
# Constants of a module that other modules have imported by name.
PLAIN = (int, float, tuple, set, frozenset, dict)


@dataclass(slots=True)
class Baseline:
    """What the tests do without a mutant.

    Attributes:
        tests: the tests that run each line, by file and line.
        seconds: of the processor that each test takes.
    """

    tests: dict[str, dict[int, set[str]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class Mutation:
    """A plugin of pytest that tests mutants in place of running the collected tests once.

    Args:
        files: the modules to change.
        options: the command line.
        out: where to print; pytest captures the standard output.
    """

    def __init__(self, files: Sequence[str], options, out) -> None:
        self._files, self._options, self._out = files, options, out
        self._items: dict[str, pytest.Item] = {}
        self._failed = ""
        self._breadth: Counter[str] = Counter()  # how many lines each test runs
        self._killers: dict[str, Counter[str]] = defaultdict(Counter)
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.unexpected: list[str] = []

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed = report.nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self) -> tuple[str, str, str]:
        """No letter for each test that a mutant fails."""
        return "", "", ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            return None
        self._items = {item.nodeid: item for item in session.items}
        baseline = self._baseline()
        equivalent = tuple(read_equivalent(EQUIVALENT))
        names = {
            file: file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for file in self._files
        }
        codes = {file: LoadedModule(sys.modules[names[file]], str(ROOT / file)) for file in names}
        self._breadth = Counter(
            test
            for lines in baseline.tests.values()
            for run_by in lines.values()
            for test in run_by
        )
        gc.freeze()  # a collection in each process would copy all of this one's memory
        for file, code in codes.items():
            began = time.monotonic()
            for mutant in self._drawn(file):
                if is_listed(mutant.name, equivalent):
                    outcome, detail = "equivalent", ""
                else:
                    outcome, detail = self._outcome(mutant, code, baseline)
                self.counts[file][outcome] += 1
                if outcome in ("survived", "not run"):
                    self.unexpected.append(mutant.name)
                if outcome in ("survived", "not run") or self._options.verbose:
                    self._print(f"{outcome}: line {mutant.first}: {mutant.name}  {detail}".rstrip())
            all_names = [mutant.name for mutant in mutants_of(ROOT, file)]
            for line in equivalent:
                if line.startswith(f"{file} ") and not any(
                    is_listed(name, [line]) for name in all_names
                ):
                    self.unexpected.append(line)
                    self._print(f"listed, but there is no such mutant: {line}")
            numbers = ", ".join(f"{n} {what}" for what, n in self.counts[file].items())
            self._print(f"== {file}: {numbers or 'none'}; {time.monotonic() - began:.0f} s")
        return True

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)

    def _drawn(self, file: str) -> Iterator[Mutant]:
        """The mutants of a file, or the share of them that is wanted."""
        draw = random.Random(f"{self._options.seed} {file}")
        for mutant in mutants_of(ROOT, file):
            is_drawn = draw.random() < self._options.share
            is_wanted = all(text in mutant.name for text in self._options.only)
            if is_drawn and is_wanted and not mutant.name.startswith(LEFT_OUT):
                yield mutant

    def _baseline(self) -> Baseline:
        """Runs all tests once in a process of its own, and records which lines each runs."""
        with tempfile.NamedTemporaryFile() as file:
            pid = os.fork()
            if not pid:
                files = [str(ROOT / name) for name in self._files]
                lines = coverage.Coverage(data_file=None, include=files, config_file=False)
                lines.start()
                seconds = {}
                for nodeid, item in self._items.items():
                    lines.switch_context(nodeid)
                    began = time.process_time()
                    self._run([item])
                    seconds[nodeid] = time.process_time() - began
                lines.stop()
                data = lines.get_data()
                tests = {name: data.contexts_by_lineno(str(ROOT / name)) for name in self._files}
                Path(file.name).write_bytes(pickle.dumps((self._failed, tests, seconds)))
                os._exit(0)
            os.waitpid(pid, 0)
            failed, tests, seconds = pickle.loads(Path(file.name).read_bytes())
        if failed:
            raise pytest.UsageError(f"{failed} fails without a mutant")
        self._print(f"{len(self._items)} tests take {sum(seconds.values()):.0f} s, measured")
        return Baseline(
            {
                name: {line: {test for test in run_by if test} for line, run_by in lines.items()}
                for name, lines in tests.items()
            },
            seconds,
        )

    def _run(self, items: Sequence[pytest.Item], limits: Sequence[float] = ()) -> None:
        """Runs tests; with limits, in seconds of the processor, until one fails or takes longer."""
        for index, item in enumerate(items):
            if limits:
                signal.setitimer(signal.ITIMER_PROF, limits[index])
            following = items[index + 1] if index + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if limits and self._failed:
                return

    def _outcome(self, mutant: Mutant, code: LoadedModule, baseline: Baseline) -> tuple[str, str]:
        """What became of a mutant, and which test noticed it or how many did not."""
        lines = baseline.tests[mutant.file]
        covering = set().union(*(lines.get(line, set()) for line in code.users(mutant)))
        if not mutant.scope:  # used by other modules only
            covering = covering or set().union(*lines.values())
        if not covering:
            return "not run", ""
        killers = self._killers[mutant.scope]
        # A test of little code says more about this line than one of a whole capture.
        ranked = sorted(covering, key=lambda test: (-killers[test], self._breadth[test]))
        chosen, seconds = [], 0.0
        for test in ranked:
            if seconds < self._options.seconds:
                chosen.append(test)
                seconds += baseline.seconds[test]
        with tempfile.NamedTemporaryFile() as file:
            pid = os.fork()
            if not pid:
                try:
                    limits = {test: 2 + 5 * baseline.seconds[test] for test in chosen}
                    self._child(mutant, code, limits, Path(file.name))
                finally:
                    traceback.print_exc(file=self._out)
                    os._exit(ERROR)
            _, status = os.waitpid(pid, 0)
            killer = Path(file.name).read_text("utf-8")
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) in TIMERS:
            return "timed out", ""
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == ERROR:
            return "not run", "the mutant could not be put in place"
        if os.WIFSIGNALED(status) or os.WEXITSTATUS(status):
            if killer in covering:
                killers[killer] += 1
            return "killed", killer
        return "survived", f"[{len(chosen)} of {len(covering)} tests]"

    def _child(
        self, mutant: Mutant, code: LoadedModule, limits: dict[str, float], out: Path
    ) -> None:
        """Runs tests on a mutant until the first fails, and ends this process."""
        os.setpgid(0, 0)
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + MEMORY,) * 2)
        for number in TIMERS:
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 60 + 10 * sum(limits.values()))
        try:
            code.swap(mutant)
            self._run([self._items[test] for test in limits], list(limits.values()))
        except (NotInPlace, SyntaxError):
            raise
        except BaseException as error:
            self._failed = repr(error)
        out.write_text(self._failed, "utf-8")
        os._exit(1 if self._failed else 0)


class NotInPlace(Exception):
    """A mutant whose code is not that of any function in use."""


class LoadedModule:
    """A module in use, whose code can be changed.

    Args:
        module: the module.
        path: its file.
    """

    def __init__(self, module: ModuleType, path: str) -> None:
        self._module, self._path = module, path
        self._functions = dict(_functions(vars(module)))
        self._tree = ast.parse(Path(path).read_text("utf-8"))

    def users(self, mutant: Mutant) -> set[int]:
        """The lines that run the change: those of the statement, or that use what it defines."""
        own = set(range(mutant.first, mutant.last + 1))
        if mutant.scope:
            return own
        nodes = list(ast.walk(self._tree))
        statement = next(
            node for node in nodes if isinstance(node, ast.stmt) and node.lineno == mutant.first
        )
        names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        readers = {node.lineno for node in nodes if isinstance(node, ast.Name) and node.id in names}
        is_function = isinstance(statement, ast.FunctionDef)
        return set(range(statement.lineno, statement.end_lineno + 1)) if is_function else readers

    def swap(self, mutant: Mutant) -> None:
        """Puts a mutant's code in the place of the module's."""
        compiled = compile(mutant.tree(ROOT), self._path, "exec", dont_inherit=True)
        if mutant.scope:
            swapped = [
                (self._functions[name, code.co_firstlineno], code)
                for name, code in _codes(compiled)
                if name == mutant.scope and (name, code.co_firstlineno) in self._functions
            ]
            if not swapped:
                raise NotInPlace(f"there is no function {mutant.scope} to change")
            for function, code in swapped:
                function.__code__ = code
            return
        fresh = ModuleType(self._module.__name__)
        fresh.__package__, fresh.__file__ = self._module.__package__, self._path
        exec(compiled, vars(fresh))
        for key, function in _functions(vars(fresh)):
            if old := self._functions.get(key):
                old.__defaults__, old.__kwdefaults__ = (
                    function.__defaults__,
                    function.__kwdefaults__,
                )
        for name, value in vars(fresh).items():
            old = vars(self._module).get(name)
            if type(value) in PLAIN and not name.startswith("__") and old != value:
                for module in list(sys.modules.values()):
                    if module is not fresh and getattr(module, "__dict__", {}).get(name) is old:
                        setattr(module, name, value)


def _functions(namespace: dict[str, object]) -> Iterator[tuple[tuple[str, int], FunctionType]]:
    """The functions of a module, also those behind decorators, by name and first line."""
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__globals__ is namespace:
            yield (function.__code__.co_qualname, function.__code__.co_firstlineno), function


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """The code of all functions in a module's code, with their names."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant.co_qualname, constant
            yield from _codes(constant)


def read_equivalent(path: Path) -> Iterator[str]:
    """Names of mutants that change nothing which can be seen, or with `…` how they begin."""
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


def is_listed(name: str, listed: Sequence[str]) -> bool:
    """Whether a mutant is in a list."""
    return any(
        name.startswith(line[:-1]) if line.endswith("…") else name == line for line in listed
    )


def modules(paths: Sequence[str]) -> list[str]:
    """The modules below some paths."""
    files = (ROOT / path for path in paths)
    below = (sorted(path.rglob("*.py")) if path.is_dir() else [path] for path in files)
    return [str(file.relative_to(ROOT)) for group in below for file in group]


def main() -> int:
    parser = Options(__doc__)
    parser.add_argument("files", nargs="*", help="modules or packages below the root")
    parser.add_argument("--only", nargs="+", default=(), help="mutants whose name holds the words")
    parser.add_argument("--verbose", action="store_true", help="all mutants, and what killed them")
    parser.add_argument("--tests", nargs="+", help="where the tests lie")
    parser.add_number("--share", 1.0, 0.2, help="the share of all mutants that is tried")
    parser.add_number("--seconds", 15.0, 15.0, help="of tests for a mutant, the quickest first")
    parser.add_number("--seed", 0, 0)
    options = parser.parse_args()
    files = modules(options.files or (QUICK[:1] if options.quick else SCOPE))
    tests = options.tests or [QUICK[1] if options.quick else "tests/fmcore"]
    out = os.fdopen(os.dup(1), "w")
    # An example that fails is enough; its smallest form is not needed.
    settings.register_profile("mutants", parent=settings.get_profile("ci"), deadline=None,
        derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))  # fmt: skip
    plugin = Mutation(files, options, out)
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        words = ["-q", "-p", "no:cacheprovider", "--no-summary", "--disable-warnings"]
        words += ["-m", FAST, f"--basetemp={folder}/tests", "--hypothesis-profile=mutants"]
        words += ["--tb=native"]  # the quickest
        code = pytest.main([*words, *tests], plugins=[plugin])
    total = sum(plugin.counts.values(), Counter())
    print(
        f"{total.total()} mutants: " + ", ".join(f"{n} {what}" for what, n in total.items()),
        file=out,
    )
    return int(bool(code or plugin.unexpected or not total))


if __name__ == "__main__":
    sys.exit(main())
