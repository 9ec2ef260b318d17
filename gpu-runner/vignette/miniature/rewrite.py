"""Text rewriting, what one would try without an adapter: a language model turns the narrative into a keyword prompt."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch

from vignette.errors import ConfigError
from vignette.training.teacher import why_not

from .language import tell
from .world import Scene, World, sample_scene

SHOTS = 8
MOST_NEW_TOKENS = 40


class Rewriter:
    """A causal language model shown eight narratives of the training world with their keyword prompts.

    `source` is a folder or a `.gguf` file. Raises `ConfigError` when it cannot be loaded.
    """

    def __init__(self, source: Path, world: World, seed: int = 0):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        place: dict[str, Any] = {"pretrained_model_name_or_path": str(source), "local_files_only": True}
        if source.suffix == ".gguf":
            place |= {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(**place)
            self._model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32).eval()
        except (OSError, ValueError, ImportError, KeyError) as error:
            raise ConfigError(f"The language model {source} cannot be loaded: {why_not(source, error)}") from None
        rng = random.Random(seed)
        scenes = [sample_scene(rng, world=world) for _ in range(SHOTS)]
        self._shown = "".join(self._pair(tell("second", s, rng, vocabulary="rare"), s) + "\n\n" for s in scenes)

    @staticmethod
    def _pair(narrative: str, scene: Scene | None) -> str:
        return f"Sentence: {narrative}\nKeywords:{f' {scene.keywords}' if scene else ''}"

    def _ends(self, ids: torch.Tensor, _scores: torch.Tensor, **_: Any) -> torch.Tensor:
        """Whether each row [B, L] has come to the end of its line."""
        return torch.tensor(["\n" in self._tokenizer.decode(row[-1]) for row in ids], device=ids.device)

    @torch.inference_mode()
    def rewrite(self, narrative: str) -> str:
        """The keyword prompt that the model finds likeliest; the narrative itself where it finds none."""
        prompt = self._tokenizer(self._shown + self._pair(narrative, None), return_tensors="pt")
        out = self._model.generate(
            input_ids=prompt.input_ids,
            attention_mask=prompt.attention_mask,
            max_new_tokens=MOST_NEW_TOKENS,
            do_sample=False,
            stopping_criteria=[self._ends],
            pad_token_id=self._tokenizer.eos_token_id,
        )
        new = self._tokenizer.decode(out[0, prompt.input_ids.shape[1] :], skip_special_tokens=True)
        return new.strip().split("\n")[0].strip() or narrative
