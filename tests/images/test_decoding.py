"""Every file gives an upright RGB photo or one short reason."""

import io
import os
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from actatlas.errors import UnreadableImage
from actatlas.images import decoding, open_source
from actatlas.images.decoding import decode, read_photo


@pytest.fixture
def scene() -> Image.Image:
    """A smooth picture whose four corners differ: red, green, blue, yellow-ish; 60 wide, 40 high."""
    y, x = np.mgrid[0:40, 0:60] / np.array([40, 60]).reshape(2, 1, 1)
    return Image.fromarray((255 * np.stack([1 - x, y, x * (1 - y)], axis=-1)).astype(np.uint8))


def encoded(image: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def difference(a: Image.Image, b: Image.Image) -> float:
    return float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).mean())


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_each_allowed_format_is_read(scene, form):
    photo = decode(encoded(scene, form))
    assert photo.mode == "RGB" and difference(photo, scene) < 8


def test_formats_beyond_the_allow_list_are_refused(scene):
    for form in ("PPM", "ICO", "TGA", "JPEG2000"):
        with pytest.raises(UnreadableImage, match="not a JPEG"):
            decode(encoded(scene, form))


@pytest.mark.parametrize("mode", ["CMYK", "L", "LA", "P", "1", "RGBA", "YCbCr"])
def test_colour_modes_become_rgb_with_the_same_light_and_dark(scene, mode):
    form = {"CMYK": "JPEG", "YCbCr": "JPEG"}.get(mode, "PNG")
    photo = decode(encoded(scene.convert("L").convert(mode) if mode == "1" else scene.convert(mode), form))
    grey = np.asarray(scene.convert("L"), np.float64)
    assert photo.mode == "RGB" and photo.size == scene.size
    assert np.corrcoef(np.asarray(photo.convert("L"), np.float64).ravel(), grey.ravel())[0, 1] > (
        0.3 if mode == "1" else 0.95
    )


def test_a_16_bit_grey_is_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    photo = decode(encoded(Image.fromarray(ramp), "PNG"))
    assert np.abs(np.asarray(photo)[..., 0].ravel().astype(int) - np.arange(256)).max() <= 1


