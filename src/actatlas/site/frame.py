"""The frames of the page, from the one that web/ has: index.html of a folder, and the single file."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from importlib import resources


def static_file(name: str) -> bytes:
    """What `npm run build` in web/ has made."""
    return resources.files("actatlas.site").joinpath("static", name).read_bytes()


def index_page(title: str, head: str = "") -> bytes:
    """index.html. The app's hash in its address makes browsers fetch it anew when it has changed.

    head: further elements, as HTML
    """
    page = static_file("page.html").decode()
    for name in ("app.js", "app.css"):
        page = page.replace(f"{name}?v=0", f"{name}?v={hashlib.sha256(static_file(name)).hexdigest()[:12]}")
    return _titled(page, title, head)


def single_page(title: str, held: str, *, begin: str = "", asks: bool = False) -> bytes:
    """The page with all that it needs inside, and a policy that allows exactly that.

    held: JSON, what stands in the folder's files by their paths, as `held` in web/src/files.ts reads it
    begin: the address that it begins with in a frame; asks: whether it asks a notebook for what it does not hold
    """
    script, style = static_file("app.js").decode(), static_file("app.css").decode()
    if re.search(r"</script|<!--", script, re.IGNORECASE) or "</style" in style.lower() or "\r" in script + style:
        raise RuntimeError("the app holds what would end its own element; build the page anew")
    icon = base64.b64encode(static_file("icon.svg")).decode()
    licences = static_file("THIRD-PARTY.txt").decode().replace("--", "- -")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    # Data in an element of another type are no script: the policy need not name them, and they are parsed fast.
    body = f'<script type="application/json" id="actatlas-files">{held}</script>\n<script>{script}</script>\n</body>'
    page = static_file("page.html").decode()
    for pattern, text in (
        (r'content="default-src[^"]*"', f'content="{policy}"'),
        (r'<link rel="icon"[^>]*>', f'<link rel="icon" href="data:image/svg+xml;base64,{icon}">'),
        (r'<link rel="stylesheet"[^>]*>', f"<style>{style}</style>"),
        (r'<script src="app\.js[^>]*></script>\n', ""),
        (r"<noscript>.*?</noscript>", '<noscript><p class="notice">This map needs JavaScript.</p></noscript>'),
        (r"</body>", f"{body}\n<!--\n{licences}-->"),
    ):
        page = _put(page, pattern, text)
    marks = f'<meta name="actatlas-begin" content="{html.escape(begin)}">' * bool(begin)
    return _titled(page, title, marks + '<meta name="actatlas-notebook" content="">' * asks)


def _put(page: str, pattern: str, text: str) -> str:
    """`text` in the place of the one match."""
    changed, count = re.subn(pattern, lambda _: text, page)
    if count != 1:
        raise RuntimeError(f"page.html has {count} of {pattern}; this version's has one")
    return changed


def _titled(page: str, title: str, head: str) -> bytes:
    titled = page.replace("<title><!--title--></title>", f"<title>{html.escape(title)}</title>{head}", 1)
    return titled.encode("utf-8", "replace")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
