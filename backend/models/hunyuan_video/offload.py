"""Weights of a frozen model that lie in CPU memory and visit the device while they are used."""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from backend.errors import UserError
from backend.models.copy_stream import CopyStream, Mark

ALIGNMENT = 256
"""Each tensor begins at such a multiple of bytes, as those that CUDA's allocator gives."""


class WeightRing:
    """The frozen weights of some parts of a model, in CPU memory; a few of them at a time are on the device, too.

    Each part is copied as one piece into one of a few slots of device memory, and the model's own tensors become views
    of that slot. The copies in CPU memory are never written: frozen weights only ever travel one way. While one part is
    used, those that come next are fetched into the other slots, in the order of the forward pass, then down again to
    the last part that gradients pass.

    Outside of `visit` the tensors of a part are on the device in shape and type only; what they hold is that of another
    part. Modules that are in none of the parts are left alone.
    """

    def __init__(
        self,
        parts: Sequence[Sequence[nn.Module]] = (),
        *,
        device: torch.device | str = "cpu",
        slots: int = 2,
        pinned: bool = False,
        copies: CopyStream | None = None,
    ) -> None:
        """parts: the modules that come and go together, in the order of the forward pass.

        slots: how many parts are on the device at once; with one it is fetched only when it is needed. pinned: lock the
        copies in CPU memory, so that CUDA fetches them by itself. Raises ValueError for weights that are trained,
        UserError if the system does not let so much memory be locked.
        """
        device = torch.device(device)
        self._copies = copies or CopyStream(device)
        self._pinned = pinned and device.type == "cuda"
        self._parts = [_Part(modules, pinned=self._pinned) for modules in parts]
        self._index = {module: index for index, modules in enumerate(parts) for module in modules}
        size = max((len(part.memory) for part in self._parts), default=0)
        count = min(slots, len(self._parts))
        memories = [torch.empty(size, dtype=torch.uint8, device=device) for _ in range(count)]
        self._slots = [_Slot(memory, released=self._copies.mark()) for memory in memories]
        self._current: _Slot | None = None
        self._forward = False
        self._lowest = len(self._parts)
        for part in self._parts:
            part.lie_in(self._slots[0].memory)

    def summary(self) -> str:
        """How much lies where, "" if nothing is swapped."""
        if not self._parts:
            return ""
        away = sum(len(part.memory) for part in self._parts) / 2**30
        place = len(self._slots[0].memory) / 2**30
        return (
            f"{len(self._parts)} parts in {away:.2f} GiB of CPU memory{', pinned' if self._pinned else ''}, "
            f"{len(self._slots)} places of {place:.2f} GiB on the device"
        )

    def in_cpu_memory(self) -> list[list[Tensor]]:
        """The weights of each part, as they lie in CPU memory."""
        return [part.views(part.memory) for part in self._parts]

    @contextmanager
    def forward_pass(self) -> Iterator[None]:
        """What is used inside is used from the first part up, what is used outside in the backward pass."""
        self._forward, self._lowest = True, len(self._parts)
        try:
            yield
        finally:
            self._forward = False

    @contextmanager
    def visit(self, module: nn.Module, *, again: bool = False) -> Iterator[None]:
        """The weights of a module are on the device inside, and then until another part is used.

        again: the backward pass will need them, too. What comes next is fetched when the inside is queued, for from
        unpinned memory it is fetched while this waits, and the device then has something to do meanwhile.
        """
        index = self._index.get(module)
        if index is None:
            yield
            return
        if self._forward and again:
            self._lowest = min(self._lowest, index)
        self._bring(index)
        try:
            yield
        finally:  # an exception too: checkpointing leaves its second computation by one when it has enough
            self._fetch_ahead(index)

    def kept_by_name(self, module: nn.Module) -> AbstractContextManager[Any]:
        """What autograd keeps of the module's weights inside is which they are, in place of the slot's memory.

        They are brought again when the backward pass asks for them. Not for checkpointing, which keeps no weights.
        """
        return saved_tensors_hooks(self._name, self._tensor) if module in self._index else nullcontext()

    def _bring(self, index: int) -> _Slot:
        """The slot with a part, for what is computed from now on; nothing uses the part before any more."""
        held = self._holding(index)
        if held is None or held is not self._current:
            if self._current is not None:
                self._current.released = self._copies.mark()
            self._current = held or self._fetch(index, wanted={index})
        self._copies.wait(self._current.arrived)
        self._parts[index].lie_in(self._current.memory)
        return self._current

    def _fetch_ahead(self, current: int) -> None:
        """Start fetching what is used next, into the slots of what is not."""
        order = uses_from(current, count=len(self._parts), forward=self._forward, lowest=self._lowest)
        wanted = list(islice(dict.fromkeys(order), len(self._slots)))
        for index in wanted:
            if self._holding(index) is None:
                self._fetch(index, wanted=set(wanted))

    def _fetch(self, index: int, *, wanted: set[int]) -> _Slot:
        """Start copying a part into a slot whose part is not wanted; returns the slot."""
        slot = next(slot for slot in self._slots if slot.part not in wanted)
        part = self._parts[index]
        slot.arrived = self._copies.copy(slot.memory[: len(part.memory)], part.memory, after=slot.released)
        slot.part = index
        return slot

    def _holding(self, index: int) -> _Slot | None:
        return next((slot for slot in self._slots if slot.part == index), None)

    def _name(self, tensor: Tensor) -> Tensor | _Name:
        storage = tensor.untyped_storage().data_ptr()
        for slot in self._slots:
            if slot.part is not None and slot.memory.untyped_storage().data_ptr() == storage:
                return _Name(slot.part, tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset())
        return tensor

    def _tensor(self, kept: Tensor | _Name) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        slot = self._bring(kept.part)
        self._fetch_ahead(kept.part)
        return slot.memory.view(kept.dtype).as_strided(kept.shape, kept.stride, kept.offset)


