"""A stranger's package gives networks and images by its entry points; a broken one stops nothing but itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from actatlas.errors import NoImages, UnknownNetwork, UsageError
from actatlas.images import open_source
from actatlas.layout import LayoutSettings, lay_out
from actatlas.networks import load_network
from actatlas.progress import Silent

ROOT = Path(__file__).resolve().parent.parent
GOOD = """
from torch import nn
from actatlas import Preprocessing
def load(name):
    if name == "fails":
        raise ZeroDivisionError("first\\nsecond")
    if name == "number":
        return 3
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    return module, Preprocessing((32, 32), 32), ["a", "b"]
def paths(name):
    return [name + "/one.png", name + "/two.png"]
def grid(vectors, image_ids, seed):
    import numpy as np
    side = int(np.ceil(np.sqrt(len(vectors))))
    return np.stack(np.divmod(np.arange(len(vectors)), side), axis=1)
def half(vectors, image_ids, seed):
    return grid(vectors, image_ids, seed)[::2]
def breaks(vectors, image_ids, seed):
    raise ZeroDivisionError("nothing\\nmore")
no_function = 3
"""


def install(site: Path, package: str, points: dict[str, dict[str, str]], **modules: str) -> None:
    """What pip leaves behind: modules, and a dist-info with entry points."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    groups = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in points.items()]
    (info / "entry_points.txt").write_text("\n".join(groups))
    for name, code in modules.items():
        (site / f"{name}.py").write_text(code)


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("good_zoo", "bad_zoo"):
        sys.modules.pop(name, None)


@pytest.fixture
def good(site):
    install(
        site,
        "good-zoo",
        {
            "actatlas.networks": {"goodzoo": "good_zoo:load", "seven": "good_zoo:no_function", "timm": "good_zoo:load"},
            "actatlas.images": {"goodphotos": "good_zoo:paths"},
            "actatlas.layouts": {"rows": "good_zoo:grid", "half": "good_zoo:half", "breaks": "good_zoo:breaks"},
        },
        good_zoo=GOOD,
    )
    return site


def sentence(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text and len(text) < 500, text
    return text


def test_a_plug_ins_network_is_loaded_by_its_prefix(good):
    network = load_network("goodzoo:anything")
    assert network.spec == "goodzoo:anything" and network.labels == ["a", "b"] and network.class_count == 2


def test_a_plug_ins_images_are_opened_by_their_prefix_and_keep_the_spec(good):
    source = open_source("goodphotos:holiday")
    assert source.spec == "goodphotos:holiday"
    assert [os.path.basename(record.path) for record in source.records] == ["one.png", "two.png"]
    assert not hasattr(source, "no_such_name") and hasattr(source, "read_reduced")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("goodzoo:fails", "good-zoo 1.0 fails (ZeroDivisionError: first)"),
        ("goodzoo:number", "good-zoo 1.0 gives int; it should give a Network"),
        ("seven:x", "good_zoo:no_function is no function"),
        ("badzoo:x", "badzoo of bad-zoo 1.0 cannot be loaded (ModuleNotFoundError"),
        ("godzoo:x", "did you mean goodzoo:x?"),
        ("tim:resnet18", "did you mean timm:resnet18?"),
        ("somewhere:x", 'networks do not come from "somewhere"; there are: packaged, timm'),
    ],
)
def test_a_network_that_a_plug_in_does_not_give_is_one_sentence(good, spec, words):
    install(good, "bad-zoo", {"actatlas.networks": {"badzoo": "bad_zoo:load"}}, bad_zoo="import nowhere_to_be_found\n")
    with pytest.raises(UnknownNetwork) as caught:
        load_network(spec)
    assert words in sentence(caught.value) and caught.value.exit_code == 4
    assert load_network("goodzoo:still works").class_count == 2


def test_images_that_a_plug_in_does_not_give_are_one_sentence(good):
    points = {"actatlas.images": {"badphotos": "bad_zoo:load", "numbers": "bad_zoo:number"}}
    install(good, "bad-zoo", points, bad_zoo="def load(name): raise SystemExit(3)\ndef number(name): return 7\n")
    with pytest.raises(NoImages, match="the plug-in of bad-zoo 1.0 fails .SystemExit: 3"):
        open_source("badphotos:x")
    with pytest.raises(NoImages, match="gives int; it should give an ImageSource or a list of paths"):
        open_source("numbers:x")
    with pytest.raises(NoImages, match="does not exist"):
        open_source("nophotos:x")


def test_actatlass_own_prefixes_cannot_be_taken(good):
    with pytest.raises(UnknownNetwork, match="timm has no network not_there"):
        load_network("timm:not_there")


def test_two_packages_with_one_prefix_are_both_named(good):
    install(good, "other-zoo", {"actatlas.networks": {"goodzoo": "good_zoo:load"}})
    with pytest.raises(UnknownNetwork, match="good-zoo 1.0 and other-zoo 1.0 both bring a plug-in goodzoo"):
        load_network("goodzoo:x")


