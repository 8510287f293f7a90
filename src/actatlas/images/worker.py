"""The process that decodes strangers' files: bytes in, pixels out, under limits that it cannot lift.

Asked by `isolation.py`: on stdin a request is its length, the pixels wanted (−1: all) and the file's bytes; the answer
on stdout is width, height and RGB pixels, or 0, the length of a reason, and the reason.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from typing import BinaryIO

from PIL import Image

from actatlas.errors import UnreadableImage
from actatlas.images.decoding import FORMATS, decode

try:
    import resource
except ImportError:  # Windows has no such limits; a process of its own remains
    resource = None  # type: ignore[assignment]

REQUEST = struct.Struct("<qi")
READY = b"\1"
ANSWER = struct.Struct("<ii")


def serve(requests: BinaryIO, answers: BinaryIO, memory_bytes: int, cpu_s: int, decode: Callable = decode) -> None:
    """Until the requests end. memory_bytes: beyond what the process takes before; cpu_s: for one photo"""
    Image.init()  # every decoder is loaded before the limits hold
    assert set(FORMATS) <= set(Image.OPEN)
    _limit(memory_bytes)
    answers.write(READY)
    answers.flush()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        length, wanted_px = REQUEST.unpack(head)
        content = requests.read(length)
        _limit_time(cpu_s)
        try:
            photo = decode(content, None if wanted_px < 0 else wanted_px)
            pixels = photo.tobytes()
        except UnreadableImage as error:
            _refuse(answers, error.reason)
        except MemoryError:
            _refuse(answers, "does not fit into memory")
        else:
            answers.write(ANSWER.pack(*photo.size))
            answers.write(pixels)
            del photo, pixels
        answers.flush()
        del content


def _refuse(answers: BinaryIO, reason: str) -> None:
    told = reason.encode("utf-8", "replace")
    answers.write(ANSWER.pack(0, len(told)) + told)


def _limit(memory_bytes: int) -> None:
    """No more memory than that, no files, no processes, no core dumps."""
    if resource is None:
        return
    taken = _address_bytes()
    if taken:
        _lower(resource.RLIMIT_AS, taken + memory_bytes)
    for name in ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NPROC"):
        if hasattr(resource, name):
            _lower(getattr(resource, name), 0)


def _limit_time(cpu_s: int) -> None:
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + cpu_s + 1, hard))


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))


def _address_bytes() -> int:
    """That this process has mapped; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def main(decode: Callable = decode) -> None:
    """Arguments: bytes of memory, seconds of computing for one photo."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    serve(sys.stdin.buffer, answers, int(sys.argv[1]), int(sys.argv[2]), decode)


if __name__ == "__main__":
    main()
