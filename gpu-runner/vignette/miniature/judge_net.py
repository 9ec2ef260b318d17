"""The judge: a small network that reads things, counts, colours, actions and the place from a 128 x 128 picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from vignette.training.optim import Optimisers, linear

from . import stage
from .stage import Rows, Stage, autocast, pick_device
from .vae import to_tensor
from .world import FIRST, MAX_COUNT, WORLDS, Scene, World

FEATURES = 128


class _Block(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1)
        self.norm1 = nn.GroupNorm(8, outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1)
        self.norm2 = nn.GroupNorm(8, outside)
        self.skip = nn.Conv2d(inside, outside, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(h)) + self.skip(x))


class JudgeNet(nn.Module):
    """Per thing a spatial map; its sum tells the count, its mean tells colour and action. Things share all heads."""

    def __init__(self, world: World):
        super().__init__()
        things, places = len(world.things), len(world.places)
        colours, actions = 1 + len(world.colours), 1 + len(world.actions)
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 24, 4, 2, 1),
            nn.SiLU(),
            _Block(24, 48, 2),
            _Block(48, 96, 2),
            _Block(96, FEATURES, 1),
            _Block(FEATURES, FEATURES, 1),
        )
        self.maps = nn.Conv2d(FEATURES, things, 1)
        self.name = nn.Parameter(torch.randn(things, 32) * 0.1)
        self.body = nn.Sequential(nn.Linear(2 * FEATURES + 33, 192), nn.SiLU(), nn.Linear(192, 192), nn.SiLU())
        self.count = nn.Linear(192, MAX_COUNT + 1)
        self.colour = nn.Linear(192, colours)
        self.action = nn.Linear(192, actions)
        self.place = nn.Linear(FEATURES * 17, places)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What the backbone has of pictures [B, 3, 128, 128], averaged over 2 x 2 places: [B, 128, 8, 8]."""
        return F.avg_pool2d(self.backbone(x), 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Pictures [B, 3, 128, 128] in -1..1 to logits: count [B, T, 5], colour [B, T, 8], action [B, T, 4], place [B, 6]."""
        f = self.backbone(x)
        weights = self.maps(f).float().sigmoid().flatten(2)
        flat = f.float().flatten(2)
        total = torch.einsum("btn,bcn->btc", weights, flat) / 32
        area = weights.sum(-1, keepdim=True)
        mean = total * 32 / (area + 0.1)
        names = self.name.expand(x.shape[0], -1, -1)
        h = self.body(torch.cat([total, mean, area / 32, names], -1))
        pooled = torch.cat([f.float().mean((2, 3)), F.adaptive_avg_pool2d(f.float(), 4).flatten(1)], 1)
        return {"count": self.count(h), "colour": self.colour(h), "action": self.action(h), "place": self.place(pooled)}


@dataclass(frozen=True)
class Seen:
    """One kind of thing that the judge sees; `score` is the probability of its presence."""

    object: str
    colour: str | None
    count: int
    action: str | None
    score: float


@dataclass(frozen=True)
class Verdict:
    """What the judge reads from one picture: the place with its probability, and the things, surest first."""

    place: str
    place_score: float
    objects: tuple[Seen, ...]

    def to_dict(self) -> dict:
        """The JSON form of `vignette judge`."""
        return {
            "place": {"label": self.place, "score": round(self.place_score, 4)},
            "objects": [vars(o) for o in self.objects],
        }


class Judge:
    """A trained `JudgeNet` of an edition of the miniature's world."""

    def __init__(self, net: JudgeNet, world: World):
        self.net, self.world = net.eval().requires_grad_(False), world

    @classmethod
    def load(cls, folder: Path) -> Judge:
        """Load `config.json` and `model.safetensors`; ValueError when the labels are no edition's or the weights are damaged."""
        world = world_of(folder)
        net = JudgeNet(world)
        file = folder / "model.safetensors"
        try:
            net.load_state_dict({k: v.float() for k, v in load_file(file).items()})
        except (SafetensorError, RuntimeError) as error:
            raise ValueError(f"{file} is cut off, or no judge's: {error}") from error
        return cls(net, world)

    def save(self, folder: Path) -> None:
        """Write fp16 safetensors and the labels."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({k: v.half().contiguous() for k, v in self.net.state_dict().items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(_labels(self.world), indent=1) + "\n")

    @torch.no_grad()
    def read(self, images: np.ndarray | list[Image.Image], batch: int = 64) -> list[Verdict]:
        """Verdicts for uint8 pictures [N, 128, 128, 3] or PIL images of any size."""
        if not isinstance(images, np.ndarray):
            images = np.stack(
                [np.asarray(i.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS)) for i in images]
            )
        out: list[Verdict] = []
        for start in range(0, len(images), batch):
            logits = self.net(to_tensor(images[start : start + batch]))
            out += [_verdict({k: v[i] for k, v in logits.items()}, self.world) for i in range(logits["place"].shape[0])]
        return out


@torch.no_grad()
def features_of(judge: Judge, images: np.ndarray, path: Path, batch: int = 64, device: str = "auto") -> None:
    """Write the features of uint8 pictures [N, 128, 128, 3] to `path`, fp16 [N, 128, 8, 8]."""
    where = pick_device(device)
    net = judge.net.to(where)
    partial = path.with_suffix(".part")
    shape = (len(images), FEATURES, 8, 8)
    out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    for start in range(0, len(images), batch):
        with autocast(where):
            found = net.features(to_tensor(images[start : start + batch]).to(where))
        out[start : start + batch] = found.float().cpu().numpy()
    net.cpu()
    out.flush()
    partial.rename(path)


def world_of(folder: Path) -> World:
    """The world whose labels the judge in `folder` has; ValueError when they are no edition's."""
    labels = json.loads((folder / "config.json").read_text())
    world = next((w for w in WORLDS.values() if _labels(w) == labels), None)
    if world is None:
        raise ValueError(
            f"{folder / 'config.json'} lists the labels of no edition; train the judge again: vignette miniature train --stage judge"
        )
    return world


def _labels(world: World) -> dict:
    return {
        "things": list(world.things),
        "colours": list(world.colours),
        "actions": list(world.actions),
        "places": list(world.places),
        "max_count": MAX_COUNT,
    }


def _verdict(logits: dict[str, torch.Tensor], world: World) -> Verdict:
    present = 1 - logits["count"].softmax(-1)[:, 0]
    places = logits["place"].softmax(-1)
    colours, actions = (None, *world.colours), (None, *world.actions)
    seen = [
        Seen(
            world.things[i],
            colours[int(logits["colour"][i].argmax())],
            1 + int(logits["count"][i, 1:].argmax()),
            actions[int(logits["action"][i].argmax())],
            round(float(present[i]), 4),
        )
        for i in present.argsort(descending=True).tolist()
        if present[i] > 0.5
    ]
    return Verdict(world.places[int(places.argmax())], float(places.max()), tuple(seen))


ATTRIBUTES = ("object", "colour", "count", "action", "place")


def marks(scene: Scene, verdict: Verdict) -> dict[str, float]:
    """How far `verdict` agrees with `scene`: the share of its groups with the right object, colour, count and
    action, and the place (0 or 1).

    A group is compared with the thing seen under its name; failing that, with the surest thing that no group names.
    """
    by_name = {o.object: o for o in verdict.objects}
    spare = [o for o in verdict.objects if o.object not in {g.thing for g in scene.groups}]
    score = dict.fromkeys(ATTRIBUTES, 0.0)
    score["place"] = float(verdict.place == scene.place)
    for group in scene.groups:
        seen = by_name.get(group.thing)
        found = seen is not None
        if seen is None and spare:
            seen = spare.pop(0)
        if seen is None:
            continue
        for name, right in (
            ("object", found),
            ("colour", seen.colour == group.colour),
            ("count", seen.count == group.count),
            ("action", seen.action == group.action),
        ):
            score[name] += right / len(scene.groups)
    return score


def _targets(scenes: list[Scene], world: World) -> dict[str, torch.Tensor]:
    shape = (len(scenes), len(world.things))
    colours, actions = (None, *world.colours), (None, *world.actions)
    out = {
        "count": torch.zeros(shape, dtype=torch.long),
        "colour": torch.full(shape, -100),
        "action": torch.full(shape, -100),
    }
    for row, scene in enumerate(scenes):
        for group in scene.groups:
            column = world.things.index(group.thing)
            out["count"][row, column] = group.count
            out["colour"][row, column] = colours.index(group.colour)
            out["action"][row, column] = actions.index(group.action)
    out["place"] = torch.tensor([world.places.index(s.place) for s in scenes])
    return out


def _augment(x: torch.Tensor) -> torch.Tensor:
    """Shifts, softness and noise as a decoder makes them, so that drawn pictures are read like rendered ones."""
    dx, dy = (int(v) for v in torch.randint(-4, 5, (2,)))
    x = F.pad(x, (4, 4, 4, 4), mode="replicate")[:, :, 4 + dy : 132 + dy, 4 + dx : 132 + dx]
    half = x.shape[0] // 2
    soft = F.interpolate(
        F.interpolate(x[:half], scale_factor=0.5 + 0.4 * torch.rand(()).item(), mode="bilinear", antialias=True),
        size=(128, 128),
        mode="bilinear",
    )
    x = torch.cat([soft, x[half:]])
    return x + 0.06 * torch.rand(x.shape[0], 1, 1, 1, device=x.device) * torch.randn_like(x)


def train(
    images: np.ndarray,
    scenes: list[Scene],
    folder: Path,
    steps: int,
    batch: int = 64,
    seed: int = 0,
    device: str = "auto",
    start: JudgeNet | None = None,
    world: World = FIRST,
) -> Judge:
    """Train on rendered scenes with softness and noise, from `start` if given."""
    where = pick_device(device)
    torch.manual_seed(seed)
    model = (start or JudgeNet(world)).to(where).requires_grad_(True).train()
    optim = Optimisers(
        model,
        linear(steps),
        muon_lr=0.01,
        adam_lr=2e-3,
        adam_only=("backbone.0", "maps", "name", "count", "colour", "action", "place"),
    )

    rows = Rows(images, where)

    def loss_fn(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        pick = np.sort(np.random.default_rng((seed, step)).integers(0, len(rows), batch))
        target = {k: v.to(where) for k, v in _targets([scenes[i] for i in pick], world).items()}
        x = _augment(to_tensor(rows[pick]))
        with autocast(where):
            logits = {k: v.float() for k, v in model(x).items()}
        count = F.cross_entropy(logits["count"].flatten(0, 1), target["count"].flatten(), reduction="none")
        here = target["count"].flatten() > 0
        parts = {"count": count[here].mean(), "absent": count[~here].mean()}
        for name in ("colour", "action"):
            parts[name] = F.cross_entropy(logits[name].flatten(0, 1), target[name].flatten(), ignore_index=-100)
        parts["place"] = F.cross_entropy(logits["place"], target["place"])
        loss = parts["count"] + 4 * parts["absent"] + parts["colour"] + parts["action"] + parts["place"]
        return loss, {k: v.item() for k, v in parts.items()}

    Stage("judge", folder, model, optim, steps, loss_fn, ema_decay=0.995).run()
    return Judge(model.cpu(), world)


def halfway(before: Judge, after: Judge) -> Judge:
    """
    Half-way between a judge and the same one after more lessons (`stage.halfway`): lessons on drawn and decoded pictures cost
    some of what it reads in pictures unlike those, such as a denoiser's.
    """
    return Judge(stage.halfway(before.net, after.net), before.world)
