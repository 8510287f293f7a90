"""A finished atlas → a folder ready for a public host: the site, what it is, whose it is, and whether hosts take it."""

from actatlas.publishing.publication import Publication, PublishSettings, publish

__all__ = ["Publication", "PublishSettings", "publish"]
