"""What `actatlas visualize --json` tells is of the form that docs/schema/visualize.json promises, for each WHAT."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from actatlas import cli

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "visualize.json").read_text(encoding="utf-8"))
ZOO = """
import torch
from torch import nn
from actatlas import Preprocessing
def small():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 12, 5, 4, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3)
    )
    return module, Preprocessing((32, 32), 32, "bilinear", (0.5,) * 3, (0.25,) * 3), ["tench", "jeep", "goldfish"]
"""
LAYER = ("--layer", "1")
ASKED = {
    "channel": (*LAYER, "--channel", 2, "--count", 2, "--negative"),
    "neuron": (*LAYER, "--channel", 2, "--at", "0,7", "--count", 1),
    "direction": (*LAYER, "--vector", "probe.npy", "--count", 1),
    "class": ("--class", "jeep", "--count", 1, "--px", 32),
    "grid": (*LAYER, "--photo", "photo.png", "--groups", 2),
    "attribution": (*LAYER, "--photo", "photo.png", "--class", "jeep", "--versus", "tench"),
    "attribution by channel": (*LAYER, "--photo", "photo.png", "--class", "jeep", "--by", "channel", "--count", 1),
}


@pytest.fixture
def tell(drawn_photos, tmp_path, monkeypatch, capsys):
    """WHAT, by the name in ASKED → its object, as a reader of strict JSON has it."""
    (tmp_path / "zoo.py").write_text(ZOO)
    photo = next(path for path in sorted(drawn_photos.iterdir()) if path.suffix == ".png")
    (tmp_path / "photo.png").write_bytes(photo.read_bytes())
    np.save(tmp_path / "probe.npy", np.eye(12)[3])
    monkeypatch.chdir(tmp_path)

    def told(name):
        on = ("--model", "zoo.py:small", "--photos", drawn_photos, "--json")
        code = cli.main(["visualize", name.partition(" ")[0], *map(str, (*ASKED[name], *on))])
        out = capsys.readouterr().out
        assert code == 0, out
        return json.loads(out, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))

    return told


@pytest.mark.parametrize("name", ASKED)
def test_each_kind_of_output_holds_to_the_schema(name, tell):
    told = tell(name)
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    assert told["what"] == name.partition(" ")[0] and all(Path(file).is_file() for file in told["files"])


def test_the_schema_refuses_what_is_not_told(tell):
    told = tell("grid")
    without = {name: value for name, value in told.items() if name != "files"}
    for broken in (told | {"more": 1}, told | {"what": "channel"}, without, told | {"layers": []}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate(broken)


def test_each_what_of_the_command_is_in_the_schema():
    from actatlas.cli.visualizing import WHATS

    kinds = [SCHEMA["$defs"][kind["$ref"].rpartition("/")[2]]["properties"]["what"] for kind in SCHEMA["oneOf"]]
    known = {what for kind in kinds for what in kind.get("enum", [kind.get("const")])}
    assert known == set(WHATS) == {name.partition(" ")[0] for name in ASKED}
