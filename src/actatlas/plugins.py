"""Networks, image sources and layouts of other packages, by entry points.

A package that has in its pyproject.toml

    [project.entry-points."actatlas.networks"]
    myzoo = "myzoo:load"

serves the specs myzoo:NAME: load("NAME") is called for them. A plug-in is imported when its prefix is used, so one that
is broken stops nothing but itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from actatlas.errors import ActatlasError, NoImages, UnknownNetwork, UsageError, first_line

Group = Literal["actatlas.networks", "actatlas.images", "actatlas.layouts"]
NETWORKS: Group = "actatlas.networks"
IMAGES: Group = "actatlas.images"
LAYOUTS: Group = "actatlas.layouts"
GROUPS: tuple[Group, ...] = (NETWORKS, IMAGES, LAYOUTS)
# Prefixes that are actatlas's own; a plug-in cannot take them.
OWN = {
    NETWORKS: ("packaged", "timm", "torchvision", "hf", "lucid", "python"),
    IMAGES: ("packaged", "parquet", "wds", "hf-dataset"),
    LAYOUTS: ("umap", "landmarks", "tsne", "torchdr", "cuml"),
}


# What is raised where one is broken: a sentence that says which plug-in of which package, why, and what to do.
_ERRORS: dict[Group, type[UnknownNetwork | NoImages | UsageError]] = {
    NETWORKS: UnknownNetwork,
    IMAGES: NoImages,
    LAYOUTS: UsageError,
}


@dataclass(frozen=True)
class Plugin:
    """name: the prefix of its specs; package: name and version of what brings it; place: module:function"""

    name: str
    group: Group
    package: str
    place: str
    entry_point: EntryPoint

    def call(self, name: str) -> Any:
        """What its function gives for `name`, as `run`."""
        return self.run(f"{self.name}:{name}", "check the name", name)

    def run(self, told: str, cure: str, *arguments: Any) -> Any:
        """What its function gives. Raises errors of actatlas as they are, and what `load` raises.

        told: what was asked for; cure: what its user can do where it fails
        """
        function = self.load()
        try:
            return function(*arguments)
        except ActatlasError:
            raise
        except (Exception, SystemExit) as error:  # foreign code may raise anything
            raise _ERRORS[self.group](
                f"{told}: the plug-in of {self.package} fails ({type(error).__name__}: {first_line(error)}); "
                f"{cure}, or ask the package's makers"
            ) from error

    def load(self) -> Any:
        """Its function. Raises UnknownNetwork, NoImages or UsageError, by its group."""
        try:
            function = self.entry_point.load()
        except (Exception, SystemExit) as error:  # foreign code may raise anything
            raise _ERRORS[self.group](
                f"the plug-in {self.name} of {self.package} cannot be loaded ({type(error).__name__}: "
                f"{first_line(error)}); mend the package, or uninstall it"
            ) from error
        if not callable(function):
            raise _ERRORS[self.group](
                f"the plug-in {self.name} of {self.package}: {self.place} is no function; mend the package"
            )
        return function


def plugins(group: Group) -> list[Plugin]:
    """All of a group that are installed, by name; nothing is imported yet."""
    found = {}
    for point in entry_points(group=group):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
        found[point.name, package, point.value] = Plugin(point.name, group, package, point.value, point)
    return [found[key] for key in sorted(found)]


def find_plugin(group: Group, name: str) -> Plugin | None:
    """None where no package brings it. Raises UnknownNetwork, NoImages or UsageError, by the group, where two do."""
    found = [plugin for plugin in plugins(group) if plugin.name == name]
    if len(found) > 1:
        packages = " and ".join(plugin.package for plugin in found)
        raise _ERRORS[group](f"{packages} both bring a plug-in {name} for {group}; uninstall one of them")
    return found[0] if found else None


def examine_plugins() -> list[dict[str, str]]:
    """Name, group, package and state of each: "works", or what is wrong."""
    rows = []
    for group in GROUPS:
        for plugin in plugins(group):
            state = "works"
            try:
                if plugin.name in OWN[group]:
                    state = f'never used: "{plugin.name}:" is actatlas\'s own'
                else:
                    find_plugin(group, plugin.name)
                    plugin.load()
            except ActatlasError as error:
                state = str(error)
            rows.append({"name": plugin.name, "group": group, "package": plugin.package, "state": state})
    return rows
