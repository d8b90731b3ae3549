"""The class for each kind of network, as network_module names it."""

from __future__ import annotations

from backend.networks.adapter import Adapter
from backend.networks.loha import LoHaLinear
from backend.networks.lokr import LoKrLinear
from backend.networks.lora import LoRALinear

ADAPTERS: dict[str, type[Adapter]] = {adapter.kind: adapter for adapter in (LoRALinear, LoHaLinear, LoKrLinear)}
