"""`vignette miniature train`: every stage from nothing to the exported weights; each resumes from its last checkpoint."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

import numpy as np
from diffusers import UNet2DConditionModel

from vignette.sur.adapter import SURAdapter

from . import adapt, export, unet
from .clip import save_pair
from .train_words import Words

STAGES = ("data", "vae", "judge", "decoder", "polish", "reader", "text", "vocabulary", "unet", "adapter", "export")


class Training(Words):
    """The stages' inputs and outputs in a work folder, each made when first asked for.

    With `start`, a folder of exported weights, every stage continues from those instead of from nothing; tokenizer, text
    encoder and the autoencoder's encoder are then taken as they are, since the rest has learnt to read them; but where
    `start` knows a smaller world than the recipe's, tokenizer and text encoder grow by the names of what it lacks. With
    `new_words` tokenizer and text encoder are trained anew all the same, and the denoiser learns to read those. With
    `new_latents` the whole autoencoder is trained on, and the denoiser learns its latents. `compiled` goes to `vae.train`.
    With `only`, some of `STAGES`, those alone train on, and what the others make is taken as it is: "vocabulary" leaves
    keyword prompts what they are to a denoiser. With `style`, decoder and denoiser of that style alone do, which is none
    but the first: what the others have in common with the first's denoiser would change under them. A style that `start`
    does not have begins as the first.
    """

    @cached_property
    def unets(self) -> dict[str, UNet2DConditionModel]:
        """The trained denoiser of each style. The first's is whole; another has its `unet.own_layers` and the first's others."""
        made: dict[str, UNet2DConditionModel] = {}
        for style in self.styles:
            made[style] = self._unet(style, made.get(self.styles[0]))
        return made

    def _unet(self, style: str, first: UNet2DConditionModel | None) -> UNet2DConditionModel:
        folder = self.work / f"unet-{style}"
        start = self._started(UNet2DConditionModel, style, "unet")
        if first is not None:
            start = unet.on_top_of(first, start if self._has(style) else first)
        if self._kept("unet", style):
            return start.eval().requires_grad_(False)
        if not (folder / "config.json").exists():
            unet.train(
                self.latents(style),
                self.embeddings,
                self.empty,
                folder,
                self.recipe.unet_steps if first is None else self.recipe.style_steps,
                self.recipe.batch(48),
                seed=self.recipe.seed,
                device=self.device,
                start=start,
                features=self.features_of(style),
                often=np.repeat(
                    np.array([i for i, s in enumerate(self.scenes) if len(s.groups) > 1], int), self.recipe.pairs - 1
                ),
                rate=self.recipe.rate,
                only=unet.own_layers(start) if first is not None else None,
            ).cpu().save_pretrained(folder)
        return UNet2DConditionModel.from_pretrained(folder).eval().requires_grad_(False)

    @cached_property
    def adapter(self) -> SURAdapter:
        """The trained SUR-adapter, one for all styles: they read the same text encoder."""
        folder = self.work / "adapter"
        if self.start and self._kept("adapter"):
            return SURAdapter.load(self.start / "adapters" / "sur").float()
        if not (folder / "config.json").exists():
            # Alignment alone needs neither pictures nor denoisers.
            styles = self.styles if self.recipe.adapter_steps else ()
            trained = adapt.train(
                [(self.latents(style), self.unets[style]) for style in styles],
                self.embeddings, self.scenes, self.encoder, self.tokenizer, self.work,
                self.recipe.align_steps, self.recipe.adapter_steps, self.recipe.batch(48), self.recipe.batch(96),
                seed=self.recipe.seed, device=self.device, language=self.recipe.language,
                start=SURAdapter.load(self.start / "adapters" / "sur").float() if self.start else None,
                rate=self.recipe.rate, world=self.recipe.world,
            )  # fmt: skip
            trained.cpu().save_pretrained(folder)
        return SURAdapter.load(folder)

    def export(self, target: Path) -> None:
        """Write everything that is bundled into `target`."""
        first = self.styles[0]
        for style, model in self.unets.items():
            shared = None if style == first else first
            export.export_model(target / style, self.polished[style], self.encoder, self.tokenizer, model, shared)
        export.export_adapter(target / "adapters" / "sur", self.adapter)
        self.reader.save(target / "judge")
        if self.more_words or not self._kept("reader"):
            save_pair(self.fluent, target / "clip")
        elif target.resolve() != self.words_start.resolve():
            shutil.copytree(self.words_start / "clip", target / "clip", dirs_exist_ok=True)
        export.make_readable(target)
        print(f"exported to {target}: {export.size_mib(target):.1f} MiB", flush=True)

    def run(self, stage: str, target: Path) -> None:
        """Run the stages up to and including `stage` ("export" for all)."""
        steps = {
            "data": lambda: self.dataset,
            "vae": lambda: self.vae,
            "judge": lambda: self.judge,
            "decoder": lambda: self.decoders,
            "polish": lambda: self.polished,
            "reader": lambda: self.reader,
            "text": lambda: self.clip,
            "vocabulary": lambda: self.embeddings,
            "unet": lambda: self.unets,
            "adapter": lambda: self.adapter,
            "export": lambda: self.export(target),
        }
        for name in STAGES[: STAGES.index(stage) + 1]:
            if self.only and name not in (*self.only, "export"):
                continue
            print(f"== {name}", flush=True)
            steps[name]()
