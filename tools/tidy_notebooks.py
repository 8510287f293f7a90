"""Notebooks as they are committed: `python tools/tidy_notebooks.py` strips what a run leaves; `--check` compares.

Outputs, counts and the machine's own metadata go; a cell is named by its place, so that a diff shows what was changed.
Where pyproject.toml gives an address ([project.urls] Repository, on GitHub), a badge under the title opens
the notebook in Colab, and the first cell installs from there; where it gives none there is no badge, and the cell
installs the folder that the notebook lies in.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_EXTRAS = "[build,photos,notebook]"
_FROM_FOLDER = f"""\
# Does nothing where actatlas is installed.
import importlib.util
from pathlib import Path

if importlib.util.find_spec("actatlas") is None:
    project = Path("..").resolve()
    if not (project / "pyproject.toml").is_file():
        raise SystemExit("actatlas is not installed; open this notebook in its folder")
    %pip install --quiet "{{project}}{_EXTRAS}"
"""
_FROM_ADDRESS = f"""\
# Does nothing where actatlas is installed.
import importlib.util

if importlib.util.find_spec("actatlas") is None:
    %pip install --quiet "actatlas{_EXTRAS} @ git+{{address}}"
"""
_BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"


def tidy(notebook: dict[str, Any], name: str, repository: str | None) -> str:
    """The text of the file. name: of the file; repository: its address, None without."""
    cells = [_cell(cell, number) for number, cell in enumerate(notebook["cells"])]
    install = _FROM_FOLDER if repository is None else _FROM_ADDRESS.format(address=repository)
    cells[1]["source"] = install.rstrip().splitlines(keepends=True)
    title = [line for line in cells[0]["source"] if not line.startswith(_BADGE)]
    while title[1:] and not title[1].strip():
        del title[1]
    badge = badge_for(name, repository)
    cells[0]["source"] = [title[0].rstrip("\n") + "\n", "\n", *([f"{badge}\n", "\n"] if badge else []), *title[1:]]
    tidied = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(tidied, indent=1, ensure_ascii=False) + "\n"


def badge_for(name: str, repository: str | None) -> str | None:
    """None where Colab has no way to the repository: it opens notebooks from GitHub."""
    prefix = "https://github.com/"
    if repository is None or not repository.startswith(prefix):
        return None
    home = repository.removeprefix(prefix).removesuffix("/").removesuffix(".git")
    return f"{_BADGE}(https://colab.research.google.com/github/{home}/blob/main/notebooks/{name})"


def repository_of(pyproject: str) -> str | None:
    """The address that a pyproject.toml gives."""
    return tomllib.loads(pyproject)["project"].get("urls", {}).get("Repository")


def _cell(cell: dict[str, Any], number: int) -> dict[str, Any]:
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    kept = {
        "cell_type": cell["cell_type"],
        "id": f"cell-{number:02d}",
        "metadata": {"tags": cell["metadata"]["tags"]} if cell["metadata"].get("tags") else {},
        "source": source.rstrip().splitlines(keepends=True),
    }
    return kept | ({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a notebook is not tidy")
    is_check = parser.parse_args().check
    repository = repository_of((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    untidy = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        before = path.read_text(encoding="utf-8")
        after = tidy(json.loads(before), path.name, repository)
        if before != after:
            untidy.append(path.name)
            if not is_check:
                path.write_text(after, encoding="utf-8")
    print(f"{'not tidy' if is_check else 'written'}: {', '.join(untidy) or 'none'}")
    return int(is_check and bool(untidy))


if __name__ == "__main__":
    sys.exit(main())
