"""`vignette miniature train`: every stage from nothing to the exported weights; each resumes from its last checkpoint."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from vignette.sur.adapter import SURAdapter

from . import adapt, adversary, data, export, judge_net, text, tokenizer, unet, vae, vocabulary
from .clip import Clip, load_pair, save_pair
from .language.written import lines
from .recipe import Recipe
from .stage import autocast, pick_device
from .world import Scene

STAGES = ("data", "vae", "judge", "decoder", "polish", "reader", "text", "vocabulary", "unet", "adapter", "export")
# Of each style, drawn and decoded.
READER_PICTURES = 3000


class Training:
    """The stages' inputs and outputs in a work folder, each made when first asked for.

    With `start`, a folder of exported weights, every stage continues from those instead of from nothing; tokenizer, text
    encoder and the autoencoder's encoder are then taken as they are, since the rest has learnt to read them. With
    `new_words` tokenizer and text encoder are trained anew all the same, and the denoiser learns to read those. With
    `new_latents` the whole autoencoder is trained on, and the denoiser learns its latents. `compiled` goes to `vae.train`.
    With `only`, some of `STAGES`, those alone train on, and what the others make is taken as it is: "vocabulary" leaves
    keyword prompts what they are to a denoiser. With `style`, decoder and denoiser of that style alone do, which is none
    but the first: what the others have in common with the first's denoiser would change under them. A style that `start`
    does not have begins as the first.
    """

    def __init__(
        self,
        work: Path,
        recipe: Recipe,
        device: str = "auto",
        start: Path | None = None,
        new_words: bool = False,
        new_latents: bool = False,
        compiled: bool = False,
        only: Collection[str] = (),
        style: str | None = None,
    ):
        self.work, self.recipe, self.device, self.start = work, recipe, device, start
        self.words_start = None if new_words else start
        self.more_words = self.words_start is None or "vocabulary" in only
        self.new_latents, self.compiled, self.only, self.style = new_latents, compiled, only, style

    @property
    def styles(self) -> tuple[str, ...]:
        """The art styles, each with a decoder and a denoiser of its own; they share everything else."""
        return self.recipe.world.styles

    def _kept(self, stage: str, style: str | None = None) -> bool:
        """Whether the stage's part, that of `style` if it has one for each, comes from `start` as it is."""
        if self.start is None:
            return False
        return bool(self.only and stage not in self.only) or (None not in (style, self.style) and style != self.style)

    def _has(self, style: str) -> bool:
        """Whether `start` has weights for `style`."""
        return self.start is not None and (self.start / style / "model_index.json").is_file()

    def _started(self, kind: type, style: str, part: str) -> Any:
        """The model of class `kind` (diffusers or transformers) in `start`, fp32, or None without `start`."""
        if self.start is None:
            return None
        folder = self.start / (style if self._has(style) else self.styles[0]) / part
        return kind.from_pretrained(folder, local_files_only=True, use_safetensors=True).float()

    def _pictures(self, style: str) -> np.ndarray:
        """The rendered pictures of `style`."""
        number = self.styles.index(style)
        return self.dataset[0][number * self.recipe.scenes : (number + 1) * self.recipe.scenes]

    @cached_property
    def dataset(self) -> tuple[np.ndarray, list[Scene]]:
        """Rendered pictures of all styles, and the scene of each."""
        data.build(self.work / "data", self.recipe.scenes, self.recipe.seed, world=self.recipe.world)
        return data.load(self.work / "data")

    @cached_property
    def scenes(self) -> list[Scene]:
        """The scenes, once each."""
        return [data.scene_at(i, self.recipe.seed, self.recipe.world) for i in range(self.recipe.scenes)]

    @cached_property
    def vae(self) -> AutoencoderKL:
        """The trained autoencoder, whose encoder makes the latents."""
        if not (self.work / "vae" / "config.json").exists():
            model = self._started(AutoencoderKL, self.styles[0], "vae")
            if model is None or self.new_latents:
                model = vae.train(
                    self.dataset[0],
                    self.work,
                    self.recipe.vae_steps,
                    self.recipe.batch(8),
                    device=self.device,
                    start=model,
                    compiled=self.compiled,
                )
            model.cpu().save_pretrained(self.work / "vae")
        return AutoencoderKL.from_pretrained(self.work / "vae").requires_grad_(False)

    @cached_property
    def decoders(self) -> dict[str, AutoencoderKL]:
        """The autoencoder with a decoder for each style, trained further: half the work a step, and no latents change."""
        return {style: self._decoder(style) for style in self.styles}

    def _decoder(self, style: str) -> AutoencoderKL:
        folder = self.work / f"decoder-{style}"
        start = self.vae if self.new_latents else self._started(AutoencoderKL, style, "vae") or self.vae
        if self._kept("decoder", style):
            return start.requires_grad_(False)
        if not (folder / "config.json").exists():
            vae.train(
                self._pictures(style),
                folder,
                self.recipe.decoder_steps,
                self.recipe.batch(8),
                seed=self.recipe.seed + 1,
                device=self.device,
                start=copy.deepcopy(start),
                decoder_only=True,
                compiled=self.compiled,
            ).cpu().save_pretrained(folder)
        return AutoencoderKL.from_pretrained(folder).requires_grad_(False)

    @cached_property
    def polished(self) -> dict[str, AutoencoderKL]:
        """The autoencoder with each style's decoder held against a critic too: what is exported."""
        return {style: self._polished(style) for style in self.styles}

    def _polished(self, style: str) -> AutoencoderKL:
        folder = self.work / f"polish-{style}"
        if self._kept("polish", style):
            return self.decoders[style]
        if not (folder / "config.json").exists():
            adversary.polish(
                copy.deepcopy(self.decoders[style]),
                self._pictures(style),
                folder,
                self.recipe.polish_steps,
                self.recipe.batch(8),
                seed=self.recipe.seed + 2,
                device=self.device,
            ).cpu().save_pretrained(folder)
        return AutoencoderKL.from_pretrained(folder).requires_grad_(False)

    def latents(self, style: str) -> np.ndarray:
        """The scaled latents of all pictures of `style`."""
        path = self.work / f"latents-{style}.npy"
        return vae.encode_all(self.vae, self._pictures(style), path, device=self.device)

    @cached_property
    def judge(self) -> judge_net.Judge:
        """The trained judge."""
        folder = self.work / "judge"
        if self.start and self._kept("judge"):
            return judge_net.Judge.load(self.start / "judge")
        if not (folder / "config.json").exists():
            judge_net.train(
                *self.dataset,
                self.work,
                self.recipe.judge_steps,
                self.recipe.batch(64),
                device=self.device,
                start=judge_net.Judge.load(self.start / "judge").net if self.start else None,
                world=self.recipe.world,
            ).save(folder)
        return judge_net.Judge.load(folder)

    @cached_property
    def reader(self) -> judge_net.Judge:
        """The judge, used to the decoder's softness too: half of its lessons are what the decoder makes of latents."""
        folder = self.work / "reader"
        if self._kept("reader"):
            return self.judge
        if not (folder / "config.json").exists():
            count = min(READER_PICTURES, self.recipe.scenes)
            pick = np.linspace(0, self.recipe.scenes - 1, count).astype(int)
            pictures: list[np.ndarray] = []
            for style in self.styles:
                drawn = self._pictures(style)[pick]
                latents = vae.encode(self.vae, drawn, device=self.device)
                decoded = vae.decode_all(self.polished[style], latents, seed=self.recipe.seed, device=self.device)
                pictures += [drawn, decoded]
            judge_net.train(
                np.concatenate(pictures),
                [self.scenes[i] for i in pick] * len(pictures),
                folder,
                self.recipe.reader_steps,
                self.recipe.batch(64),
                seed=self.recipe.seed + 1,
                device=self.device,
                start=copy.deepcopy(self.judge.net),
                world=self.recipe.world,
            ).save(folder)
        return judge_net.Judge.load(folder)

    def features_of(self, style: str) -> np.ndarray:
        """The reader's features of all pictures of `style`, fp16 [N, 128, 8, 8], memory-mapped."""
        path = self.work / f"features-{style}.npy"
        if not path.exists():
            judge_net.features_of(self.reader, self._pictures(style), path, device=self.device)
        return np.load(path, mmap_mode="r")

    @cached_property
    def features(self) -> np.ndarray:
        """The same of all pictures of all styles."""
        every = [self.features_of(style) for style in self.styles]
        return every[0] if len(every) == 1 else np.concatenate(every)

    @cached_property
    def tokenizer(self) -> CLIPTokenizer:
        """The tokenizer, trained once."""
        if self.words_start:
            return tokenizer.load(self.words_start / self.styles[0] / "tokenizer")
        return tokenizer.train(self.work / "tokenizer", self.recipe.seed, self.recipe.language, self.recipe.world)

    @cached_property
    def clip(self) -> Clip:
        """The text encoder with its image head, after its first lessons. One that goes on from `start` keeps its weights;
        only the image head learns to read a judge that has learnt more.
        """
        path, known = self.work / "clip.pt", None
        if self.words_start:
            known = load_pair(self.words_start / "clip", self._started(CLIPTextModel, self.styles[0], "text_encoder"))
            if self._kept("reader"):
                return known
        if not path.exists():
            trained = text.train(
                self.features,
                self.dataset[1],
                self.tokenizer,
                self.work,
                self.recipe.head_steps if known else self.recipe.text_steps,
                self.recipe.batch(128),
                seed=self.recipe.seed,
                device=self.device,
                language=self.recipe.language,
                known=known,
            )
            torch.save(trained.cpu().state_dict(), path)
        return self._saved(path)

    @cached_property
    def fluent(self) -> Clip:
        """The same after its second lessons, frozen: what is exported. The first language has no words for those."""
        if not self.more_words or self.recipe.language != "second":
            return self.clip
        path = self.work / "fluent.pt"
        if not path.exists():
            trained = vocabulary.train(
                copy.deepcopy(self.clip),
                self.features,
                self.dataset[1],
                self.told,
                self.tokenizer,
                self.work,
                self.recipe.vocabulary_steps,
                self.recipe.batch(128),
                seed=self.recipe.seed + 3,
                device=self.device,
            )
            torch.save(trained.cpu().state_dict(), path)
        return self._saved(path)

    def _saved(self, path: Path) -> Clip:
        model = Clip(text.build_encoder(self.tokenizer))
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval().requires_grad_(False)

    @cached_property
    def told(self) -> vocabulary.Told:
        """The narratives that were written one by one, no more than there are scenes, each with a picture's features."""
        every, path = lines(), self.work / "told.npy"
        some = [every[i] for i in np.linspace(0, len(every) - 1, min(len(every), self.recipe.scenes)).astype(int)]
        scenes = [scene for scene, _ in some]
        if not path.exists():
            pictures = data.draw(scenes, self.recipe.world, self.styles[0])
            judge_net.features_of(self.reader, pictures, path, device=self.device)
        return vocabulary.Told(scenes, [text for _, text in some], np.load(path, mmap_mode="r"))

    @property
    def encoder(self) -> CLIPTextModel:
        """The text encoder alone, frozen."""
        return self.fluent.text

    @cached_property
    def embeddings(self) -> np.ndarray:
        """The keyword prompts' hidden states, fp16 [scenes, 77, 256], memory-mapped."""
        path = self.work / "keywords.npy"
        if not path.exists():
            prompts = [s.keywords for s in self.scenes]
            self.work.mkdir(parents=True, exist_ok=True)
            out = np.lib.format.open_memmap(
                path.with_suffix(".part"), mode="w+", dtype=np.float16, shape=(len(prompts), text.LENGTH, text.WIDTH)
            )
            where = pick_device(self.device)
            encoder = copy.deepcopy(self.encoder).to(where)
            for start in range(0, len(prompts), 1024):
                with autocast(where):
                    states = text.hidden_states(encoder, self.tokenizer, prompts[start : start + 1024])
                out[start : start + 1024] = states.numpy()
            out.flush()
            path.with_suffix(".part").rename(path)
        return np.load(path, mmap_mode="r")

    @cached_property
    def empty(self) -> torch.Tensor:
        """The empty prompt's hidden states, fp16 [1, 77, 256]."""
        return text.hidden_states(self.encoder, self.tokenizer, [""])

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
                rate=self.recipe.rate,
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
