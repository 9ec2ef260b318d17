"""
A linear probe from a text encoder's hidden states to the phrases of a lexicon.

Keyword prompts are composed from the lexicon, encoded, and a multi-label logistic regression learns which phrases they
hold (linear probes: Alain & Bengio, https://arxiv.org/abs/1610.01644). An adapter brings narratives to where keyword
prompts are, so the same probe reads them. docs/reading.md compares it with cosine similarities.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from vignette.engine.text import run_encoder
from vignette.errors import ConfigError
from vignette.reading.lexicon import Lexicon

if TYPE_CHECKING:
    from vignette.engine.loader import LoadedModel

log = logging.getLogger(__name__)

# Changes with everything below that decides the numbers.
RECIPE = b"probe 2"
PROMPTS_PER_PHRASE = 40
FEWEST_PROMPTS, MOST_PROMPTS = 600, 6000
CHUNK = 64
WEIGHT_DECAY = 1e-5
# The loss is a mean over the phrases, so that of more than these each would be held back the more by the same decay.
DECAY_HOLDS_FOR = 44


@dataclass(frozen=True)
class Probe:
    """`mean` and `std` are `[F]` of the features, `weight` is `[F, P]`, `bias` `[P]`, float32."""

    mean: torch.Tensor
    std: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Hidden states `[B, L, D]` to the probability of each phrase, `[B, P]` in float32."""
        return torch.sigmoid((features(states) - self.mean) / self.std @ self.weight + self.bias)

    def to(self, device: torch.device) -> Probe:
        return Probe(self.mean.to(device), self.std.to(device), self.weight.to(device), self.bias.to(device))


def features(states: torch.Tensor) -> torch.Tensor:
    """`[B, L, D]` to `[B, 4 D]` in float32: mean, largest and smallest over the tokens after the first, and the last, which saw them all.

    In a mean one word among fifty is faint (docs/reading.md has by how much).
    """
    states = states.float()
    after = states[:, 1:]
    return torch.cat([after.mean(dim=1), after.amax(dim=1), after.amin(dim=1), states[:, -1]], dim=1)


def fit(lexicon: Lexicon, model: LoadedModel, seed: int = 0) -> Probe:
    """
    Composes keyword prompts, encodes them with the model's text encoder and fits the probe on the CPU. Prompts beyond one
    chunk are left out, since the probe reads chunk by chunk.
    """
    rng = random.Random(seed)
    count = min(max(FEWEST_PROMPTS, PROMPTS_PER_PHRASE * len(lexicon.entries)), MOST_PROMPTS)
    prompts = [lexicon.compose(rng) for _ in range(count)]
    texts = [text for text, _ in prompts]
    held = torch.tensor([[float(entry in entries) for entry in lexicon.entries] for _, entries in prompts])
    length = model.tokenizer.model_max_length
    encoded, whole = [], []
    with torch.no_grad():
        for start in range(0, count, CHUNK):
            entries = run_encoder(model, texts[start : start + CHUNK])
            fits = [len(entry.states) == length for entry in entries]
            states = [entry.states for entry, one in zip(entries, fits, strict=True) if one]
            encoded += [features(torch.stack(states)).cpu()] if states else []
            whole += fits
    if sum(whole) < FEWEST_PROMPTS // 2:
        raise ConfigError(
            f"Hardly a prompt of the lexicon fits into the model's {length} tokens; make its templates shorter."
        )
    return _logistic_regression(torch.cat(encoded), held[torch.tensor(whole)])


def probe_for(lexicon_file: Path, lexicon: Lexicon, model: LoadedModel, folder: Path) -> Probe:
    """
    The probe of this text encoder and this lexicon: read from `<lexicon>.<key>.safetensors` in `folder` or in
    `VIGNETTE_STATE`, else fitted and kept in the first of them that can be written. The key is a hash of everything that
    decides the numbers.
    """
    name = f"{lexicon_file.stem}.{_key(lexicon_file, model)}.safetensors"
    state = os.environ.get("VIGNETTE_STATE")
    places = [folder / name, *([Path(state) / name] if state else [])]
    probe = _kept(places)
    if probe is None:
        log.info("Learning to read with %s; this happens once for a text encoder and a lexicon.", lexicon_file.name)
        probe = fit(lexicon, model)
        if not any(_keep(probe, file) for file in places):
            log.warning("The probe of %s is made again at the next start.", lexicon_file.name)
    return probe.to(model.device)


def _kept(places: list[Path]) -> Probe | None:
    for file in places:
        if file.is_file():
            try:
                return Probe(**{name: tensor.float() for name, tensor in load_file(file).items()})
            except (SafetensorError, TypeError, OSError) as error:
                log.warning("%s is damaged (%s) and made again.", file, error)
    return None


def _keep(probe: Probe, file: Path) -> bool:
    try:
        scratch = file.with_suffix(".partial")
        save_file({name: tensor.contiguous() for name, tensor in vars(probe).items()}, scratch)
        scratch.chmod(0o644)  # safetensors writes files that only their owner may read
        scratch.replace(file)
    except (OSError, SafetensorError) as error:
        log.warning("%s cannot be kept (%s).", file, error)
        return False
    return True


def _key(lexicon_file: Path, model: LoadedModel) -> str:
    digest = hashlib.sha256(RECIPE + lexicon_file.read_bytes())
    if model.spec.path.is_file():  # which holds everything, and so does the hash that the model has already
        digest.update(model.version.encode())
        return digest.hexdigest()[:12]
    # SDXL has a second of each.
    for part in ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"):
        for file in sorted(f for f in (model.spec.path / part).glob("*") if f.is_file()):
            digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _logistic_regression(inputs: torch.Tensor, held: torch.Tensor) -> Probe:
    mean, std = inputs.mean(dim=0), inputs.std(dim=0).clamp(min=1e-6)
    inputs = (inputs - mean) / std
    weight = torch.zeros(inputs.shape[1], held.shape[1], requires_grad=True)
    bias = torch.logit(held.mean(dim=0), eps=1e-4).requires_grad_()
    decay = WEIGHT_DECAY * min(1, DECAY_HOLDS_FOR / held.shape[1])
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=60, history_size=8, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(inputs @ weight + bias, held)
        value = value + decay * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return Probe(mean, std, weight.detach(), bias.detach())