def test_transparent_parts_of_a_palette_image_are_white():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 4, 8))
    photo = decode(encoded(image, "PNG", transparency=0))
    assert photo.getpixel((1, 1)) == (255, 255, 255) and photo.getpixel((6, 1)) == (0, 0, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations_are_turned_upright(scene, orientation):
    way = Image.Transpose
    undo = (None, way.FLIP_LEFT_RIGHT, way.ROTATE_180, way.FLIP_TOP_BOTTOM, way.TRANSPOSE, way.ROTATE_90)
    undo = (*undo, way.TRANSVERSE, way.ROTATE_270)[orientation - 1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = scene.transpose(undo) if undo is not None else scene
    photo = decode(encoded(stored, "PNG", exif=exif))
    assert photo.size == scene.size and difference(photo, scene) == 0


def test_only_the_first_frame_of_an_animation_is_read(scene):
    black = Image.new("RGB", scene.size)
    photo = decode(encoded(scene, "GIF", save_all=True, append_images=[black]))
    assert difference(photo, scene) < 8


def test_a_truncated_photo_is_unreadable_and_never_half_grey(scene):
    for form in ("JPEG", "PNG", "WEBP", "TIFF"):
        whole = encoded(scene.resize((600, 400)), form)
        with pytest.raises(UnreadableImage) as caught:
            decode(whole[: len(whole) // 2])
        assert caught.value.reason


def test_empty_files_and_texts_are_told_apart(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("a photo, honestly")
    with pytest.raises(UnreadableImage, match="empty"):
        read_photo(tmp_path / "empty.jpg")
    with pytest.raises(UnreadableImage, match="not a JPEG"):
        read_photo(tmp_path / "text.jpg")


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    reasons = []

    def read() -> None:
        with pytest.raises(UnreadableImage) as caught:
            read_photo(tmp_path / "pipe.jpg")
        reasons.append(caught.value.reason)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert reasons == ["not a regular file"]


def test_folders_devices_and_missing_files_give_a_reason(tmp_path):
    for path in (tmp_path, "/dev/zero", tmp_path / "gone.jpg", "nul\0byte.jpg"):
        with pytest.raises(UnreadableImage):
            read_photo(path)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9_500, 12_000, 60_000])
def test_a_header_that_promises_a_huge_picture_is_refused_before_memory_is_taken(side):
    with pytest.raises(UnreadableImage, match="pixels"):
        decode(png_header(side, side))


def test_a_file_beyond_the_cap_is_not_read(tmp_path):
    with open(tmp_path / "large.jpg", "wb") as file:
        file.truncate(decoding.MAX_FILE_BYTES + 1)
    with pytest.raises(UnreadableImage, match="larger than 64 MB"):
        read_photo(tmp_path / "large.jpg")


def test_a_file_without_read_permission_says_so(tmp_path, scene, monkeypatch):
    path = tmp_path / "shut.png"
    path.write_bytes(encoded(scene, "PNG"))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything, so the system's answer is played here

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(decoding.os, "open", refuse)
    with pytest.raises(UnreadableImage, match="permission denied"):
        read_photo(path)


def test_mutated_files_give_a_photo_or_a_reason_and_nothing_else(scene):
    rng = np.random.default_rng(0)
    refused = 0
    for form in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"):
        whole = np.frombuffer(encoded(scene, form), np.uint8)
        for _ in range(60):
            mutant = whole.copy()
            places = rng.integers(0, len(mutant), rng.integers(1, 12))
            mutant[places] = rng.integers(0, 256, len(places))
            try:
                assert decode(mutant.tobytes()).mode == "RGB"
            except UnreadableImage as error:
                refused += 1
                assert 0 < len(error.reason) < 200
    assert refused > 20


def test_pillow_warnings_neither_leak_nor_leave_a_filter_behind(scene):
    bad_exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x0f\x01\x02\0\xff\xff\0\0\xf0\xff\0\0"
    content = encoded(scene, "JPEG", exif=bad_exif)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Image.open(io.BytesIO(content)).getexif()
        assert seen, "the control: Pillow itself warns about this file"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        assert decode(content).mode == "RGB"
        assert list(warnings.filters) == before


def test_many_threads_decode_the_same_and_leave_the_filters_as_they_were(scene):
    content, before, photos = encoded(scene, "JPEG"), list(warnings.filters), []
    threads = [threading.Thread(target=lambda: photos.extend(decode(content) for _ in range(20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(photos) == 160 and all(difference(photo, photos[0]) == 0 for photo in photos)
    assert list(warnings.filters) == before


def test_a_wanted_size_makes_a_large_jpeg_smaller_but_never_too_small(scene):
    large = scene.resize((2400, 1600), Image.Resampling.BICUBIC)
    content = encoded(large, "JPEG", quality=95)
    small = decode(content, wanted_px=180)
    assert small.size == (300, 200)
    assert decode(content, wanted_px=500).size == (1200, 800)
    assert decode(content, wanted_px=900).size == (2400, 1600)
    assert difference(small, large.resize((300, 200), Image.Resampling.BOX)) < 3
    assert decode(encoded(large, "PNG"), wanted_px=180).size == (2400, 1600)
    assert decode(encoded(large.resize((1200, 800)), "JPEG"), wanted_px=180).size == (1200, 800), "fast and exact"


def test_symbolic_links_to_photos_are_followed(tmp_path, scene):
    (tmp_path / "real").mkdir()
    scene.save(tmp_path / "real" / "a.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "link.png").symlink_to(tmp_path / "real" / "a.png")
    (tmp_path / "photos" / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    source = open_source(tmp_path / "photos")
    assert [record.path.rsplit("/", 1)[1] for record in source.records] == ["dangling.png", "link.png"]
    assert difference(source.read(1), scene) == 0
    with pytest.raises(UnreadableImage, match="no such file"):
        source.read(0)
