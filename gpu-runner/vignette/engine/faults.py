"""Which exceptions of PyTorch mean what."""

from __future__ import annotations

import torch

TOO_LARGE = "This picture does not fit into the device's memory; ask for a smaller width and height or fewer images."


# PyTorch has a class for what its CUDA allocator cannot give; the CPU's, MPS, the driver, cuBLAS and cuDNN only say so.
NO_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "ALLOCATION_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less at once, or another time, may fit."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)
    )


def is_fatal(error: BaseException) -> bool:
    """After an illegal access, a device assert or an ECC error the process cannot use the device again."""
    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)
