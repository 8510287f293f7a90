"""For tests, ours and others': an atlas that was never computed, in seconds and without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from actatlas.atlas import Atlas
from actatlas.store import FORMAT_VERSION, AtlasFolder, paths, pictures

INPUT_PX = 96
CHANNELS = 8
ICONS_PER_CHUNK = 32
CODE_BASE = 12  # levels a colour channel; 12³ = 1,728 codes, enough for 40 × 40 cells
MOST_COLOURED = 40  # side of the largest grid that has a colour for each cell
_STEP, _BLOCKS = 21, 5
FAKE_LABELS = (
    "tench",
    "goldfish",
    "great white shark",
    "cock",
    "ostrich",
    "<img src=x onerror=alert(1)> & \u2028",
    "kite",
)


def fake_atlas(
    folder: Path,
    layers: int = 4,
    sides: Sequence[int] = (20, 40),
    photos: int = 24,
    painted: float = 1.0,
    icon_px: int = 80,
    labels: Sequence[str] = FAKE_LABELS,
) -> Atlas:
    """An atlas whose every icon says which cell it is: a flat colour (`cell_code`, `code_of`) up to 40 × 40 cells,
    beyond that black and white blocks (`blocks_of`, `place_in`).

    layers: layer.0, layer.1 …; cells fill a disc, a little smaller in each layer
    photos: drawn and stored in folder/../photos; 0 makes an atlas that carries none, as the shipped one
    painted: share of the icon chunks that are there; below 1 the atlas is a growing one
    """
    files = AtlasFolder.begin(folder)
    names = [f"layer.{i}" for i in range(layers)]
    drawn = _draw_photos(folder.parent / "photos", photos)
    files.write_json("plan.json", _plan(names, icon_px, photos, len(labels)))
    files.write_json("labels.json", list(labels))
    files.write_json("pilot.json", {"patch_px": dict.fromkeys(names, 48)})
    if photos:
        rows = "".join(f"{i},{path},{FAKE_LABELS[i % 5]}\n" for i, path in enumerate(drawn))
        files.write("images.csv", f"id,path,label\n{rows}".encode())
        files.write_json(paths.shard(0), {"activations": photos * 4, "skipped": {}})
        files.write_arrays(paths.places(0), _places(photos))
        files.write_arrays(paths.predictions(0), _predictions(photos, len(labels)))
    for index, name in enumerate(names):
        for side in sides:
            _write_grid(files, name, (index, side), photos, painted, icon_px, len(labels))
    if painted >= 1:
        files.finish({})
    return Atlas(AtlasFolder.existing(folder))


def cell_code(layer: int, side: int, column: int, row: int) -> int:
    """What the icon of a cell says: cells of one grid all differ, and so do neighbouring layers at one place."""
    return (column + side * row + 211 * layer + 97 * side) % CODE_BASE**3


def colour_of(code: int) -> tuple[int, int, int]:
    digits = (code % CODE_BASE, code // CODE_BASE % CODE_BASE, code // CODE_BASE**2)
    return tuple(12 + _STEP * digit for digit in digits)  # type: ignore[return-value]


def code_of(colour: Sequence[int]) -> int:
    """The code nearest to a colour: lossy tiles move colours by less than half a step."""
    digits = [min(max(round((value - 12) / _STEP), 0), CODE_BASE - 1) for value in colour[:3]]
    return digits[0] + CODE_BASE * digits[1] + CODE_BASE**2 * digits[2]


def blocks_of(layer: int, column: int, row: int, px: int) -> np.ndarray:
    """(px, px, 3) uint8: 5 × 5 blocks, black or white, that say where a cell is, and a check of four bits."""
    value = column | row << 9 | layer << 18
    bits = [(value | _check(value) << 21) >> i & 1 for i in range(_BLOCKS**2)]
    at = np.arange(px) * _BLOCKS // px
    grey = (235 * np.array(bits, np.uint8).reshape(_BLOCKS, _BLOCKS) + 10)[at[:, None], at]
    return np.repeat(grey[:, :, None], 3, axis=2)


def place_in(pixels: np.ndarray) -> tuple[int, int, int] | None:
    """(layer, column, row) that an icon of `blocks_of` says, read from (H, W, 3) of any size from 15 px on; or None."""
    middles = [round((i + 0.5) * pixels.shape[axis] / _BLOCKS) for axis in (0, 1) for i in range(_BLOCKS)]
    grey = pixels[np.ix_(middles[:_BLOCKS], middles[_BLOCKS:])].mean(axis=2)
    whole = sum(1 << i for i, white in enumerate((grey > 128).ravel().tolist()) if white)
    value, check = whole & (1 << 21) - 1, whole >> 21
    return (value >> 18, value & 511, value >> 9 & 511) if check == _check(value) else None


def _check(value: int) -> int:
    return (value * 2654435761 >> 7) & 15


def _icon(layer: int, side: int, place: Sequence[int], px: int) -> np.ndarray:
    if side > MOST_COLOURED:
        return blocks_of(layer, place[0], place[1], px)
    return np.tile(np.array(colour_of(cell_code(layer, side, place[0], place[1])), np.uint8), (px, px, 1))


def kept_cells(layer: int, side: int) -> np.ndarray:
    """(K, 2) int32 column and row, row-major: a disc that is a little smaller in each layer."""
    rows, columns = np.mgrid[:side, :side]
    distance = np.hypot(columns + 0.5 - side / 2, rows + 0.5 - side / 2) / side
    inside = distance <= 0.5 - 0.02 * layer
    return np.stack([columns[inside], rows[inside]], axis=1).astype(np.int32)


def _write_grid(
    files: AtlasFolder, name: str, which: tuple[int, int], photos: int, painted: float, icon_px: int, classes: int
) -> None:
    layer, side = which
    coordinates = kept_cells(layer, side)
    count = len(coordinates)
    rng = np.random.default_rng(1000 * layer + side)
    counts = rng.integers(3, 400, count)
    order = rng.random((count, classes)).argsort(axis=1)
    attributions = np.linspace(2, -0.4, classes)[order]
    image_counts = np.clip(counts // 3, 3, max(photos, 3))
    members = [
        np.sort(rng.permutation(max(photos, 3))[:n]) * 4 + rng.integers(0, 4, n) for n in image_counts
    ]  # one a photo
    arrays = {
        "coordinates": coordinates, "counts": counts, "image_counts": image_counts,
        "means": rng.random((count, CHANNELS)).astype(np.float32),
        "cohesion": rng.uniform(0.2, 0.8, count).astype(np.float32), "attributions": attributions.astype(np.float32),
        "member_offsets": np.cumsum([0, *image_counts]), "member_rows": np.concatenate(members),
        "example_rows": np.full((count, 12), -1, np.int64),
    }  # fmt: skip
    arrays |= _quarters(coordinates, side, classes)
    for k in range(count):
        nearest = rng.permutation(members[k])[:12]
        arrays["example_rows"][k, : len(nearest)] = nearest
    files.write_arrays(paths.cells(paths.home(name), side), arrays)
    files.write_arrays(
        paths.statistics(name),
        {"attribution_mean": np.zeros(classes, np.float32), "mean": np.zeros(CHANNELS, np.float32)},
    )
    for chunk, start in enumerate(range(0, round(count * painted), ICONS_PER_CHUNK)):
        rows = np.arange(start, min(start + ICONS_PER_CHUNK, count))
        drawn = np.stack([_icon(layer, side, coordinates[k].tolist(), icon_px) for k in rows])
        figures = {
            "cosine": rng.uniform(0.6, 0.95, len(rows)).astype(np.float32),
            "rank": (rng.random(len(rows)) > 0.8).astype(np.int32) * 3,
            "shifted_cosine": rng.uniform(0.5, 0.9, len(rows)).astype(np.float32),
        }
        files.write_arrays(
            paths.icons(paths.home(name), side, chunk), pictures.encode(drawn) | figures | {"rows": rows}
        )


def _draw_photos(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        photo = Image.new("RGB", (128, 112), (40 + 8 * i % 200, 90, 200 - 7 * i % 180))
        pen = ImageDraw.Draw(photo)
        pen.ellipse((16 + i, 16, 90 + i, 90), fill=(250 - 9 * i % 200, 200, 60))
        pen.text((40, 44), str(i), fill="black", font_size=28)
        photo.save(folder / f"{i:03d}.png")
    return [folder / f"{i:03d}.png" for i in range(count)]


def _places(photos: int) -> dict[str, np.ndarray]:
    """Four rows a photo."""
    rng = np.random.default_rng(7)
    return {
        "image_ids": np.repeat(np.arange(photos), 4),
        "positions": rng.uniform(0.1, 0.9, (photos * 4, 2)).astype(np.float32),
        "boxes": np.tile(np.array([0, 0, 1, 1], np.float32), (photos * 4, 1)),
    }


def _predictions(photos: int, classes: int) -> dict[str, np.ndarray]:
    """Each photo is taken for its label, and then for the classes that follow."""
    ranked = (np.arange(photos)[:, None] % 5 + np.arange(min(5, classes))) % classes
    return {"crop_image_ids": np.arange(photos), "classes": ranked.astype(np.int32)}


def _quarters(coordinates: np.ndarray, side: int, classes: int) -> dict[str, np.ndarray]:
    """Regions as an atlas without activations keeps them: the map's quarters that hold cells, of a class each."""
    quarters, region_of = np.unique((coordinates >= side / 2) @ np.array([1, 2]), return_inverse=True)
    named, scores = np.full((len(quarters), 3), -1, np.int32), np.zeros((len(quarters), 3), np.float32)
    named[:, 0], scores[:, 0] = quarters % classes, 3
    return {"region_of": region_of.astype(np.int32), "region_classes": named, "region_scores": scores}