def test_doctor_lists_every_plug_in_and_what_is_wrong_with_it(good):
    install(good, "bad-zoo", {"actatlas.images": {"badzoo": "bad_zoo:load"}}, bad_zoo="1 / 0\n")
    done = _run("-m", "actatlas.cli", "doctor", "--json", site=good)
    assert done.returncode == 0, done.stderr
    states = {(row["group"], row["name"]): row["state"] for row in json.loads(done.stdout)["plug-ins"]}
    assert states["actatlas.networks", "goodzoo"] == states["actatlas.images", "goodphotos"] == "works"
    assert "ZeroDivisionError" in states["actatlas.images", "badzoo"]
    assert "is no function" in states["actatlas.networks", "seven"]
    assert "actatlas's own" in states["actatlas.networks", "timm"]
    assert "plug-in badzoo" in _run("-m", "actatlas.cli", "doctor", site=good).stdout


# --- the worked example of docs/plugins.md


def blocks() -> dict[str, str]:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    found = re.findall(r"```(?:toml|python)\n# (\S+)\n(.*?)```", text, re.DOTALL)
    return dict(found)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Its three files as they stand there, installed by pip into a folder; what it depends on is here."""
    home, folder, files = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("example"), blocks()
    assert set(files) == {"pyproject.toml", "myzoo.py", "test_myzoo.py"}
    for name, text in files.items():
        (home / name).write_text(text)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(home)]
    subprocess.run(pip, check=True, timeout=300)
    (folder / "test_myzoo.py").write_text(files["test_myzoo.py"])
    return folder


def _run(*arguments: str, site: Path) -> subprocess.CompletedProcess:
    paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, timeout=300, cwd=site, env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip


def test_the_examples_contract_tests_pass(example):
    done = _run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_myzoo.py", site=example)
    assert done.returncode == 0, done.stdout
    assert "15 passed" in done.stdout, done.stdout


def test_the_examples_command_builds_an_atlas(example):
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    command = re.search(r"^actatlas (build .*)$", text, re.MULTILINE)[1].split()
    done = _run("-m", "actatlas.cli", *command, "--json", "--no-open", site=example)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["images"] == {"listed": 240, "used": 240, "skipped": 0}
    assert result["layers"] and all(layer["grids"]["4"]["cells"] > 0 for layer in result["layers"].values())
    name = next(iter(result["layers"]))
    code = f"import actatlas\nlayer = actatlas.open({result['atlas']!r}).layer({name!r})\n"
    code += "print(layer.grid(4).examples(0, 1)[0].size)"
    shown = _run("-c", code, site=example)
    assert shown.returncode == 0 and shown.stdout.startswith("("), shown.stderr
    wrong = _run("-m", "actatlas.cli", "build", "shapes:none", "--out", "other", site=example)
    assert wrong.returncode == 3 and "say how many, as in shapes:24" in wrong.stderr


def test_a_contract_notices_what_breaks_it(example):
    broken = """
import random
import myzoo
from actatlas.testing import ImageSourceContract, NetworkContract
class Shuffled(myzoo.Shapes):
    def __init__(self):
        super().__init__(24)
        random.shuffle(self.records)
class TestShuffled(ImageSourceContract):
    def make(self):
        return Shuffled()
class TestDependent(NetworkContract):
    def make(self):
        module, size, labels = myzoo.load_network("tiny")
        import torch, actatlas
        class Dependent(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = module
            def forward(self, x):
                return self.inner(x - x.mean(dim=0))
        return actatlas.load_network(Dependent(), size, labels)
"""
    (example / "test_broken.py").write_text(broken)
    done = _run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_broken.py", site=example)
    failed = set(re.findall(r"^FAILED .*::(\w+)", done.stdout, re.MULTILINE))
    assert done.returncode == 1
    assert "test_ids_are_the_places_in_the_listing" in failed, done.stdout
    assert "test_an_answer_is_the_same_each_time_and_in_any_company" in failed, done.stdout


def test_a_layout_of_another_package_places_activations(good):
    vectors = np.random.default_rng(0).random((100, 8)).astype(np.float16)
    points = lay_out({"a": vectors}, np.arange(100), LayoutSettings(method="rows", cut_percentile=0), Silent())[
        "a"
    ].points
    assert len(np.unique(points, axis=0)) == 100
    np.testing.assert_allclose(np.diff(points[:10, 1]), 1 / 9 / 1.2, atol=1e-3)
    np.testing.assert_allclose(np.diff(points[:10, 0]), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("half", r"layout half: the plug-in of good-zoo 1.0 gives \(50, 2\), .* it should give \(100, 2\)"),
        ("breaks", r"layout breaks: the plug-in of good-zoo 1.0 fails \(ZeroDivisionError: nothing\); choose another"),
        (
            "row",
            r'layout "row" is not known; choose umap, landmarks, tsne, torchdr, cuml, breaks, half, rows, or install',
        ),
    ],
)
def test_a_layout_that_does_not_work_says_whose_it_is(good, name, said):
    vectors = np.random.default_rng(0).random((100, 8)).astype(np.float16)
    with pytest.raises(UsageError, match=said):
        lay_out({"a": vectors}, np.arange(100), LayoutSettings(method=name), Silent())
