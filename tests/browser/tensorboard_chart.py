"""Whether TensorBoard has drawn a curve; its charts are canvases, so the picture itself is looked at."""

from __future__ import annotations

import io
import time

import numpy as np
from PIL import Image
from playwright.sync_api import Locator

A_LONG_WAIT_S = 120.0  # a safety net for a machine that hangs


def wait_for_curve(chart: Locator) -> None:
    """Wait until the card's chart shows a curve, whose colour is bluish where grid and ground are grey."""
    canvas = chart.locator("line-chart canvas").first
    give_up = time.monotonic() + A_LONG_WAIT_S
    while bluish_share(canvas.screenshot()) < 0.002:
        assert time.monotonic() < give_up, "TensorBoard's chart shows no curve"


def bluish_share(picture: bytes) -> float:
    """The share of the pixels with more blue than red."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=int)  # (H, W, 3)
    return float((pixels[..., 2] - pixels[..., 0] > 12).mean())
