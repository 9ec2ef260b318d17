"""What the device's thread tells of its own work, for metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UNetCall:
    """One call: `pictures` of a size in pixels were drawn in it and `padding` were not wanted; it took `seconds`."""

    model: str
    width: int
    height: int
    pictures: int
    padding: int
    seconds: float


class Observer:
    """Every method is called on the device's thread and must be quick; seconds are those of the device."""

    def unet_called(self, call: UNetCall) -> None:
        pass

    def decoded(self, pictures: int, seconds: float) -> None:
        pass

    def model_loaded(self, model: str, seconds: float) -> None:
        pass

    def ran_out_of_memory(self) -> None:
        pass
