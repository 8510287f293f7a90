"""A result as one page that needs nothing beside it, in the atlas page's colours; no script."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from typing import Any

from PIL import Image

from actatlas.site.frame import static_file
from actatlas.toolkit.sheet import Leaf, Strip, Tile

_LARGEST_PX = 640
_QUALITY = 90
_STYLE = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); }
main { max-width: 1128px; margin: 0 auto; padding: 28px 24px 48px; }
h1 { font-size: 20px; font-weight: 650; letter-spacing: -0.01em; margin: 0 0 10px; overflow-wrap: anywhere; }
h2 { font-size: 14px; font-weight: 650; margin: 28px 0 10px; }
p { margin: 0 0 6px; color: var(--quiet); max-width: 80em; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 20px; }
h2 + .tiles { margin-top: 0; }
figure { margin: 0; padding: 8px; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
img { display: block; max-width: 100%; height: auto; border-radius: 3px; }
figcaption { margin-top: 6px; font-size: 12.5px; color: var(--quiet); font-variant-numeric: tabular-nums; }
figcaption span { display: block; overflow-wrap: anywhere; }
details { margin-top: 32px; color: var(--quiet); }
pre { overflow: auto; max-height: 60vh; font-size: 12px; padding: 12px; background: var(--track); border-radius: 8px; }
summary { cursor: pointer; min-height: 28px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""


def page(leaf: Leaf, numbers: dict[str, Any]) -> str:
    """Labels are text, whatever they hold; the policy allows this style and pictures inside the page alone."""
    style = _tokens() + _STYLE
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    icon = base64.b64encode(static_file("icon.svg")).decode()
    strips = "\n".join(_strip(strip) for strip in leaf.strips if strip.tiles)
    lines = "\n".join(f"<p>{html.escape(line)}</p>" for line in leaf.lines)
    told = html.escape(json.dumps(numbers, indent=1, ensure_ascii=False))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:image/svg+xml;base64,{icon}">
<title>{html.escape(leaf.title)}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{html.escape(leaf.title)}</h1>
{lines}
{strips}
<details><summary>Numbers</summary><pre tabindex="0">{told}</pre></details>
</main>
</body>
</html>
"""


def _tokens() -> str:
    """The page's colours by day and by night, and its letters: one source for both."""
    style = static_file("app.css").decode()
    found = re.search(r":root\s*\{[^}]*\}", style), re.search(r"@media[^{]*dark\)\s*\{\s*:root\s*\{[^}]*\}\s*\}", style)
    if None in found:
        raise RuntimeError("app.css has no colours; build the page anew")
    return "\n".join(part.group() for part in found if part)


def _strip(strip: Strip) -> str:
    head = f"<h2>{html.escape(strip.text)}</h2>\n" if strip.text else ""
    return f'{head}<div class="tiles">\n' + "\n".join(_tile(tile, strip.tile_px) for tile in strip.tiles) + "\n</div>"


def _tile(tile: Tile, size: tuple[int, int]) -> str:
    alt = html.escape(tile.alt or ", ".join(tile.lines))
    lines = "".join(f"<span>{html.escape(line)}</span>" for line in tile.lines)
    caption = f"<figcaption>{lines}</figcaption>" if lines else ""
    image = f'<img src="{_data(tile.image)}" width="{size[0]}" height="{size[1]}" alt="{alt}">'
    return f"<figure>{image}{caption}</figure>"


def _data(image: Image.Image) -> str:
    small = image.convert("RGB")
    small.thumbnail((_LARGEST_PX, _LARGEST_PX), Image.Resampling.LANCZOS)
    bare = Image.frombytes(small.mode, small.size, small.tobytes())  # no EXIF of a photo
    buffer = io.BytesIO()
    bare.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
