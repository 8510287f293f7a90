"""An atlas → the folder that people look at: static files, no server, no network. docs/site.md describes them."""

from actatlas.site.settings import SiteSettings
from actatlas.site.writer import own_examples, write_own_site, write_site

__all__ = ["SiteSettings", "own_examples", "write_own_site", "write_site"]
