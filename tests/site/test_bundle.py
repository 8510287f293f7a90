"""The page in the package is the one that web/ makes: without Node, by the hash that its build wrote down."""

import hashlib
from pathlib import Path

WEB = Path(__file__).parents[2] / "web"


def test_the_page_was_built_from_these_sources():
    sources = [path for path in (WEB / "src").rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted([*sources, WEB / "package-lock.json"], key=lambda path: path.relative_to(WEB).as_posix()):
        own = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(WEB).as_posix()} {own}\n".encode())
    expected = (WEB / "built-from.sha256").read_text().strip()
    assert digest.hexdigest() == expected, "web/ has changed: build the page anew (npm ci && npm run build in web/)"
