"""Which device is chosen."""

import pytest
import torch
from accelerate import PartialState

from backend.errors import OptionError
from backend.models.devices import choose_device


def test_without_a_name_it_is_the_one_that_accelerate_trains_on():
    assert choose_device(None).type == choose_device("").type == PartialState().default_device.type


def test_a_named_device_is_taken_and_one_that_is_not_there_is_refused():
    assert choose_device("cpu") == torch.device("cpu")
    missing = "cuda:99" if torch.cuda.is_available() else "cuda"
    with pytest.raises(OptionError, match=f"device: {missing} cannot be used"):
        choose_device(missing)