def _plan(names: Sequence[str], icon_px: int, photos: int, classes: int) -> dict[str, object]:
    layer = {"type": "SiLU", "shape": [CHANNELS, 6, 6], "form": "maps", "stride": 16, "receptive_field_px": 64}
    preprocessing: dict[str, object] = {
        "input_px": [INPUT_PX, INPUT_PX],
        "resize_px": None,
        "interpolation": "bilinear",
    }
    preprocessing |= {"mean": [0, 0, 0], "std": [1, 1, 1], "channel_count": 3}
    images: dict[str, object] = {
        "spec": "drawn",
        "has_files": True,
        "listed": photos,
        "columns": ["label"] * bool(photos),
    }
    if not photos:
        images |= {"listed": 800, "counts": {"listed": 800, "used": 800, "skipped": 0}, "activations": 12800}
    return {
        "format_version": FORMAT_VERSION,
        "title": "A <b>fake</b> atlas",
        "origin": "Drawn for tests: every icon is one colour. </script><b>Nothing</b> was computed.",
        "network": {
            "spec": "fake:network", "weights_sha256": "0" * 64, "class_count": classes, "is_fixed_size": False,
            "preprocessing": preprocessing,
        },
        "layers": [{"name": name, "recommended": True, **layer} for name in names],
        "images": images,
        "settings": {
            "collect": {"attribution": "mean-replacement"}, "layout": {}, "icons": {}, "min_images": 3,
        },
        "icon_px": dict.fromkeys(names, icon_px),
        "versions": {},
    }  # fmt: skip
