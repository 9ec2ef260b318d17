"""From one edition of the world to a larger one: what weights know stays, and the new things find a place beside it.

A denoiser that knows two dozen things needs to learn the others, not to draw. So every part begins as the smaller world's,
and the text encoder is held, while it learns new names, to the states that it had for the prompts of what it knows
(learning without forgetting: Li and Hoiem 2016, https://arxiv.org/abs/1606.09282).
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from vignette.training.optim import Optimisers, linear

from .clip import Clip, shift
from .judge_net import Judge, JudgeNet
from .stage import Rows, Stage, autocast, pick_device
from .text import LENGTH, alike_by, numbered, place_and_action
from .tokenizer import load
from .vocabulary import KEEP
from .world import Scene, World

_FILE = "tokenizer.json"


def covers(world: World, known: World) -> bool:
    """Whether `world` is `known` with more things, and the same in everything else that scenes are made of."""
    same = all(getattr(world, name) == getattr(known, name) for name in ("colours", "actions", "places", "styles"))
    kinds = set(world.animals) >= set(known.animals) and set(world.objects) >= set(known.objects)
    return same and kinds and set(world.things) > set(known.things)


def grown_judge(judge: Judge, world: World, seed: int = 0) -> JudgeNet:
    """A net for `world` that sees what `judge` does; the rows of things that it does not know are drawn with `seed`."""
    if world == judge.world:
        return judge.net
    torch.manual_seed(seed)
    net, old = JudgeNet(world), judge.net.state_dict()
    rows = torch.tensor([world.things.index(thing) for thing in judge.world.things])
    state = {}
    for name, fresh in net.state_dict().items():
        if fresh.shape == old[name].shape:
            state[name] = old[name]
        else:
            state[name] = fresh.index_copy(0, rows, old[name])
    net.load_state_dict(state)
    return net


def new_names(world: World, known: World) -> list[str]:
    """The words of the keyword prompts' names for things that `known` lacks, sorted: "pine" and "tree" of "pine tree"."""
    return sorted({word for thing in world.things if thing not in known.things for word in thing.split()})


def grown_tokenizer(tokenizer: CLIPTokenizer, words: list[str], folder: Path) -> CLIPTokenizer:
    """`tokenizer` with a token for each of `words`, saved in `folder` unless it is there. Its own tokens keep their ids, and
    its merges come first: words that have none of the new ones' parts side by side are split as before.
    """
    if not (folder / _FILE).exists():
        partial = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        tokenizer.save_pretrained(partial)
        content = json.loads((partial / _FILE).read_text())
        vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
        for word in words:
            # With the merges of the words before it.
            pieces = _split(word, merges)
            while len(pieces) > 1:
                left, right, *rest = pieces
                merges.append([left, right])
                vocabulary.setdefault(left + right, len(vocabulary))
                pieces = [left + right, *rest]
        (partial / _FILE).write_text(json.dumps(content, ensure_ascii=False))
        partial.rename(folder)
    return load(folder)


def _split(word: str, merges: list[list[str]]) -> list[str]:
    """The tokens of a lower-case ASCII word under byte-pair `merges` (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909)."""
    pieces = [*word[:-1], f"{word[-1]}</w>"]
    for left, right in merges:
        at = 0
        while at < len(pieces) - 1:
            if pieces[at] == left and pieces[at + 1] == right:
                pieces[at : at + 2] = [left + right]
            at += 1
    return pieces


def grown_text_encoder(encoder: CLIPTextModel, old: CLIPTokenizer, new: CLIPTokenizer) -> CLIPTextModel:
    """`encoder` for the vocabulary that `grown_tokenizer` made of `old`: the embedding of a new token begins as the mean of
    its two parts'.
    """
    model = copy.deepcopy(encoder)
    table = model.get_input_embeddings().weight.detach()
    merges = json.loads(new.backend_tokenizer.to_str())["model"]["merges"]
    rows, ids = list(table), new.get_vocab()
    for left, right in merges:
        if ids[left + right] == len(rows):
            rows.append((rows[ids[left]] + rows[ids[right]]) / 2)
    if len(rows) != len(new) or len(table) != len(old):
        raise ValueError(f"{len(new)} tokens are not {len(old)} and what grows from those")
    model.resize_token_embeddings(len(rows), mean_resizing=False).weight.data.copy_(torch.stack(rows))
    return model


def learn_names(
    clip: Clip,
    features: np.ndarray,
    scenes: list[Scene],
    tokenizer: CLIPTokenizer,
    folder: Path,
    steps: int,
    batch: int = 128,
    seed: int = 0,
    device: str = "auto",
    *,
    known: World,
) -> Clip:
    """Contrastive training as in `text.train`, on keyword prompts alone; `features` [N, 128, 8, 8] are the judge's of the
    picture of each scene. Prompts of the `known` world's things are held to their hidden states, since a denoiser reads those;
    prompts of other things find theirs.
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    before = copy.deepcopy(clip.text).to(where).eval().requires_grad_(False)
    model = clip.to(where).requires_grad_(True).train()
    optim = Optimisers(model, linear(steps), muon_lr=0.01, adam_lr=1e-3, adam_only=("embedding", "projection"))
    names, rows = numbered(scenes), Rows(features, where)
    held = np.array([all(group.thing in known.things for group in scene.groups) for scene in scenes])
    alike = list(alike_by(place_and_action, scenes).values())

    def loss_fn(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        chance = np.random.default_rng((seed, step))
        among = alike[chance.integers(len(alike))] if step % 2 else np.arange(len(scenes))
        pick = chance.choice(among, batch)
        texts = [scenes[i].keywords for i in pick]
        # What lies far behind the prompt's last word is all the same: now and then is enough.
        padding = "max_length" if step % 4 == 2 else True
        ids = tokenizer(texts, padding=padding, truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
        ids = ids.to(where)
        with autocast(where):
            found = model.contrast([ids], rows[pick].float(), names[pick])
            with torch.no_grad():
                kept = before(input_ids=ids).last_hidden_state
        same = torch.from_numpy(held[pick]).to(where)
        moved = torch.zeros((), device=where)
        if same.any():
            moved = shift(found.states[same], kept[same], ids[same], model.text.config.eos_token_id)
        new = ~same.cpu()
        return found.loss + KEEP * moved, {
            "contrast": found.loss.item(),
            "moved": moved.item() / 2,
            "known": found.whole.cpu()[~new].mean().item(),
            "new": found.whole.cpu()[new].mean().item(),
            "tokens_new": found.tokens.cpu()[new].mean().item(),
        }

    Stage("names", folder, model, optim, steps, loss_fn, ema_decay=0.99).run()
    return model.eval().requires_grad_(False)
