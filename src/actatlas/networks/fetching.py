"""Weights from hubs, and random ones: what goes wrong is one sentence, and nothing else in the process is disturbed."""

from __future__ import annotations

import logging
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from actatlas.errors import ActatlasError, BadWeights, first_line

# Seed of networks that are asked for without trained weights, so that two processes have the same one.
UNTRAINED_SEED = 0


@contextmanager
def seeded(untrained_spec: str | None) -> Iterator[None]:
    """Random weights are the same each time, said to be random, and leave the caller's random numbers alone."""
    if untrained_spec is None:
        yield
        return
    logging.getLogger("actatlas").warning(
        "%s: its weights are random (seed %d), not trained", untrained_spec, UNTRAINED_SEED
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        yield


@contextmanager
def loading(spec: str, host: str = "", instead: str = "") -> Iterator[None]:
    """What goes wrong while weights are fetched or read, as one sentence.

    host: that serves the weights; instead: what somebody without a way to it can do, as an end of the sentence
    """
    try:
        yield
    except ActatlasError:
        raise
    except Exception as error:  # hubs, networks and files fail in many ways
        if host and not is_known(host):
            raise BadWeights(
                f"{spec}: there is no connection to {host}, and its weights were not fetched before; {instead}",
                spec=spec,
                host=host,
            ) from error
        raise BadWeights(
            f"{spec}: its weights could not be had ({type(error).__name__}: {first_line(error)}); "
            f"check the connection and the name, or {instead or 'give a checkpoint file'}",
            spec=spec,
        ) from error


@contextmanager
def impatient() -> Iterator[None]:
    """Without a way to the hub its client retries for a minute, line by line; told so, it looks into its cache."""
    try:
        from huggingface_hub import constants
    except ImportError:
        yield
        return
    was_offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = was_offline or not is_known(hub_host())
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was_offline


def hub_host() -> str:
    """The Hugging Face hub's, or its mirror's where HF_ENDPOINT names one."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return "huggingface.co"
    return urllib.parse.urlsplit(constants.ENDPOINT).hostname or "huggingface.co"


def is_known(host: str) -> bool:
    if urllib.request.getproxies():  # the proxy knows
        return True
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True
