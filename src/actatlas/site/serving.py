"""The page as our own server gives it out: it may ask that server, and holds the word that lets it."""

from __future__ import annotations

import html

_POLICY = b"default-src 'none';"


def with_lab(page: bytes, token: str) -> bytes:
    """index.html whose policy allows questions to where it came from, with the token that they need.

    A page written before there was a lab, whose policy is another, stays as it is, and its lab closed.
    """
    if page.count(_POLICY) != 1 or page.count(b"<title>") != 1:
        return page
    word = f'<meta name="actatlas-lab" content="{html.escape(token)}">\n'.encode()
    page = page.replace(_POLICY, _POLICY + b" connect-src 'self';")
    return page.replace(b"<title>", word + b"<title>")
