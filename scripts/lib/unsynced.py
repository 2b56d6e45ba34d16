"""Runs a program that never waits for the disk: python3 unsynced.py PROGRAM ARGUMENT...

For it and all that it starts, a seccomp filter answers fsync, fdatasync, sync and syncfs with
success at once. What they write is whole as long as the machine does not crash. Where there can be
no such filter the program runs without one. Linux; seccomp(2), linux/seccomp.h, linux/audit.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

# By machine: its AUDIT_ARCH, and the numbers of fsync, fdatasync, sync and syncfs.
CALLS = {
    "x86_64": (0xC000003E, (74, 75, 162, 306)),
    "aarch64": (0xC00000B7, (82, 83, 81, 267)),
}
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
NUMBER, ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
ALLOW, SUCCEED = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with no error
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def filter_for(machine: str) -> list[tuple[int, int, int, int]]:
    """Return the filter's instructions: code, jump if true, jump if false, value."""
    architecture, calls = CALLS[machine]
    tests = [(EQUAL, len(calls) - place, 0, number) for place, number in enumerate(calls)]
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 0, len(calls) + 1, architecture),
        (LOAD, 0, 0, NUMBER),
        *tests,
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, SUCCEED),
    ]


def install(machine: str) -> bool:
    """Put the filter in force for this process; False where the machine or the kernel has none."""
    if machine not in CALLS:
        return False
    code = b"".join(struct.pack("HBBI", *each) for each in filter_for(machine))
    kept = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.addressof(kept))
    library = ctypes.CDLL(None)
    return bool(library.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)) == 0)


if __name__ == "__main__":
    install(platform.machine())
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - there is nothing for a shell to read
