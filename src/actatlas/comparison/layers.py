"""Which layers of two atlases are compared."""

from __future__ import annotations

from actatlas.atlas import Atlas, Layer


def choose_layers(
    first: Atlas, second: Atlas, layer: str | None = None, other_layer: str | None = None
) -> tuple[Layer, Layer, str]:
    """The two layers, and a sentence on how they were chosen, empty where both were named.

    layer, other_layer: of the first and of the second atlas. None takes the latest that both have by name, or goes with
    the other's; without a common name the latest, and of the second the latest with a map of the same size.

    Raises LayerNotFound.
    """
    common = [name for name in first.layer_names if name in second.layer_names]
    if layer is None:
        layer = other_layer if other_layer in first.layer_names else common[-1] if common else first.layer_names[-1]
    one = first.layer(layer)
    if other_layer is not None:
        return one, second.layer(other_layer), ""
    if layer in second.layer_names:
        return one, second.layer(layer), ""
    same_map = [name for name in second.layer_names if second.layer(name).info.shape[1:] == one.info.shape[1:]]
    other = second.layer((same_map or second.layer_names)[-1])
    why = "the latest with a map of the same size" if same_map else "the latest; no layer has a map of the same size"
    return one, other, f"{second.folder.name} has no {layer}: it is compared with {other.name}, {why}"
