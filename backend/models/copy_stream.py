"""Copies between CPU memory and a device, made beside what the device computes."""

from __future__ import annotations

import torch
from torch import Tensor

Mark = torch.cuda.Event | None
"""A place in what a CUDA device has been told to do, which others can wait for. None on other devices."""


class CopyStream:
    """Copies to and from one device in a queue of its own.

    Only CUDA has such queues. On other devices computing is done when the next line runs, so a copy is made at once and
    nothing has to be waited for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def mark(self) -> Mark:
        """The end of the computing that has been queued so far."""
        return torch.cuda.current_stream(self._device).record_event() if self._stream else None

    def copy(self, target: Tensor, source: Tensor, *, after: Mark) -> Mark:
        """Queue a copy that begins when the computing has passed a mark; returns the mark of its end.

        From CPU memory that is not pinned CUDA copies while this waits.
        """
        if self._stream is None:
            target.copy_(source)
            return None
        with torch.cuda.stream(self._stream):
            if after is not None:
                self._stream.wait_event(after)
            target.copy_(source, non_blocking=True)
            for tensor in (target, source):
                if tensor.is_cuda:
                    tensor.record_stream(self._stream)  # its memory is not given to others before the copy ends
            return self._stream.record_event()

    def wait(self, mark: Mark) -> None:
        """Have the computing that is queued from now on begin after the end of a copy."""
        if mark is not None:
            torch.cuda.current_stream(self._device).wait_event(mark)

    def to_cpu(self, tensor: Tensor) -> tuple[Tensor, Mark]:
        """The tensor in CPU memory, and the mark from which on it is there; itself if it is there already."""
        if self._stream is None:
            return tensor.to("cpu"), None
        kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return kept, self.copy(kept, tensor, after=self.mark())
