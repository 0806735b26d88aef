"""Calls a function about an open file in a process of its own, which may die, hang or grow.

HDF5 ends the process on some damaged files. So a clean process is started once, without threads and
without HDF5 at work, and forks for each file: what one file spoils in the memory of HDF5, the next
one does not meet, and no lock of a process with threads is inherited. Where the system cannot fork
(Windows), the function is called as it is.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmcore import errors
from fmcore.errors import FmcoreError

# The helper ends by itself after this time without work, and is started anew when it is needed.
IDLE_SECONDS = 30.0
# What waits for a disk takes no CPU; so much longer may a call take in all.
WAITING_SECONDS = 60.0
MOST_ANSWER_BYTES = 4 << 20
MOST_FILES = 64
OPEN_FILES = (Path("/proc/self/fd"), Path("/dev/fd"))
# How answers begin that are no errors.
RESULT = b'{"result"'
END_SECONDS = 0.05
# The helper's imports take 0.6 s; 50 times as long on a machine that is starting.
START_SECONDS = 30.0
HAS_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fmcore.apart import answer_calls; answer_calls(int(sys.argv[2]), sys.argv[3])"
)


class ApartError(FmcoreError, RuntimeError):
    """The process of a call died, took too long or needed too much memory; a clause says which."""


class NoHelperError(FmcoreError, OSError):
    """No process of its own can be started or answers, whatever the file: the system forbids it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may take.

    Attributes:
        memory_bytes: address space beyond what Python and its libraries take. The chunk indexes of
            a store of 200 layers and 60,000 samples take 0.5 GB.
        seconds: of CPU; the structure of a store of 200 layers is looked through in 5 s.
    """

    memory_bytes: int = 1 << 30
    seconds: float = 20.0


BOUNDS = Bounds()
# A look reads the file at least once, to digest or to inflate it: 200 MB/s on the slowest core.
SLOWEST_BYTES_PER_SECOND = 20e6


def bounds_for(n_bytes: int, *, memory_bytes: int = BOUNDS.memory_bytes) -> Bounds:
    """What a look at a file of so many bytes may take."""
    return Bounds(memory_bytes, BOUNDS.seconds + n_bytes / SLOWEST_BYTES_PER_SECOND)


class Apart:
    """A function that is called in a process of its own; safe to share between threads and forks.

    Calls come one after the other.
    """

    def __init__(self, function: str) -> None:
        """Names the function; nothing is started yet.

        Args:
            function: `module:name` of a function of an open descriptor and a text, whose result can
                be written as JSON.
        """
        self._function = function
        self._lock = threading.Lock()
        self._helper: _Helper | None = None

    def call(self, descriptor: int, text: str, bounds: Bounds = BOUNDS) -> Any:
        """The result of the function.

        Args:
            descriptor: an open file, which the function shares.
            text: what the function gets beside it.
            bounds: what the call may take.

        Raises:
            FmcoreError: if the function raises it.
            ApartError: if the function dies, fails in another way, or exceeds its bounds.
            NoHelperError: if there is no process to call it in.
        """
        if not HAS_FORK:
            return _imported(self._function)(descriptor, text)
        words = [text, bounds.memory_bytes, bounds.seconds]
        with self._lock:
            answer = None
            for _ in range(2):  # a helper that was idle may end just before it is asked
                if self._helper is None or not self._helper.is_own:
                    self._helper = _Helper(self._function)
                answer = self._helper.ask(words, descriptor, bounds.seconds)
                if answer is not None:
                    break
                self._helper.stop()
                self._helper = None
        if answer is None:
            raise NoHelperError(
                "no file can be looked through: the process for that does not start or ends at "
                f"once; try `{sys.executable} -c 'import fmcore'`, and allow fork and setrlimit"
            )
        if "result" in answer:
            return answer["result"]
        kind = getattr(errors, str(answer.get("kind")), ApartError)
        raise kind(str(answer["error"]))

    def stop(self) -> None:
        """Ends the helper, if there is one; a later call starts another."""
        with self._lock:
            if self._helper is not None and self._helper.is_own:
                self._helper.stop()
            self._helper = None


class _Helper:
    """The clean process that forks for each call, as its parent sees it."""

    def __init__(self, function: str) -> None:
        self._owner = os.getpid()
        self._socket, theirs = socket.socketpair()
        with theirs:
            # One thread in it, so that it may fork; freed memory is overwritten, so that HDF5's
            # errors in the use of memory show there, not by chance later.
            threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
            self._process = subprocess.Popen(  # noqa: S603 (Python itself, with arguments of ours)
                [sys.executable, "-P", "-c", _START, json.dumps(sys.path), str(theirs.fileno()),
                 function],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **threads, "MALLOC_PERTURB_": "165"},
            )  # fmt: skip
        self._is_new = True

    @property
    def is_own(self) -> bool:
        """Whether this process started it: a forked worker must not read its parent's answers."""
        return self._owner == os.getpid()

    def ask(self, words: list[Any], descriptor: int, seconds: float) -> dict[str, Any] | None:
        """The answer; None if the helper has ended or does not answer."""
        patience = seconds + 2 * WAITING_SECONDS + (START_SECONDS if self._is_new else 0)
        self._is_new = False
        self._socket.settimeout(patience)
        try:
            socket.send_fds(self._socket, [json.dumps(words).encode() + b"\n"], [descriptor])
            text = bytearray()
            while not text.endswith(b"\n"):
                part = self._socket.recv(1 << 16)
                if not part:
                    return None
                text += part
        except OSError:  # it has ended, or the time is over
            return None
        answer: dict[str, Any] = json.loads(text)
        return answer

    def stop(self) -> None:
        """Ends it."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def call_apart(function: str, descriptor: int, text: str, bounds: Bounds) -> Any:
    """The result of a function that is called once; its process ends with the call.

    Args:
        function: as in `Apart`.
        descriptor: an open file, which the function shares.
        text: what the function gets beside it.
        bounds: what the call may take.

    Raises:
        FmcoreError: if the function raises it.
        ApartError: if the function dies, fails in another way, or exceeds its bounds.
        NoHelperError: if there is no process to call it in.
    """
    apart = Apart(function)
    try:
        return apart.call(descriptor, text, bounds)
    finally:
        apart.stop()


def answer_calls(number: int, function: str) -> None:
    """Answers calls until nobody asks any more; the whole life of a helper.

    A fork answers one call after the other, as long as all of them have a result. Any other answer
    of a fork that was used before may come of what an earlier file left in its memory: it is asked
    again of a new one.

    Args:
        number: the descriptor of the socket to its parent.
        function: as in `Apart`.
    """
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is its parent's, whose end is its own
    called = _imported(function)
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),  # it only reads
        (resource.RLIMIT_NOFILE, MOST_FILES),
    ):
        resource.setrlimit(kind, (most, most))
    gc.freeze()  # so that a fork copies fewer pages
    fork: _Fork | None = None
    with socket.socket(fileno=number) as parent:
        while select.select([parent], [], [], IDLE_SECONDS)[0]:
            words, descriptor = _received(parent)
            if words is None:
                return
            answer, is_new = b"", False
            while not answer.startswith(RESULT) and not is_new:
                is_new = fork is None
                fork = fork or _Fork(called, parent)
                answer = fork.ask(words, descriptor)
                if not answer.startswith(RESULT):
                    fork.stop()
                    fork = None
            os.close(descriptor)
            parent.sendall(answer)


def _received(connection: socket.socket) -> tuple[bytes | None, int]:
    """The next line and the descriptor that came with it; None if nobody asks any more."""
    text, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 1)
    while text and not text.endswith(b"\n"):
        part = connection.recv(1 << 16)
        text = text + part if part else b""
    return (text, descriptors[0]) if text and descriptors else (None, -1)


class _Fork:
    """A fork of the helper that answers calls, as the helper sees it."""

    def __init__(self, called: Callable[[int, str], Any], parent: socket.socket) -> None:
        self._parent = parent
        self._socket, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._socket.close()
                parent.close()
                _answer_in_fork(called, theirs)
            finally:
                os._exit(1)
        theirs.close()

    def ask(self, words: bytes, descriptor: int) -> bytes:
        """The answer to a call; ends the helper if its parent has gone."""
        _, _, seconds = json.loads(words)
        answer, until = bytearray(), time.monotonic() + seconds + WAITING_SECONDS
        socket.send_fds(self._socket, [words], [descriptor])
        while not answer.endswith(b"\n") and len(answer) <= MOST_ANSWER_BYTES:
            rest = max(0.0, until - time.monotonic())
            ready = select.select([self._socket, self._parent], [], [], rest)[0]
            if self._parent in ready:  # nobody waits any more
                self.stop()
                sys.exit()
            part = self._part() if ready else b""
            if not part:
                break
            answer += part
        if answer.endswith(b"\n"):
            return bytes(answer)
        return _line(error=_how_it_ended(self.stop(), seconds))

    def _part(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except ConnectionError:  # it ended before it had read all
            return b""

    def stop(self) -> int:
        """Ends it, and gives the exit code: that of its own end, if it has ended by itself."""
        self._socket.close()
        if self._pid == 0:
            return 0
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid == 0:
            # Its end of the socket closes a moment before it is gone for good.
            time.sleep(END_SECONDS)
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid == 0:
            os.kill(self._pid, signal.SIGKILL)
            _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)


def _answer_in_fork(called: Callable[[int, str], Any], helper: socket.socket) -> None:
    """Answers calls within their bounds until the helper asks no more."""
    import resource

    own_bytes = _address_space()
    while True:
        text, descriptor = _received(helper)
        if text is None:
            return
        words, memory_bytes, seconds = json.loads(text)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        most = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
        _, hardest = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (most, hardest))
        if own_bytes:
            most = own_bytes + memory_bytes
            resource.setrlimit(
                resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1])
            )
        try:
            answer = _line(result=called(descriptor, words))
        except MemoryError:
            answer = _line(error=f"it takes more than {memory_bytes >> 20:,} MiB of memory")
        except FmcoreError as error:
            answer = _line(kind=type(error).__name__, error=str(error))
        except Exception as error:  # raised in the parent
            answer = _line(error=f"{type(error).__name__}: {error}")
        os.close(descriptor)
        helper.sendall(answer)


def _line(**answer: Any) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _address_space() -> int:
    """Bytes of address space that this process takes; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (short)
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # macOS, where a bound on address space does not hold either
        return 0


def _how_it_ended(code: int, seconds: float) -> str:
    if code == -signal.SIGXCPU or code == -signal.SIGKILL:
        return f"it takes more than {seconds:,.0f} s to look at, or too much memory"
    if code < 0:
        return f"HDF5 itself crashes on it ({signal.Signals(-code).name})"
    return "HDF5 itself ends on it"


def name_of_open(descriptor: int, path: Path) -> Path:
    """A name under which an open file opens again, even if another lies at its path by now.

    Args:
        descriptor: of the open file.
        path: its name where the system has none for the open files of a process (Windows).
    """
    for folder in OPEN_FILES:
        if folder.is_dir():
            return folder / str(descriptor)
    return path


def _imported(function: str) -> Callable[[int, str], Any]:
    module, _, name = function.partition(":")
    called: Callable[[int, str], Any] = getattr(importlib.import_module(module), name)
    return called
