"""Which exceptions of PyTorch mean what."""

from __future__ import annotations

import torch

TOO_LARGE = "This picture does not fit into the device's memory; ask for a smaller width and height or fewer images."


def is_out_of_memory(error: BaseException) -> bool:
    """On the GPU PyTorch has a class for it, on the CPU only a message."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def is_fatal(error: BaseException) -> bool:
    """After an illegal access, a device assert or an ECC error the process cannot use the device again."""
    return isinstance(error, torch.AcceleratorError)
