"""What can be said of notebooks/ without running them; `make notebooks` runs them."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ADDRESS = "https://github.com/someone/atlases"


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script("tools/tidy_notebooks.py")


def cells_of(path: Path, kind: str) -> list[str]:
    return ["".join(c["source"]) for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == kind]


def test_there_are_seven_for_seven_journeys():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"0{i}" for i in range(1, 8)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_tidy_and_has_a_badge_only_where_there_is_an_address(path, tool):
    text = path.read_text(encoding="utf-8")
    address = tool.repository_of((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert text == tool.tidy(json.loads(text), path.name, address), "python tools/tidy_notebooks.py"
    assert ("colab" in text) == (address is not None)
    given = tool.tidy(json.loads(text), path.name, ADDRESS)
    link = f"https://colab.research.google.com/github/someone/atlases/blob/main/notebooks/{path.name}"
    assert given.count(link) == 1 and given.index(link) < given.index("find_spec")
    assert f"[build,photos,notebook] @ git+{ADDRESS}" in given and "git+" not in text
    assert tool.tidy(json.loads(given), path.name, ADDRESS) == given, "once, however often"
    assert tool.tidy(json.loads(given), path.name, address) == text, "and gone with the address"


def test_an_address_is_read_from_the_project_and_only_github_has_a_badge(tool):
    project = '[project]\nname = "x"\n'
    assert tool.repository_of(project) is None
    assert tool.repository_of(f'{project}[project.urls]\nRepository = "{ADDRESS}"\n') == ADDRESS
    assert tool.badge_for("a.ipynb", "https://example.org/atlases") is None
    assert tool.badge_for("a.ipynb", f"{ADDRESS}.git").endswith("/someone/atlases/blob/main/notebooks/a.ipynb)")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_installs_only_what_is_missing_and_says_how_to_scale_up(path):
    code = cells_of(path, "code")
    assert 'find_spec("actatlas") is None' in code[0] and "%pip install" in code[0]
    assert any(re.match(r"## To scale up", text) for text in cells_of(path, "markdown"))
    for cell in code[1:]:
        ast.parse(cell)  # plain Python: it can be pasted into a script
