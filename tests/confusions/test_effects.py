"""What patches do to any photo, foretold from a part of them."""

import numpy as np
import torch

from actatlas.confusions.effects import Effects, effects_of, forecast, foretold


def test_effects_keep_a_part_of_the_logits_and_add_others():
    effects = Effects(torch.tensor([0.5, 1.0]), torch.tensor([[1.0, 0.0], [0.0, -2.0]]))
    photos = torch.tensor([[2.0, 4.0], [0.0, 6.0], [1.0, 1.0]])
    assert effects.on(photos).tolist() == [[[2, 2], [1, 3], [1.5, 0.5]], [[2, 2], [0, 4], [1, -1]]]
    assert effects.of(np.array([1])).on(photos).shape == (1, 3, 2)


def test_effects_are_read_off_photos():
    torch.manual_seed(0)
    effects, photos = Effects(torch.tensor([0.5, 0.9]), torch.randn(2, 6)), torch.randn(4, 6)
    found = effects_of(photos, effects.on(photos))
    assert torch.allclose(found.kept, effects.kept) and torch.allclose(found.gained, effects.gained, atol=1e-5)
    alike = effects_of(photos[:1], effects.on(photos[:1]))  # of one photo no slope can be told
    assert torch.allclose(alike.on(photos[:1]), effects.on(photos[:1]))


def test_a_forecast_keeps_what_was_seen_and_comes_near_to_the_rest():
    torch.manual_seed(0)
    alone = torch.randn(300, 12)
    mixed = torch.randn(12, 12) / 12
    gained = 0.2 * alone + alone @ mixed + 0.5 * torch.tanh(alone[:, :1])
    kept = 0.7 + 0.05 * torch.tanh(alone[:, 1])
    chosen = np.arange(0, 300, 2)
    found = forecast(alone, chosen, Effects(kept[chosen], gained[chosen]))
    assert torch.equal(found.kept[chosen], kept[chosen]) and torch.equal(found.gained[chosen], gained[chosen])
    rest = np.arange(1, 300, 2)
    for those, truth, least in ((found.gained[rest], gained[rest], 0.9), (found.kept[rest], kept[rest], 0.6)):
        assert np.corrcoef(those.flatten(), truth.flatten())[0, 1] > least
    assert np.corrcoef(alone[rest].flatten(), gained[rest].flatten())[0, 1] < 0.8  # what they give alone says less


def test_patches_that_give_all_the_same_are_foretold_alike():
    alone = torch.zeros(4, 3)
    found = forecast(alone, np.array([0, 1]), Effects(torch.tensor([0.6, 0.8]), torch.ones(2, 3)))
    assert torch.allclose(found.kept[2:], torch.tensor([0.7, 0.7]), atol=1e-3)
    assert torch.allclose(found.gained[2:], torch.ones(2, 3), atol=1e-3)


def test_what_is_told_of_some_foretells_the_others_by_their_features():
    torch.manual_seed(0)
    features = torch.randn(400, 3)
    values = torch.stack([torch.tanh(features[:, 0]), features[:, 1] * features[:, 2]], dim=1)
    found = foretold(features, np.arange(200), values[:200])
    for k in range(2):
        assert np.corrcoef(found[200:, k], values[200:, k])[0, 1] > 0.9
    assert torch.allclose(foretold(torch.zeros(3, 2), np.arange(2), torch.tensor([[1.0], [3.0]]))[2], torch.tensor(2.0))
