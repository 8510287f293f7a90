"""An atlas → the folder that people look at: static files, no server, no network. docs/site.md describes them."""

from actatlas.site.writer import write_own_site, write_site

__all__ = ["write_own_site", "write_site"]
