"""Fixtures that many tests share, and the rule about skips: `make test` fails on one that is not allowed."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from actatlas.networks import Network

ROOT = Path(__file__).resolve().parent.parent
NO_PHOTOS = "no photos: set ACTATLAS_PHOTOS"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def photos() -> Path:
    """A folder of several hundred real photos: $ACTATLAS_PHOTOS, or images/imagenet-sample near the checkout."""
    named = os.environ.get("ACTATLAS_PHOTOS")
    folders = [Path(named)] if named else sorted(ROOT.parent.glob("*/images/imagenet-sample"))
    if not folders or not folders[0].is_dir():
        pytest.skip(NO_PHOTOS)
    return folders[0].resolve()


@pytest.fixture(scope="session")
def network() -> Network:
    """The packaged EfficientNet-Lite0, real weights. Shared by the whole session: do not change it."""
    from actatlas.networks import load_network

    return load_network("packaged:efficientnet-lite0")


@pytest.fixture(scope="session")
def drawn_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 drawn pictures, no two alike, PNG and JPEG, wide and high. Shared: copy it to write into it."""
    folder = tmp_path_factory.mktemp("drawn")
    for number in range(24):
        suffix = ".png" if number % 3 == 0 else ".jpg"
        drawn_picture(number).save(folder / f"{number:02d}{suffix}")
    return folder


@pytest.fixture(scope="session")
def small_atlas(drawn_photos: Path, network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished atlas of two layers of the packaged network, of the drawn photos. Copy it to write into it."""
    import actatlas

    out = tmp_path_factory.mktemp("small") / "atlas"
    actatlas.build(
        drawn_photos, out=out, model=network, layers=["blocks.4.expanded", "blocks.9.expanded"], grids=[4], crops=3,
        positions=4, draft=True, icon_px=40, precision="float32", progress=False,
    )  # fmt: skip
    return out


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """A script by its path in the repository → its module, which runs nothing by being loaded."""

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """An executable chromium: $ACTATLAS_CHROMIUM, the machine's, or Playwright's own (see tools/find_chromium.sh)."""
    from playwright.sync_api import sync_playwright

    for name in (os.environ.get("ACTATLAS_CHROMIUM", ""), *CHROMIUM_NAMES):
        found = shutil.which(name) if name else None
        if found:
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    if not Path(own).exists():
        pytest.skip("no chromium: sh tools/find_chromium.sh, or set ACTATLAS_CHROMIUM")
    return own


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    # Inside a container root has no sandbox, and /dev/shm may be too small for a page of icons.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path, args=arguments)
        yield running
        running.close()


def drawn_picture(number: int) -> Image.Image:
    """A picture of one of six textures with one of four shapes on it; its colours come from `number` too."""
    rng = np.random.default_rng(number)
    width, height = ((320, 240), (240, 320), (280, 280))[number % 3]
    ground, ink = (tuple(int(c) for c in rng.integers(0, 256, 3)) for _ in range(2))
    picture = Image.fromarray(_textured(number % 6, (height, width), np.array(ground), np.array(ink), rng))
    pen = ImageDraw.Draw(picture)
    colour = tuple(int(c) for c in rng.integers(0, 256, 3))
    left, top = int(rng.integers(20, width // 2)), int(rng.integers(20, height // 2))
    box = (left, top, left + width // 3, top + height // 3)
    shape = number // 6
    if shape == 0:
        pen.ellipse(box, fill=colour)
    elif shape == 1:
        pen.rectangle(box, fill=colour, outline=ink, width=6)
    elif shape == 2:
        pen.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) // 2, box[1])], fill=colour)
    else:
        for step in range(0, width // 3, 12):
            pen.line((left + step, top, left, top + step), fill=colour, width=4)
    return picture


def _textured(
    kind: int, size: tuple[int, int], ground: np.ndarray, ink: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(H, W, 3) uint8: stripes, checks, dots, clouds, rings or a slope, between two colours."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    period = int(rng.integers(8, 40))
    if kind == 3:
        noise = Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).filter(ImageFilter.GaussianBlur(period / 4))
        values = np.asarray(noise, np.float64)
        share = (values - values.min()) / np.ptp(values)
    else:
        distance = np.hypot(rows - size[0] / 2, columns - size[1] / 2)
        share = (
            0.5 + 0.5 * np.sin((rows + columns) * 2 * np.pi / period),
            ((rows // period + columns // period) % 2).astype(np.float64),
            (np.hypot(rows % period - period / 2, columns % period - period / 2) < period / 3).astype(np.float64),
            None,
            0.5 + 0.5 * np.cos(distance * 2 * np.pi / period),
            columns / size[1],
        )[kind]
    return np.rint(ground + share[..., None] * (ink - ground)).astype(np.uint8)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-skips", action="store_true", help="fail on a skip whose reason is not in allowed_skips.txt"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(SkipRule(strict=config.getoption("--strict-skips")), "actatlas-skip-rule")


class SkipRule:
    """Collects why tests were skipped. A reason is allowed where a line of allowed_skips.txt begins it."""

    def __init__(self, strict: bool):
        self.strict = strict
        self.forbidden: list[str] = []
        lines = (ROOT / "tests" / "allowed_skips.txt").read_text(encoding="utf-8").splitlines()
        self._allowed = tuple(line for line in lines if line.strip() and not line.startswith("#"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.strict and self.forbidden and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.strict and self.forbidden:
            terminalreporter.section("skips that are not in tests/allowed_skips.txt", red=True)
            for line in self.forbidden:
                terminalreporter.line(line)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(self._allowed):
            self.forbidden.append(f"{report.nodeid}: {reason}")
