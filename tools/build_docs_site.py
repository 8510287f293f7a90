"""The documentation site, in build/docs: `make docs`.

The pages in docs/ are gathered with those that lie elsewhere in the repository, links between them are made to fit, and
Zensical builds them. It fails on a link that leads nowhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS, PAGES, SITE = ROOT / "docs", ROOT / "build" / "docs-pages", ROOT / "build" / "docs"
# Where a page of the site comes from, if not from docs/.
OUTSIDE = {"results.md": "benchmarks/RESULTS.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
_LINK = re.compile(r"(\]\()([^)#\s]+)")


def main() -> int:
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(DOCS, PAGES)
    for path in sorted(PAGES.rglob("*.md")):
        page = path.relative_to(PAGES).as_posix()
        path.write_text(with_links(path.read_text(encoding="utf-8"), page, DOCS / page), encoding="utf-8")
    for page, source in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        (PAGES / page).write_text(with_links(text, page, ROOT / source), encoding="utf-8")
    config = configuration()
    file = ROOT / "build" / "docs.yml"
    file.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    # --clean: a page that is as it was would keep the docstrings that it was made of.
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(file)]
    return subprocess.run(command, check=False).returncode


def configuration() -> dict[str, Any]:
    """mkdocs.yml, with all decisions."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    sections = {title: pages for entry in config["nav"] for title, pages in entry.items()}
    decisions = sorted(path.name for path in (DOCS / "decisions").glob("*.md"))
    sections["Inside"].append({"Decisions": [f"decisions/{name}" for name in decisions]})
    config |= {"docs_dir": PAGES.name, "site_dir": SITE.name}  # beside the file that says so
    for plugin in config["plugins"]:
        if isinstance(plugin, dict) and "mkdocstrings" in plugin:
            python = plugin["mkdocstrings"]["handlers"]["python"]
            python["paths"] = ["../src"]
            python["options"]["extensions"] = [f"../{path}" for path in python["options"]["extensions"]]
    return config


def with_links(markdown: str, page: str, source: Path) -> str:
    """Links as they stand on a code host → links between the site's pages. source: the file that the page is of"""
    by_path = {(ROOT / path).resolve(): name for name, path in OUTSIDE.items()}
    up = "../" * page.count("/")

    def on_site(match: re.Match[str]) -> str:
        target = match[2]
        if re.match(r"[a-z]+:", target):
            return match[0]
        whole = (source.parent / target).resolve()
        if whole in by_path:
            return f"{match[1]}{up}{by_path[whole]}"
        if page in OUTSIDE and whole.is_relative_to(DOCS):
            return f"{match[1]}{whole.relative_to(DOCS).as_posix()}"
        return match[0]

    return _LINK.sub(on_site, markdown)


if __name__ == "__main__":
    sys.exit(main())
