"""An atlas → the folder that people look at: static files, no server, no network. docs/site.md describes them."""

from actatlas.site.about import about_value, flat_settings
from actatlas.site.data import data_of, public_text, public_title
from actatlas.site.frame import index_page, single_page, static_file
from actatlas.site.growing import GrowingSite
from actatlas.site.serving import SiteFiles
from actatlas.site.settings import SiteSettings
from actatlas.site.single import held_text, held_value, single_file
from actatlas.site.writer import SITE_NAMES, is_behind, own_examples, renew_own_site, write_own_site, write_site

__all__ = [
    "SITE_NAMES", "GrowingSite", "SiteFiles", "SiteSettings", "about_value", "data_of", "flat_settings", "held_text",
    "held_value", "index_page", "is_behind", "own_examples", "public_text", "public_title", "renew_own_site",
    "single_file", "single_page", "static_file", "write_own_site", "write_site",
]  # fmt: skip
