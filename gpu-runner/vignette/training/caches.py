"""Everything about the data that does not change while the adapter learns, computed once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from vignette.errors import ConfigError
from vignette.training.data import Example, decode
from vignette.training.frozen import EncodedPrompts, FrozenModel
from vignette.training.store import SHARD, Store, text_key
from vignette.training.teacher import Teacher

CHUNK = 8
# How pictures were opened before they were encoded: latents of sideways ones are not found again.
OPENED = "upright, on white"
Entry = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Share:
    """Which part of the work this process does: every `of`-th key from `rank` on. `wait` returns when all have called it."""

    rank: int = 0
    of: int = 1
    wait: Callable[[], None] = lambda: None


class Caches:
    """
    Latents, prompts, teacher vectors and keyword predictions by content, in half precision under `root`.

    Args:
        match_draws: Keyword predictions per example, each at its own noise and timestep; 0 keeps none.
        seed: Of those draws.
        chunk: Most texts or pictures that go through a model at once.
    """

    def __init__(
        self,
        root: Path,
        frozen: FrozenModel,
        resolution: int,
        match_draws: int = 0,
        seed: int = 0,
        share: Share | None = None,
        chunk: int = CHUNK,
    ) -> None:
        self.frozen, self.resolution, self.draws, self.seed = frozen, resolution, match_draws, seed
        self.share, self.chunk = share or Share(), chunk
        self.root = root
        if resolution % frozen.pixels_per_latent:
            raise ConfigError(f"--resolution must be a multiple of {frozen.pixels_per_latent}, not {resolution}.")
        self._text = Store(root, "text", {"text": frozen.hash("text")})
        self._latents: Store | None = None
        self._teacher: Store | None = None
        self._predictions: Store | None = None

    def fill_prompts(self, texts: Iterable[str]) -> None:
        """Encodes each different text; the text encoders are released afterwards."""

        def encode(chunk: Sequence[str]) -> Mapping[str, Entry]:
            got = self.frozen.encode(chunk)
            found: dict[str, Entry] = {}
            for i, text in enumerate(chunk):
                halves = got.states[i].split(self.frozen.widths, dim=-1)
                named = zip(halves, self.frozen.encoders, strict=True)
                states = torch.cat([_half(half, self.frozen.folder / part, text) for half, (part, _) in named], dim=-1)
                entry = {"states": states, "mask": got.mask[i].to(torch.uint8)}
                if got.pooled is not None:
                    entry["pooled"] = _half(got.pooled[i], self.frozen.folder / "text_encoder_2", text)
                found[text_key(text)] = entry
            return found

        self._fill(self._text, "Prompts", {text_key(t): t for t in texts}, encode)
        self.frozen.release("text_encoder", "text_encoder_2")

    def fill_latents(self, examples: Sequence[Example]) -> None:
        """Encodes each different picture, scaled to cover `resolution` squared and cut at the centre."""
        recipe = {"vae": self.frozen.hash("vae"), "resolution": self.resolution, "opened": OPENED}
        self._latents = Store(self.root, "latents", recipe)

        def encode(chunk: Sequence[Example]) -> Mapping[str, Entry]:
            pixels = torch.stack([square_pixels(decode(e), self.resolution) for e in chunk])
            latents = self.frozen.encode_pictures(pixels)
            return {
                e.digest: {"latents": _half(z, self.frozen.folder / "vae", e.name)}
                for e, z in zip(chunk, latents, strict=True)
            }

        self._fill(self._latents, "Pictures", {e.digest: e for e in examples}, encode)

    def fill_teacher(self, teacher: Teacher, texts: Iterable[str]) -> None:
        """Asks the teacher about each different text."""
        self._teacher = Store(self.root, "teacher", teacher.recipe())

        def read(chunk: Sequence[str]) -> Mapping[str, Entry]:
            return {
                text_key(t): {"vector": _half(v, teacher.source, t)}
                for t, v in zip(chunk, teacher.read(chunk), strict=True)
            }

        self._fill(self._teacher, "Teacher", {text_key(t): t for t in texts}, read)

    def fill_predictions(self, examples: Sequence[Example]) -> None:
        """The UNet's answers under the keyword prompts, at `draws` fixed noises and timesteps per example."""
        recipe = {
            "model": self.frozen.hash("unet", "vae", "text"),
            "dtype": str(self.frozen.dtype),
            "resolution": self.resolution,
            "seed": self.seed,
            "opened": OPENED,
        }
        self._predictions = Store(self.root, "predictions", recipe)
        wanted = {_prediction_key(e, k): (e, k) for e in examples for k in range(self.draws)}

        @torch.no_grad()
        def predict(chunk: Sequence[tuple[Example, int]]) -> Mapping[str, Entry]:
            device = self.frozen.device
            prompts = self.prompts([e.keywords for e, _ in chunk])
            latents = self.latents([e for e, _ in chunk])
            spots = [self.spot(e, k) for e, k in chunk]
            t = torch.tensor([spot[0] for spot in spots], device=device)
            noise = torch.stack([noise_like(latents[0], spot[1]) for spot in spots])
            noisy = self.frozen.part("scheduler").add_noise(latents.to(device), noise.to(device), t)
            pooled = None if prompts.pooled is None else prompts.pooled.to(device)
            out = self.frozen.predict(noisy, t, prompts.states.to(device), pooled)
            unet = self.frozen.folder / "unet"
            return {_prediction_key(e, k): {"v": _half(p, unet, e.name)} for (e, k), p in zip(chunk, out, strict=True)}

        self._fill(self._predictions, "Predictions", wanted, predict)

    def prompts(self, texts: Sequence[str]) -> EncodedPrompts:
        """Cached encodings in float32 on the CPU."""
        keys = [text_key(text) for text in texts]
        states = torch.stack([self._text.get(key, "states") for key in keys]).float()
        mask = torch.stack([self._text.get(key, "mask") for key in keys]).long()
        pooled = torch.stack([self._text.get(key, "pooled") for key in keys]).float() if self.frozen.is_xl else None
        return EncodedPrompts(states, mask, pooled)

    def latents(self, examples: Sequence[Example]) -> torch.Tensor:
        """Scaled latents `[B, C, h, w]` in float32 on the CPU."""
        return torch.stack([_filled(self._latents).get(e.digest, "latents") for e in examples]).float()

    def teacher(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Sentence vectors `[B, T]`, or tokens padded to `[B, Lt, T]`, and their mask `[B, Lt]` (`[B, 1]`)."""
        vectors = [_filled(self._teacher).get(text_key(text), "vector").float() for text in texts]
        if vectors[0].ndim == 1:
            return torch.stack(vectors), torch.ones(len(vectors), 1)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(v)) for v in vectors], batch_first=True)
        return torch.nn.utils.rnn.pad_sequence(vectors, batch_first=True), mask

    def prediction(self, example: Example, draw: int) -> torch.Tensor:
        """`[C, h, w]` in float32 on the CPU."""
        return _filled(self._predictions).get(_prediction_key(example, draw), "v").float()

    def spot(self, example: Example, draw: int) -> tuple[int, int]:
        """Timestep and noise seed of one cached prediction; the draws of an example spread over the timesteps."""
        digest = hashlib.sha256(f"{self.seed}/{example.digest}/{draw}".encode()).digest()
        steps = self.frozen.part("scheduler").config.num_train_timesteps
        # Offsets by the golden ratio cover the timesteps evenly whatever number of draws there is.
        start = int.from_bytes(hashlib.sha256(f"{self.seed}/{example.digest}".encode()).digest()[:4], "big") / 2**32
        place = (start + draw * 0.6180339887498949) % 1.0
        return min(int(place * steps), steps - 1), int.from_bytes(digest[:7], "big")

    def _fill(
        self, store: Store, what: str, items: Mapping[str, Any], compute: Callable[[Sequence[Any]], Mapping[str, Entry]]
    ) -> None:
        mine = store.missing(items)[self.share.rank :: self.share.of]
        # All have looked before any writes: shares of different lists would leave keys to nobody.
        self.share.wait()
        if mine:
            with tqdm(total=len(mine), desc=what, unit="", disable=self.share.rank != 0) as bar:
                for start in range(0, len(mine), SHARD):
                    shard: dict[str, Entry] = {}
                    part = mine[start : start + SHARD]
                    for at in range(0, len(part), self.chunk):
                        shard.update(compute([items[key] for key in part[at : at + self.chunk]]))
                        bar.update(len(part[at : at + self.chunk]))
                    store.put(shard)
        self.share.wait()
        store.refresh()


def noise_like(latents: torch.Tensor, seed: int) -> torch.Tensor:
    """Noise from a CPU generator, so that a seed means the same on every device and in any batch."""
    return torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))


def _prediction_key(example: Example, draw: int) -> str:
    return text_key(f"{example.digest}/{draw}/{example.keywords}")


def square_pixels(image: Image.Image, side: int) -> torch.Tensor:
    """`[3, side, side]` in [-1, 1]: scaled to cover a square, cut at the centre."""
    scale = side / min(image.size)
    width, height = (max(side, round(n * scale)) for n in image.size)
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (width - side) // 2, (height - side) // 2
    array = np.asarray(image.crop((left, top, left + side, top + side)), dtype=np.float32)
    return torch.from_numpy(array).permute(2, 0, 1) / 127.5 - 1


def _half(tensor: torch.Tensor, part: Path | str, item: str) -> torch.Tensor:
    """In half precision; ConfigError names the part of the model that gave it where that holds NaN or infinity."""
    half = tensor.detach().half()
    if not torch.isfinite(half).all():
        raise ConfigError(
            f"{part} gives NaN or numbers beyond half precision for {item!r}; its weights may be damaged: copy or download"
            " them again."
        )
    return half


def _filled(store: Store | None) -> Store:
    if store is None:
        raise RuntimeError("This cache has not been filled.")
    return store
