"""Bad input gets one clear sentence, its exit code, and leaves nothing half-written."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from actatlas.cli import main
from actatlas.store import durable

LAYER = "blocks.9.expanded"


def run(capsys, *arguments):
    # Small icons, quickly painted: nothing here is about their looks.
    small = ("--draft", "--icon-px", "48") if arguments[0] == "build" else ()
    code = main([str(a) for a in (*arguments, *small)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def one_sentence(err, *words):
    last = [line for line in err.strip().splitlines() if line.startswith("actatlas: ")]
    assert len(last) == 1 and "Traceback" not in err, err
    for word in words:
        assert word in last[0], last[0]


def test_no_images(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = run(capsys, "build", tmp_path / "empty", "--out", tmp_path / "out")
    assert code == 3 and not (tmp_path / "out").exists()
    one_sentence(err, "empty")
    code, _, err = run(capsys, "build", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert code == 3 and not (tmp_path / "out").exists()
    one_sentence(err, "nowhere")


def test_one_image(capsys, tmp_path, drawn_photos):
    (tmp_path / "one").mkdir()
    shutil.copy(next(drawn_photos.iterdir()), tmp_path / "one")
    code, _, err = run(capsys, "build", tmp_path / "one", "--out", tmp_path / "out")
    assert code == 3 and not (tmp_path / "out").exists()
    one_sentence(err, "1 image", "at least 3")


def test_all_images_broken(capsys, tmp_path):
    (tmp_path / "broken").mkdir()
    for i in range(5):
        (tmp_path / "broken" / f"{i}.jpg").write_bytes(b"\xff\xd8 no more")
    code, _, err = run(capsys, "build", tmp_path / "broken", "--out", tmp_path / "out", "--layer", LAYER)
    assert code == 3
    one_sentence(err, "none of the 5 images")


def test_a_wrong_layer_names_the_closest(capsys, tmp_path, drawn_photos):
    code, _, err = run(capsys, "build", drawn_photos, "--out", tmp_path / "out", "--layer", "blocks.9.expnded")
    assert code == 4 and not (tmp_path / "out").exists()
    one_sentence(err, "blocks.9.expanded", "actatlas layers")


def hub_is_out_of_reach(monkeypatch, tmp_path):
    from actatlas.networks import fetching

    monkeypatch.setattr(fetching, "is_known", lambda host: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def test_each_network_that_cannot_be_loaded_is_one_clear_line_on_the_shell(capsys, tmp_path, monkeypatch):
    hub_is_out_of_reach(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    three = timm.create_model("test_resnet", num_classes=3)
    save_file(three.state_dict(), "three.safetensors")
    save_file(timm.create_model("test_vit", num_classes=3).state_dict(), "vit.safetensors")
    Path("short.txt").write_text("cat\nred fox\n")
    Path("bare.py").write_text("from torch import nn\ndef make():\n    return nn.Conv2d(3, 8, 3)\n")
    on = "timm:test_resnet?pretrained=false&num_classes=3"
    rows = {
        "bare.py:make": ("Preprocessing",),  # a network without configuration
        "timm:test_resnet?checkpoint=vit.safetensors&num_classes=3": ("vit.safetensors", "test_resnet"),  # wrong keys
        "timm:test_resnet?checkpoint=three.safetensors&num_classes=5": ("3 classes", "num_classes=3"),
        "timm:test_resnte": ("test_resnet",),  # typos
        "tim:test_resnet": ("timm",),
        "timm:test_resnet?num_clases=3": ("num_classes",),
        "timm:resnet18.a1_in1k": ("no connection", "hf download timm/resnet18.a1_in1k", "checkpoint="),
        "hf:nobody/never-was-there": ("no connection", "hf download nobody/never-was-there", "hf:"),
        f"{on}&labels=short.txt": ("short.txt names 2 classes", "3 logits"),
    }
    for spec, words in rows.items():
        code, out, err = run(capsys, "layers", spec)
        assert code == 4 and not out, (spec, err)
        one_sentence(err, *words)


@pytest.mark.parametrize(
    "spec", ["resnet50", "timm:no_such_network", "torchvision:googlenet", "nowhere.py:make", "python:no_module:f"]
)
def test_a_wrong_model(capsys, tmp_path, drawn_photos, spec):
    code, _, err = run(capsys, "build", drawn_photos, "--out", tmp_path / "out", "--model", spec)
    assert code == 4 and not (tmp_path / "out").exists()
    one_sentence(err)


def test_an_output_folder_that_holds_something_else(capsys, tmp_path, drawn_photos):
    (tmp_path / "notes.txt").write_text("mine")
    code, _, err = run(capsys, "build", drawn_photos, "--out", tmp_path)
    assert code == 7 and [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    one_sentence(err, "notes.txt", "--out")


@pytest.mark.parametrize("n", [1, 7, 30])
def test_a_full_disk_stops_the_build_and_space_continues_it(capsys, tmp_path, drawn_photos, monkeypatch, n):
    left = [n]

    def fail(operation, path):
        left[0] -= 1
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    arguments = ("build", drawn_photos, "--out", tmp_path / "out", "--layer", LAYER, "--grid", 2, "--positions", 2)
    monkeypatch.setattr(durable, "before_operation", fail)
    code, _, err = run(capsys, *arguments)
    assert code == 7
    one_sentence(err, "disk is full", "same command")
    monkeypatch.setattr(durable, "before_operation", None)
    assert run(capsys, *arguments)[0] == 0
    assert run(capsys, "verify", tmp_path / "out")[0] == 0


def test_fewer_activations_than_neighbours_still_make_an_atlas_and_again_it_is_known_without_its_network(
    capsys, tmp_path, drawn_photos, monkeypatch
):
    (tmp_path / "few").mkdir()
    for path in sorted(drawn_photos.iterdir())[:5]:
        shutil.copy(path, tmp_path / "few")
    arguments = ("build", tmp_path / "few", "--out", tmp_path / "out", "--layer", LAYER, "--grid", 2, "--json")
    code, out, _ = run(capsys, *arguments, "--positions", 4)
    assert code == 0
    assert json.loads(out)["layers"][LAYER]["grids"]["2"]["cells"] >= 1

    def refuse(*_, **__):
        raise AssertionError("the network was loaded")

    monkeypatch.setattr("actatlas.api.load_network", refuse)
    assert run(capsys, *arguments, "--positions", 4) == (0, out, "")
    photo = tmp_path / "few" / "00.png"
    photo.write_bytes(photo.read_bytes()[::-1])  # another photo of the same size
    for changed in (("--positions", 4), ("--positions", 3), ("--positions", 4, "--seed", 1)):
        assert run(capsys, *arguments, *changed)[0] == 1, "something else was taken for what is there"


def test_identical_images_end_in_an_atlas_or_a_clear_word(capsys, tmp_path):
    (tmp_path / "same").mkdir()
    for i in range(8):
        Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(tmp_path / "same" / f"{i}.png")
    code, _, err = run(capsys, "build", tmp_path / "same", "--out", tmp_path / "out", "--layer", LAYER, "--grid", 2)
    assert "Traceback" not in err
    assert code == 0 or (code == 3 and "grid" in err)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["build"], "required"), (["nonsense"], "nonsense"), (["build", "x", "--out", "y", "--grid", "1"], "2 to 320"),
     (["build", "x", "--out", "y", "--grid", "many"], "2 to 320"),
     (["build", "x", "--out", "y", "--positions", "0"], "position")],
)  # fmt: skip
def test_usage_errors_are_one_line_and_exit_2(capsys, tmp_path, monkeypatch, drawn_photos, arguments, word):
    monkeypatch.chdir(tmp_path)
    arguments = [str(drawn_photos) if a == "x" else a for a in arguments]
    code, _, err = run(capsys, *arguments)
    assert code == 2 and not (tmp_path / "y").exists()
    one_sentence(err, word)


def test_errors_are_json_too(capsys, tmp_path):
    code, out, _ = run(capsys, "verify", tmp_path, "--json")
    told = json.loads(out)["error"]
    assert code == told["exit_code"] == 7 and told["type"] == "NotAnAtlas" and str(tmp_path) in told["message"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_exits_130_and_says_that_the_same_command_continues(tmp_path, drawn_photos, name):
    command = [sys.executable, "-m", "actatlas.cli", "build", str(drawn_photos), "--out", str(tmp_path / "out"),
               "--layer", LAYER, "--grid", "4", "--crops", "3", "--positions", "4"]  # fmt: skip
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # A test run in the background has Ctrl-C switched off, and would hand that on.
    process = subprocess.Popen(
        command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), start_new_session=True, **pipes
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "out" / "pilot.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    asked = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - asked < 10
    with pytest.raises(ProcessLookupError):  # nobody is left of those that it started
        os.killpg(process.pid, 0)
    one_sentence(err, "same command continues")
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("arguments", [["build", "", "--out", "x"], ["build", "x", "--out", ""], ["verify", ""]])
def test_what_is_empty_names_nothing_and_not_the_current_folder(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code in (2, 3) and not any(tmp_path.iterdir())
    one_sentence(err, "empty")


def test_names_of_strangers_do_not_steer_the_terminal(capsys, tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file({"\x1b[31m\n<script>" + "x" * 10_000: torch.zeros(1)}, file)
    code, _, err = run(capsys, "layers", f"timm:test_resnet?checkpoint={file}")
    assert code == 4 and "\x1b" not in err and len(err) < 3_000
    one_sentence(err, "<script>")
