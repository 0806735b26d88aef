"""Runs a command as a unit of systemd would confine it: python confined.py UNIT COMMAND …

Only what needs no systemd: its list of system calls and of address families, by libseccomp, and no
more privileges than it has.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

LIBRARY = "libseccomp.so.2"
ALLOW = 0x7FFF0000
AF_UNIX, NOT_EQUAL = 1, 1
PR_SET_NO_NEW_PRIVS = 38


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def calls_of(group: str) -> set[str]:
    """The system calls of a group, such as `@system-service`, with those of the groups in it."""
    command = ["systemd-analyze", "syscall-filter", group]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    calls: set[str] = set()
    for name in re.findall(r"^ +([@a-z_0-9-]+)$", text, re.MULTILINE):
        calls |= calls_of(name) if name.startswith("@") else {name}
    return calls


def allowed(unit: str) -> set[str]:
    """The system calls that the lines `SystemCallFilter=` of a unit leave."""
    # What systemd itself needs to start a process is always allowed.
    calls = calls_of("@default")
    for line in re.findall(r"^SystemCallFilter=(.+)$", unit, re.MULTILINE):
        groups = [calls_of(group) for group in line.removeprefix("~").split()]
        calls = calls.difference(*groups) if line.startswith("~") else calls.union(*groups)
    return calls


def confine(calls: set[str]) -> None:
    """Has the kernel refuse all other calls, and sockets that are no Unix sockets, from now on."""
    library = ctypes.CDLL(LIBRARY, use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = (
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Comparison),
    )
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    rules = library.seccomp_init(0x00050000 | errno.EPERM)
    for name in sorted(calls - {"socket"}):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # else this processor has no such call
            assert library.seccomp_rule_add_array(rules, ALLOW, number, 0, None) == 0, name
    number = library.seccomp_syscall_resolve_name(b"socket")
    for action, operator in ((ALLOW, 4), (0x00050000 | errno.EAFNOSUPPORT, NOT_EQUAL)):
        comparison = _Comparison(0, operator, AF_UNIX, 0)
        assert library.seccomp_rule_add_array(rules, action, number, 1, comparison) == 0
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    assert library.seccomp_load(rules) == 0


if __name__ == "__main__":
    confine(allowed(Path(sys.argv[1]).read_text("utf-8")))
    os.execvp(sys.argv[2], sys.argv[2:])