def uses_from(current: int, *, count: int, forward: bool, lowest: int) -> Iterator[int]:
    """The parts in the order of their use, from the current one to the end of the next forward pass.

    A forward pass goes up through all of them, a backward pass down to the lowest one that gradients pass (`count` if
    they pass none).
    """
    if forward:
        yield from range(current, count)
        yield from reversed(range(lowest, count))
    else:
        yield from reversed(range(min(lowest, current), current + 1))
    yield from range(count)


@dataclass
class _Slot:
    """Device memory for one part. arrived: the part is there. released: what was there before is not used any more."""

    memory: Tensor
    part: int | None = None
    arrived: Mark = None
    released: Mark = None


@dataclass(frozen=True)
class _Name:
    """A view of a slot: which part it was, and where in it."""

    part: int
    dtype: torch.dtype
    shape: torch.Size
    stride: tuple[int, ...]
    offset: int


class _Part:
    """The weights of some modules as one piece of CPU memory, and the model's tensors, which lie in any copy of it."""

    def __init__(self, modules: Iterable[nn.Module], *, pinned: bool) -> None:
        tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
        if any(tensor.requires_grad for tensor in tensors):
            raise ValueError("weights that are trained cannot lie in CPU memory")
        self._places: list[tuple[Tensor, int]] = []
        size = 0
        for tensor in tensors:
            self._places.append((tensor, size))
            size += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
        self.memory = cpu_memory(size)
        if pinned:
            pin(self.memory)
            # At exit the driver lets go by itself, and may not be there any more.
            weakref.finalize(self, _unpin, self.memory.data_ptr()).atexit = False
        for view, tensor in zip(self.views(self.memory), tensors, strict=True):
            view.copy_(tensor.detach())
        self._lies_in: Tensor | None = None
        self.lie_in(self.memory)

    @torch.inference_mode(False)  # tensors that come to lie somewhere while sampling must serve training, too
    def lie_in(self, memory: Tensor) -> None:
        """Make the model's tensors views of this memory."""
        if self._lies_in is not memory:
            for (tensor, _), view in zip(self._places, self.views(memory), strict=True):
                tensor.data = view
            self._lies_in = memory

    def views(self, memory: Tensor) -> list[Tensor]:
        """The tensors as they lie in this memory."""
        return [
            memory[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
            for tensor, start in self._places
        ]


def cpu_memory(size: int) -> Tensor:
    """So many bytes of CPU memory, in pages of their own."""
    room = torch.empty(_whole_pages(size) + mmap.PAGESIZE, dtype=torch.uint8)
    return room[-room.data_ptr() % mmap.PAGESIZE :][:size]


def pin(memory: Tensor) -> None:
    """Lock what `cpu_memory` gave in its place, so that CUDA reads it by itself.

    torch's own pinned memory comes in powers of two: 1 GiB for a double block of 680 MB. Raises UserError if the
    system does not let so much memory be locked.
    """
    try:
        code = torch.cuda.cudart().cudaHostRegister(memory.data_ptr(), _whole_pages(len(memory)), 0)
        torch.cuda.check_error(code)
    except RuntimeError as error:
        raise UserError(
            f"{len(memory) / 2**30:.2f} GiB of CPU memory cannot be pinned: {error}",
            hint="swap fewer blocks, or switch use_pinned_memory_for_block_swap off",
            option="use_pinned_memory_for_block_swap",
        ) from error


def _unpin(address: int) -> None:
    torch.cuda.cudart().cudaHostUnregister(address)


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
