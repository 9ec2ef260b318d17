"""How much of everything the miniature's training takes, for each edition of the world."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .world import FIRST, SECOND, World

# What takes steps, by the start of the name that they have in a recipe.
STEPS = {
    "vae": "the autoencoder",
    "judge": "the judge on renders",
    "decoder": "each style's decoder",
    "polish": "each style's decoder against a critic",
    "reader": "the judge on what the decoders make",
    "text": "the text encoder's first lessons",
    "head": "the image head alone, when the judge has trained on",
    "vocabulary": "the text encoder's second lessons",
    "unet": "the first style's denoiser, the part that gains most from time",
    "style": "each further style's layers of the denoiser",
    "align": "the adapter's alignment, its longest part",
    "adapter": "the adapter through the frozen denoisers; 0: alignment alone, which needs no pictures",
}


@dataclass(frozen=True)
class Recipe:
    """How much of everything; the model card names what the bundled weights had. `scaled` shrinks it for a trial.

    `batch_scale` multiplies every stage's batch, `rate` the learning rates of denoisers and alignment, which go on with less than they
    began with. A scene of two kinds comes up `pairs` times as often as another when denoisers are trained. The first style's
    denoiser takes `unet_steps`, the layers that each further style has of its own `style_steps`; `head_steps` are those of an
    image head alone, beside a text encoder that has had its lessons.
    """

    world: World = FIRST
    scenes: int = 60_000
    vae_steps: int = 2000
    judge_steps: int = 1600
    decoder_steps: int = 6000
    polish_steps: int = 1000
    reader_steps: int = 800
    text_steps: int = 1100
    head_steps: int = 300
    vocabulary_steps: int = 1200
    unet_steps: int = 6000
    style_steps: int = 5000
    align_steps: int = 3800
    adapter_steps: int = 120
    batch_scale: float = 1.0
    rate: float = 1.0
    pairs: int = 2
    seed: int = 1
    language: str = "second"

    def scaled(self, factor: float) -> Recipe:
        """All step counts and the number of scenes times `factor`, at least 2 steps and 64 scenes; what has none keeps none."""
        names = [n for n in self.__dataclass_fields__ if n.endswith("_steps")]
        return replace(
            self,
            scenes=max(64, round(self.scenes * factor)),
            **{n: max(2, round(getattr(self, n) * factor)) for n in names if getattr(self, n)},
        )

    def batch(self, usual: int) -> int:
        """A stage's batch whose usual size is `usual`."""
        return max(2, round(usual * self.batch_scale))


# The second edition is sized for one data-centre GPU: large batches.
RECIPES = {
    "first": Recipe(),
    "second": Recipe(
        world=SECOND,
        scenes=80_000,
        vae_steps=5000,
        judge_steps=3000,
        decoder_steps=5000,
        polish_steps=2000,
        reader_steps=1500,
        text_steps=3000,
        vocabulary_steps=3000,
        unet_steps=16_000,
        style_steps=10_000,
        align_steps=4000,
        adapter_steps=2000,
        batch_scale=4.0,
    ),
}
