"""Takes the cost of copied memory out of a reload.

A forked process shares its memory with the zygote until it writes: each page's first write stops it for a copy, some 3,000
times while a small application is imported, which is half of the time that takes. Which pages are written is much the
same each time. So the first worker looks which it has of its own, and a spare worker, which waits for the next reload,
gets its copies of just these ahead.
"""

import array
import os
from typing import Any, List, Tuple

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MADV_POPULATE_WRITE = 23
# Two ranges with less than this between them are one.
_GAP = 2
# Bits of /proc/self/pagemap.
_PRESENT, _OF_FILE, _EXCLUSIVE = 1 << 63, 1 << 61, 1 << 56


def mappings() -> List[Tuple[int, int]]:
    """The private memory of this process that it may write."""
    found = []
    try:
        with open("/proc/self/maps") as file:
            for line in file:
                area, rights = line.split(None, 2)[:2]
                if rights[:2] == "rw" and rights[3] == "p":
                    begin, _, end = area.partition("-")
                    found.append((int(begin, 16), int(end, 16)))
    except OSError:
        return []
    return found


def own_pages(areas: List[Tuple[int, int]]) -> List[str]:
    """The pages of these areas that are this process's own by now, as `begin:count`, begin in hexadecimal."""
    found: List[str] = []
    try:
        descriptor = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        for begin, end in areas:
            entries = array.array("Q")
            data = os.pread(descriptor, (end - begin) // _PAGE * 8, begin // _PAGE * 8)
            entries.frombytes(data[: len(data) // 8 * 8])
            own = [
                at for at, bits in enumerate(entries) if bits & _PRESENT and bits & _EXCLUSIVE and not bits & _OF_FILE
            ]
            found += [f"{begin + first * _PAGE:x}:{count}" for first, count in _runs(own)]
    except OSError:
        return []
    finally:
        os.close(descriptor)
    return found


def _runs(numbers: List[int]) -> List[Tuple[int, int]]:
    runs: List[Tuple[int, int]] = []
    for number in numbers:
        if runs and number - (runs[-1][0] + runs[-1][1]) <= _GAP:
            runs[-1] = (runs[-1][0], number - runs[-1][0] + 1)
        else:
            runs.append((number, 1))
    return runs


def take(ranges: List[str]) -> None:
    """Makes these pages this process's own. A kernel that cannot, or a page that is not there, costs time only."""
    try:
        import ctypes

        library: Any = ctypes.CDLL(None, use_errno=True)
        advise = library.madvise
    except (ImportError, OSError, AttributeError):
        return
    for text in ranges:
        begin, _, count = text.partition(":")
        advise(ctypes.c_void_p(int(begin, 16)), ctypes.c_size_t(int(count) * _PAGE), _MADV_POPULATE_WRITE)
