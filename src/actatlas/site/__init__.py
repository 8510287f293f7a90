"""An atlas → the folder that people look at: static files, no server, no network. docs/site.md describes them."""

from actatlas.site.about import about_value, flat_settings
from actatlas.site.data import data_of, public_text
from actatlas.site.frame import index_page
from actatlas.site.growing import GrowingSite
from actatlas.site.settings import SiteSettings
from actatlas.site.single import single_file
from actatlas.site.writer import SITE_NAMES, own_examples, write_own_site, write_site

__all__ = [
    "SITE_NAMES", "GrowingSite", "SiteSettings", "about_value", "data_of", "flat_settings", "index_page",
    "own_examples", "public_text", "single_file", "write_own_site", "write_site",
]  # fmt: skip
