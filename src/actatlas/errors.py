"""The tree of errors. Every message says what is wrong, where, and what to do; fields serve `--json`.

    ActatlasError
    ├── UsageError             2   an option or argument that cannot be; UnknownClass, TooLargePage, BadVectors
    ├── ImageError             3   NoImages, OutOfReach, TooFewImages, UnreadableImage
    ├── NetworkError           4   UnknownNetwork, LayerNotFound, AmbiguousLayer, LayerNotReached,
    │                              UnusableLayer, ChangedInPlace, BadWeights, BadLabels
    ├── MissingExtra           5   an optional package is not installed, or OldPackage
    ├── VerificationFailed     6   a file is not what the manifest says
    ├── StorageError           7   FolderTaken, PlanChanged, DiskFull, NotAnAtlas, UnfinishedAtlas,
    │                              NoAttributions
    ├── Locked                 8   another process writes here
    └── WorkerLost             1   workers in other processes die again and again

An error also inherits the built-in that a Python caller would catch. 130 is Ctrl-C.
"""

from __future__ import annotations


class ActatlasError(Exception):
    """Base of all errors that a user can act on. `fields` are the values behind the sentence."""

    exit_code = 1

    def __init__(self, message: str, **fields: object):
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        return self.message


class UsageError(ActatlasError, ValueError):
    exit_code = 2


class UnknownClass(UsageError, LookupError):
    """No class is called so, or several could be meant."""


class TooLargePage(UsageError):
    """The page does not fit into one file of the size that was allowed."""


class BadVectors(UsageError):
    """Vectors, a layout or clusters of a user's own that cannot be used as they are."""


class ImageError(ActatlasError, ValueError):
    exit_code = 3


class NoImages(ImageError):
    """Nothing to read, or nothing that could be read."""


class OutOfReach(NoImages):
    """The way to photos that lie elsewhere is broken, for now: no photo is to blame, and none may be left out for it.

    What was collected stays, and the same command goes on.
    """


class TooFewImages(ImageError):
    """Some images, but not enough for an atlas."""


class UnreadableImage(ImageError):
    """One image cannot be used. `reason` is what the table of images says of it."""

    def __init__(self, reason: str):
        super().__init__(reason, reason=reason)
        self.reason = reason


class NetworkError(ActatlasError):
    exit_code = 4


class UnknownNetwork(NetworkError, LookupError):
    """The spec names no network that can be loaded."""


class BadWeights(NetworkError, ValueError):
    """Weights that are missing, damaged, or not those that were expected."""


class BadLabels(NetworkError, ValueError):
    """A file of class names that cannot be read, or does not fit the network."""


class LayerNotFound(NetworkError, LookupError):
    """of_atlas: spec is an atlas's folder, and closest are all layers that it has."""

    def __init__(self, layer: str, spec: str, closest: list[str], of_atlas: bool = False):
        hint = f" Closest: {', '.join(closest)}." if closest else ""
        known = f"; it has: {', '.join(closest)}" if of_atlas else f".{hint} List them: actatlas layers {spec}"
        super().__init__(
            f'layer "{layer}" is not in {spec}{known}',
            layer=layer,
            spec=spec,
            closest=closest,
        )


class AmbiguousLayer(NetworkError, LookupError):
    def __init__(self, layer: str, call_count: int):
        names = ", ".join(f"{layer}#{i + 1}" for i in range(min(call_count, 4)))
        super().__init__(
            f'layer "{layer}" is called {call_count} times in one forward pass; say which call: {names}',
            layer=layer,
            call_count=call_count,
        )


class LayerNotReached(NetworkError, RuntimeError):
    def __init__(self, layer: str, call_count: int = 0):
        found = "never calls it" if call_count == 0 else f"calls it {call_count} time{'s' * (call_count > 1)} only"
        super().__init__(
            f'layer "{layer}" was not reached: the forward pass {found}; choose another layer',
            layer=layer,
            call_count=call_count,
        )


class UnusableLayer(NetworkError, ValueError):
    """A layer whose output is not (B, C, H, W), (B, T, C) or (B, C)."""


class ChangedInPlace(NetworkError, RuntimeError):
    def __init__(self, layer: str):
        super().__init__(
            f'layer "{layer}": its output is changed in place by what comes after it, so it cannot be read as it was; '
            "choose the layer that does the change",
            layer=layer,
        )


class MissingExtra(ActatlasError, ImportError):
    exit_code = 5

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(
            f'{purpose} needs {package}, which is not installed; install it: pip install "actatlas[{extra}]"',
            package=package,
            extra=extra,
        )


class OldPackage(MissingExtra):
    def __init__(self, package: str, found: str, least: str, purpose: str):
        ActatlasError.__init__(
            self,
            f"{purpose} needs {package} {least} or newer, and {found} is installed; renew it, and start the notebook "
            f'again: pip install --upgrade "{package}>={least}"',
            package=package,
            found=found,
            least=least,
        )


class VerificationFailed(ActatlasError):
    exit_code = 6


class StorageError(ActatlasError, OSError):
    exit_code = 7


class FolderTaken(StorageError):
    """The output folder holds something that is not ours."""


class PlanChanged(StorageError):
    """The output folder holds an atlas that was begun with other images, network or settings."""


class DiskFull(StorageError):
    """The file system refused a write."""


class NotAnAtlas(StorageError):
    """The folder is not an atlas."""


class UnfinishedAtlas(StorageError):
    """The atlas lacks a part that was asked for."""


class NoAttributions(UnfinishedAtlas):
    def __init__(self, folder: object):
        super().__init__(f"{folder} carries no attributions; build it with --attribution", path=str(folder))


class Locked(ActatlasError, BlockingIOError):
    exit_code = 8


class WorkerLost(ActatlasError, RuntimeError):
    """Processes that work for this one die again and again, or do not start."""


def first_line(error: BaseException) -> str:
    """What a foreign error says, as part of a sentence of ours: its first line, at most 200 characters."""
    return next((line.strip()[:200] for line in str(error).splitlines() if line.strip()), "no message")
