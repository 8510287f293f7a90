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
def test_a_notebook_installs_only_what_is_missing_and_is_scaled_up_by_one_switch(path):
    code = cells_of(path, "code")
    assert 'find_spec("actatlas") is None' in code[0] and "%pip install" in code[0]
    for cell in code[1:]:
        ast.parse(cell)  # plain Python: it can be pasted into a script
    told = cells_of(path, "markdown")[-1]
    assert told.startswith("## To scale up") and re.search(r"seconds|minutes|hour", told), "what it costs"
    switch, *settings, larger = ast.parse(code[-1]).body
    assert ast.unparse(switch) == "SCALE_UP = False" and ast.unparse(larger).startswith("if SCALE_UP:")
    assert all(isinstance(setting, ast.Assign) for setting in settings), "nothing runs before it is asked for"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_takes_only_names_that_the_reference_lists(path):
    reference = (ROOT / "docs" / "reference.md").read_text("utf-8")
    for cell in cells_of(path, "code")[1:]:
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("actatlas."):
                listed = re.search(rf"^::: {re.escape(node.module)}\n.*\n *members: \[(.*)\]", reference, re.MULTILINE)
                assert listed, f"{node.module} is no part of the reference"
                assert {name.name for name in node.names} <= set(listed[1].split(", "))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_lines_are_no_wider_than_a_cell_on_a_laptop(path):
    text = "\n".join(cells_of(path, "markdown") + cells_of(path, "code"))
    assert max(len(line) for line in text.splitlines() if "colab" not in line) <= 100
