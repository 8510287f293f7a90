"""Network × photos → activations: what is measured once and frozen (`run_pilot`), then shard by shard (`Collector`),
and attributions of some of them, read again (`Attributor`)."""

from actatlas.collect.attribution import attribute
from actatlas.collect.attributor import Attributed, Attributor
from actatlas.collect.collector import Collector, Predictions, Shard
from actatlas.collect.pilot import Pilot, pilot_on, run_pilot, to_pixels
from actatlas.collect.sampling import map_index, order_of, photo_order
from actatlas.collect.settings import CollectSettings

__all__ = [
    "Attributed", "Attributor", "CollectSettings", "Collector", "Pilot", "Predictions", "Shard", "attribute",
    "map_index", "order_of", "photo_order", "pilot_on", "run_pilot", "to_pixels",
]  # fmt: skip
