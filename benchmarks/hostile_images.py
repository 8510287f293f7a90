"""Hostile images: mutants of real photos and files made by hand, decoded in workers; none may crash, hang, or be lost.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/hostile_images.py [--mutants 10000] [--faults 30]

Each file must come out as an RGB photo or with a one-line reason; those made by hand as what is expected of them. Good
photos among them must have the same pixels as without them, and no worker may take more than 512 MB. Faults: photos on
which a doctored worker dies, hangs or eats memory; each must be skipped, and nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from actatlas.errors import UnreadableImage
from actatlas.images import MAX_FILE_BYTES, IsolationSettings, decode, isolated_decoding, open_source
from actatlas.images.decoding import read_photo

PHOTO, SKIPPED, EITHER = "photo", "skipped", "either"
LONGEST_S, MOST_BYTES = 10.0, 512 * 2**20
FAULTS = ("segv", "hang", "oom")
FORMS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default=os.environ.get("ACTATLAS_PHOTOS"))
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.photos:
        sys.exit("no photos: set ACTATLAS_PHOTOS or give --photos FOLDER")
    photos = [Path(record.path) for record in open_source(options.photos).records]
    with tempfile.TemporaryDirectory() as folder:
        made = handmade(Path(folder) / "handmade", photos[0])
        results = {"handmade": try_handmade(made, photos[:20])}
        results["mutants"] = try_mutants(photos, options.mutants, options.seed)
        results["faults"] = try_faults(Path(folder), photos, options.faults)
    results["largest_worker_mb"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    print(json.dumps(results, indent=2))
    failed = [name for name in ("handmade", "mutants", "faults") if results[name]["wrong"]]
    sys.exit(1 if failed or results["largest_worker_mb"] * 2**20 > MOST_BYTES else 0)


def outcome(path: Path | str) -> tuple[str, str, float]:
    """photo and a hash of its pixels, or skipped and the reason; and how long it took. Anything else is raised."""
    started = time.monotonic()
    try:
        photo = read_photo(path)
    except UnreadableImage as error:
        assert error.reason and "\n" not in error.reason and len(error.reason) < 300, error.reason
        return SKIPPED, error.reason, time.monotonic() - started
    assert photo.mode == "RGB" and min(photo.size) > 0, photo
    return PHOTO, hashlib.sha256(np.asarray(photo).tobytes()).hexdigest(), time.monotonic() - started


def try_handmade(made: dict[str, str], good: Sequence[Path]) -> dict:
    before = [outcome(path) for path in good]
    paths = [*made, *map(str, good)]
    with isolated_decoding(), ThreadPoolExecutor(2) as pool:
        found = dict(zip(paths, pool.map(outcome, paths), strict=True))
    wrong = {Path(path).name.encode("utf-8", "replace").decode(): found[path][:2] for path, expected in made.items()
             if expected not in (EITHER, found[path][0])}  # fmt: skip
    wrong |= {path.name: "other pixels beside bad files"
              for path, alone in zip(good, before, strict=True) if found[str(path)][1] != alone[1]}  # fmt: skip
    counts = Counter(kind for kind, _, _ in found.values())
    return {"listed": len(paths), **counts, "slowest_s": round(max(s for _, _, s in found.values()), 1), "wrong": wrong}


def try_mutants(photos: Sequence[Path], count: int, seed: int) -> dict:
    counts: Counter[str] = Counter()
    wrong, slowest = {}, 0.0

    def try_one(number: int) -> tuple[str, str, float]:
        started = time.monotonic()
        content = mutant(photos, number, seed)
        try:
            photo = decode(content)
            return (PHOTO if photo.mode == "RGB" else "wrong"), "", time.monotonic() - started
        except UnreadableImage as error:
            return SKIPPED, error.reason, time.monotonic() - started

    with isolated_decoding(), ThreadPoolExecutor(2) as pool:
        for number, (kind, reason, seconds) in enumerate(pool.map(try_one, range(count))):
            counts[kind] += 1
            slowest = max(slowest, seconds)
            if kind == "wrong" or "died" in reason or "come to an end" in reason or "\n" in reason:
                wrong[f"mutant {number}"] = reason or kind
    return {"listed": count, **counts, "slowest_s": round(slowest, 1), "wrong": wrong}


def try_faults(folder: Path, photos: Sequence[Path], count: int) -> dict:
    worker = Path(__file__).resolve().parent.parent / "tests" / "images" / "faulty_worker.py"
    expected, paths = {}, []
    for number in range(count):
        fault = FAULTS[number % len(FAULTS)]
        path = folder / f"{number}-{fault}.jpg"
        path.write_bytes(photos[number % len(photos)].read_bytes() + f"fault:{fault}".encode())
        paths += [path, photos[number % len(photos)]]
        expected[path] = SKIPPED
    settings = IsolationSettings(cpu_s=5, wall_s=8, worker=(sys.executable, str(worker)))
    with isolated_decoding(settings=settings), ThreadPoolExecutor(2) as pool:
        found = list(zip(paths, pool.map(outcome, paths), strict=True))
    wrong = {path.name: kind for path, (kind, _, _) in found if kind != expected.get(path, PHOTO)}
    counts = Counter(kind for _, (kind, _, _) in found)
    return {
        "listed": len(paths),
        **counts,
        "reasons": Counter(r for _, (k, r, _) in found if k == SKIPPED),
        "wrong": wrong,
    }


def mutant(photos: Sequence[Path], number: int, seed: int) -> bytes:
    """A real photo in one of six formats, with bytes changed, cut, doubled or zeroed."""
    rng = np.random.default_rng([seed, number])
    whole = _whole(photos[int(rng.integers(0, min(len(photos), 40)))], FORMS[number % len(FORMS)])
    content = bytearray(whole)
    # Half of the changes hit the head, where sizes and tables are.
    most = min(len(content), 1024) if rng.integers(2) else len(content)
    for _ in range(int(rng.integers(1, 12))):
        at, way = int(rng.integers(0, most)), int(rng.integers(0, 5))
        at = min(at, max(len(content) - 1, 0))
        length = int(rng.integers(1, 64))
        if way == 0:
            content[at : at + 1] = bytes([int(rng.integers(0, 256))])
        elif way == 1:
            content[at : at + 4] = struct.pack(">I", int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000])))
        elif way == 2:
            del content[at : at + length]
        elif way == 3:
            content[at:at] = content[at : at + length]
        else:
            del content[max(at, 16) :]
    return bytes(content)


_made: dict[tuple[Path, str], bytes] = {}


def _whole(path: Path, form: str) -> bytes:
    if (path, form) not in _made:
        with Image.open(path) as photo:
            _made[path, form] = encoded(photo.convert("RGB").resize((160, 120)), form)
    return _made[path, form]


def encoded(image: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


# --- made by hand


def handmade(folder: Path, photo: Path) -> dict[str, str]:
    """Path → what is expected of it."""
    folder.mkdir(parents=True)
    with Image.open(photo) as opened:
        scene = opened.convert("RGB").resize((120, 90))
    expected = {}
    for name, content, kind in (*_good(scene), *_bombs(scene), *_broken(scene), *_other_kinds(scene)):
        path = os.path.join(os.fsencode(folder), name if isinstance(name, bytes) else os.fsencode(name))
        with open(path, "wb") as file:
            file.write(content)
        expected[os.fsdecode(path)] = kind
    return expected | _no_files(folder, photo)


Made = Iterator[tuple[str | bytes, bytes, str]]


def _good(scene: Image.Image) -> Made:
    """Unusual, and photos all the same."""
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"orientation-{orientation}.jpg", encoded(scene, "JPEG", exif=exif), PHOTO
    jpeg, png = encoded(scene, "JPEG"), encoded(scene, "PNG")
    yield "cmyk.jpg", encoded(scene.convert("CMYK"), "JPEG"), PHOTO
    yield "grey.jpg", encoded(scene.convert("L"), "JPEG"), PHOTO
    yield "progressive.jpg", encoded(scene, "JPEG", progressive=True), PHOTO
    yield "grey-alpha.png", encoded(scene.convert("LA"), "PNG"), PHOTO
    yield "alpha.png", encoded(scene.convert("RGBA"), "PNG"), PHOTO
    yield "palette.png", encoded(scene.convert("P"), "PNG", transparency=0), PHOTO
    yield "bytes-transparency.png", encoded(scene.convert("P"), "PNG", transparency=bytes(range(200))), PHOTO
    yield "one-bit.png", encoded(scene.convert("1"), "PNG"), PHOTO
    grey = np.asarray(scene.convert("L"))
    yield "16-bit.png", encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"), PHOTO
    yield "16-bit.tif", encoded(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF"), PHOTO
    yield "float.tif", encoded(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"), PHOTO
    nan = Image.fromarray(np.where(grey > 99, np.nan, np.inf).astype(np.float32))
    yield "nan.tif", encoded(nan, "TIFF"), PHOTO
    yield "int32.tif", encoded(Image.fromarray(grey.astype(np.int32) * 1000), "TIFF"), PHOTO
    for form, suffix in (("GIF", "gif"), ("WEBP", "webp"), ("PNG", "png"), ("TIFF", "tif")):
        animated = encoded(scene, form, save_all=True, append_images=[Image.new("RGB", scene.size)] * 3)
        yield f"animated.{suffix}", animated, PHOTO
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0\x02\0\x1a\x01\x05\0\x01\0\0\0\xff\xff\0\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0"
    )
    yield "bad-exif.jpg", encoded(scene, "JPEG", exif=exif), PHOTO
    yield "exif-loop.jpg", encoded(scene, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\x08\0\0\0"), PHOTO
    yield "huge-exif.jpg", encoded(scene, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + b"\xff" * 65_000), PHOTO
    yield "wrong-extension.gif", png, PHOTO
    yield "html-behind.jpg", jpeg + b"<script>alert(1)</script>", PHOTO
    yield "zip-behind.jpg", jpeg + b"PK\x05\x06" + bytes(18), PHOTO
    yield "script-inside.jpg", encoded(scene, "JPEG", comment=b"*/=alert(1);/*"), PHOTO
    yield "one-pixel.png", encoded(Image.new("RGB", (1, 1)), "PNG"), PHOTO
    yield "narrow.png", encoded(Image.new("RGB", (1, 20_000)), "PNG"), PHOTO
    for name in ("new\nline.jpg", "tab\tand\rreturn.jpg", "<script>alert(1)<\\script>.jpg", "-rf.jpg", "$(touch x).jpg",
                 "é 猫 \u202egpj.jpg", "%2e%2e%2f.jpg", "n" * 240 + ".jpg", b"not-utf8-\xff\xfe.jpg"):  # fmt: skip
        yield name, jpeg, PHOTO


def _bombs(scene: Image.Image) -> Made:
    """Small files that promise very much."""
    yield "30000.png", _png(30_000, 30_000, zlib.compress(bytes(10**6))), SKIPPED
    yield "2-billion.png", _png(2**31 - 1, 2**31 - 1, zlib.compress(b"")), SKIPPED
    text = struct.pack(">I", 0)[:0] + b"Comment\0\0" + zlib.compress(bytes(100 * 10**6), 9)
    png = encoded(scene, "PNG")
    yield "ztxt.png", png[:33] + _chunk(b"zTXt", text) + png[33:], EITHER
    yield "itxt.png", png[:33] + _chunk(b"iTXt", b"k\0\1\0\0\0" + text[9:]) + png[33:], EITHER
    yield "iccp.png", png[:33] + _chunk(b"iCCP", b"p\0\0" + text[9:]) + png[33:], EITHER
    yield "many-chunks.png", png[:33] + _chunk(b"tEXt", b"k\0" + b"v" * 60_000) * 200 + png[33:], EITHER
    gif = bytearray(encoded(scene.convert("P"), "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    yield "screen.gif", bytes(gif), SKIPPED
    at = bytes(gif).rindex(b"\x2c", 0, 900) if b"\x2c" in gif[:900] else 13
    frame = bytearray(encoded(scene.convert("P"), "GIF"))
    frame[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    yield "frame.gif", bytes(frame), EITHER
    bmp = bytearray(encoded(scene, "BMP"))
    for name, size in (("wide.bmp", (2**31 - 1, 1)), ("high.bmp", (60_000, 60_000)), ("negative.bmp", (-5, 90))):
        bmp[18:26] = struct.pack("<ii", *size)
        yield name, bytes(bmp), EITHER if name == "negative.bmp" else SKIPPED
    yield "huge.webp", b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\xff\xff\xff\xff\xff" + bytes(8), SKIPPED
    yield (
        "strips.tif",
        _tiff({256: 100, 257: 100, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 2**31 - 1}),
        EITHER,
    )
    yield "wide.tif", _tiff({256: 2**31 - 1, 257: 2**31 - 1, 258: 8, 259: 5, 262: 1, 273: 8, 277: 1, 279: 100}), SKIPPED
    yield "samples.tif", _tiff({256: 100, 257: 100, 258: 8, 259: 1, 262: 2, 273: 8, 277: 60_000, 279: 100}), SKIPPED


def _broken(scene: Image.Image) -> Made:
    jpeg, png = encoded(scene, "JPEG"), encoded(scene, "PNG")
    yield "empty.jpg", b"", SKIPPED
    for share in (1, 10, 30, 60, 90):
        yield f"cut-{share}.jpg", jpeg[: len(jpeg) * share // 100], SKIPPED
    yield "cut.png", png[: len(png) // 2], SKIPPED
    yield "cut.webp", encoded(scene, "WEBP")[:400], SKIPPED
    yield "cut.tif", encoded(scene, "TIFF")[:4000], SKIPPED
    yield "only-head.jpg", b"\xff\xd8\xff", SKIPPED
    yield "no-pixels.jpg", jpeg[: jpeg.index(b"\xff\xda")] + b"\xff\xd9", SKIPPED
    size = jpeg.index(b"\xff\xc0") + 5
    yield "no-height.jpg", jpeg[:size] + b"\0\0\0\0" + jpeg[size + 4 :], SKIPPED
    yield "larger-than-it-is.jpg", jpeg[:size] + b"\x20\0\x20\0" + jpeg[size + 4 :], EITHER
    yield "crc.png", png[:20] + bytes([png[20] ^ 255]) + png[21:], SKIPPED
    yield "no-data.png", _png(10, 10, None), SKIPPED
    yield "palette-missing.png", _png(10, 10, zlib.compress(bytes(110)), colour=3), EITHER
    yield "short-data.png", _png(100, 100, zlib.compress(bytes(10))), SKIPPED
    yield "ifd-loop.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0", SKIPPED
    yield "offset.tif", b"II*\0\xff\xff\xff\x7f", SKIPPED
    yield "zeros.jpg", bytes(100_000), SKIPPED
    yield "noise.jpg", np.random.default_rng(0).bytes(100_000), SKIPPED
    yield "head-and-noise.jpg", jpeg[:20] + np.random.default_rng(1).bytes(50_000), SKIPPED


def _other_kinds(scene: Image.Image) -> Made:
    """Formats that Pillow knows and that are not asked for."""
    for form in ("JPEG2000", "ICO", "PPM", "TGA", "EPS", "PDF", "PCX", "SGI", "DDS"):
        yield f"{form.lower()}.jpg", encoded(scene, form), SKIPPED
    yield "svg.png", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", SKIPPED
    yield "xml.jpg", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", SKIPPED
    yield "psd.jpg", b"8BPS\0\1" + bytes(6) + b"\0\3" + struct.pack(">II", 2**30, 2**30) + bytes(100), SKIPPED
    yield "fits.jpg", b"SIMPLE  =                    T".ljust(2880), SKIPPED
    yield "ghostscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch x) (w) file\n", SKIPPED
    yield "pickle.jpg", b"cos\nsystem\n(S'touch canary'\ntR.", SKIPPED
    yield "gzip.jpg", b"\x1f\x8b\x08" + encoded(scene, "JPEG"), SKIPPED


def _no_files(folder: Path, photo: Path) -> dict[str, str]:
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "link.jpg").symlink_to(photo)
    with open(folder / "large.jpg", "wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    names = ("pipe.jpg", "folder.jpg", "loop.jpg", "dangling.jpg", "device.jpg", "large.jpg", "gone.jpg", "nul\0.jpg")
    return {f"{folder}/{name}": SKIPPED for name in names} | {f"{folder}/link.jpg": PHOTO}


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, data: bytes | None, colour: int = 2) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    body = b"" if data is None else _chunk(b"IDAT", data)
    return b"\x89PNG\r\n\x1a\n" + head + body + _chunk(b"IEND", b"")


def _tiff(tags: dict[int, int]) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


if __name__ == "__main__":
    main()
