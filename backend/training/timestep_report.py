"""What show_timesteps shows: how often each noise level is drawn, and its weight in the loss, as text or picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from backend.atomic_file import replaced
from backend.training.flow_matching import loss_weights
from backend.training.noise_sampling import TIMESTEPS, NoiseSampling, draw_noise_levels

DRAWS = 100_000
LATENT_SIZE = (128, 128)  # of 1024 x 1024 pixels
BINS = 50


@dataclass(frozen=True)
class TimestepHistogram:
    """Shares of the draws, and mean loss weight, in bins of equal width over the timesteps 0 to 1000."""

    shares: list[float]
    weights: list[float]

    def text(self) -> str:
        """A line for each bin: its timesteps, a bar of at most 60 signs, share and weight."""
        width, highest = TIMESTEPS // len(self.shares), max(self.shares)
        lines = ["timesteps   share of the draws", ""]
        for index, (share, weight) in enumerate(zip(self.shares, self.weights, strict=True)):
            bar = "#" * round(60 * share / highest)
            lines.append(f"{index * width:4d}-{(index + 1) * width:4d}  {bar:60}  {share:6.2%}  weight {weight:.3g}")
        return "\n".join(lines) + "\n"

    def write_picture(self, path: Path) -> None:
        """A PNG: bars are the shares, the line is the loss weight, each relative to its highest."""
        width, height, margin = 1000, 400, 40
        picture = Image.new("RGB", (width + 2 * margin, height + 2 * margin), "white")
        drawing = ImageDraw.Draw(picture)
        step = width / len(self.shares)
        top_share, top_weight = max(self.shares), max(self.weights)
        for index, share in enumerate(self.shares):
            left = margin + index * step
            box = (left + 1, margin + height * (1 - share / top_share), left + step - 1, margin + height)
            drawing.rectangle(box, fill="#7f9fcf")
        line = [
            (margin + (index + 0.5) * step, margin + height * (1 - weight / top_weight))
            for index, weight in enumerate(self.weights)
        ]
        drawing.line(line, fill="#c05050", width=2)
        drawing.line((margin, margin + height, margin + width, margin + height), fill="black")
        for timestep in range(0, TIMESTEPS + 1, 100):
            drawing.text((margin + timestep * width / TIMESTEPS - 8, margin + height + 6), str(timestep), fill="black")
        drawing.text((margin, 8), f"timesteps drawn (bars, highest {top_share:.2%})", fill="#40608f")
        drawing.text((margin, 22), f"loss weight (line, highest {top_weight:.3g})", fill="#c05050")
        with replaced(path) as temporary:
            picture.save(temporary, format="PNG")


def timestep_histogram(sampling: NoiseSampling, *, seed: int = 0) -> TimestepHistogram:
    """The histogram of 100,000 draws for a picture of 1024 x 1024 pixels."""
    generator = torch.Generator().manual_seed(seed)
    levels = draw_noise_levels(DRAWS, sampling, generator=generator, latent_size=LATENT_SIZE)
    counts = torch.histc(levels.sigmas, bins=BINS, min=0, max=1)
    middles = (torch.arange(BINS) + 0.5) * TIMESTEPS / BINS
    return TimestepHistogram(
        shares=(counts / DRAWS).tolist(), weights=loss_weights(middles, sampling.weighting_scheme).tolist()
    )
