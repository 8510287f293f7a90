"""Progress with time left: one rewritten line on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO


class Tick(Protocol):
    """count: units that have just been done; work: what they weigh, where units differ in how long they take."""

    def __call__(self, count: int, work: float | None = None) -> None: ...


class Progress(Protocol):
    """Where stages say how far they are. `stage` gives a Tick; `work` is what all units weigh together."""

    def stage(self, title: str, total: int, unit: str = "", work: float | None = None): ...

    def say(self, message: str) -> None: ...


class Silent:
    """For Python callers who want no output, and for tests."""

    @contextmanager
    def stage(self, title: str, total: int, unit: str = "", work: float | None = None) -> Iterator[Tick]:
        yield lambda count, work=None: None

    def say(self, message: str) -> None:
        return None


class StderrProgress:
    """Time left is what remains at the rate of this run's last minute or so; work done before does not count."""

    def __init__(self, stream: TextIO | None = None, seconds_between_lines: float = 10.0):
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._interval_s = 0.1 if self._is_terminal else seconds_between_lines

    @contextmanager
    def stage(self, title: str, total: int, unit: str = "", work: float | None = None) -> Iterator[Tick]:
        done, start = 0, time.monotonic()
        all_work = left_to_do = float(total if work is None else work)
        last_line, rate = start, Rate(start)

        def counted() -> int:
            """Units that are gone over again count by their work: they are not all there before the last is done."""
            return done if not work else int(total * (1 - left_to_do / all_work))

        def line(final: bool = False) -> None:
            left = rate.seconds_left(left_to_do)
            tail = f"in {duration(time.monotonic() - start)}" if final else f"{duration(left)} left" if left else ""
            text = f"{title}: {counted():,}/{total:,} {unit}".rstrip() + (f", {tail}" if tail else "")
            self._write(text, final)

        def tick(count: int, work: float | None = None) -> None:
            nonlocal done, last_line, left_to_do
            weight = float(count if work is None else work)
            done += count
            left_to_do -= weight
            now = time.monotonic()
            rate.add(now, weight)
            if now - last_line >= self._interval_s:
                last_line = now
                line()

        try:
            yield tick
        except BaseException:
            self._write(f"{title}: stopped at {counted():,}/{total:,}", final=True)
            raise
        line(final=True)

    def say(self, message: str) -> None:
        self._stream.write(("\r\x1b[2K" if self._is_terminal else "") + message + "\n")
        self._stream.flush()

    def _write(self, text: str, final: bool) -> None:
        if self._is_terminal:
            self._stream.write("\r\x1b[2K" + text + ("\n" if final else ""))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()


class Rate:
    """Units a second over a sliding window, so that a slow start does not spoil the estimate for long."""

    def __init__(self, start: float, window_s: float = 60.0):
        self._window_s = window_s
        self._points: list[tuple[float, float]] = [(start, 0.0)]

    def add(self, now: float, count: float) -> None:
        self._points.append((now, self._points[-1][1] + count))
        while len(self._points) > 2 and now - self._points[1][0] > self._window_s:
            self._points.pop(0)

    def seconds_left(self, units: float) -> float | None:
        """None while nothing has been done."""
        (t0, n0), (t1, n1) = self._points[0], self._points[-1]
        return units * (t1 - t0) / (n1 - n0) if n1 > n0 else None


def duration(seconds: float | None) -> str:
    """2 → "2 s", 75 → "1 min 15 s", 4000 → "1 h 06 min"."""
    if seconds is None:
        return "unknown time"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
