"""The patch lab: what the page asks of the network itself, while a server shows an atlas. Imports no torch."""

from actatlas.lab.lab import Lab

__all__ = ["Lab"]
