"""From one edition of the world to a larger one: what weights know stays as it is, and the new things find a place beside it.

A denoiser that knows two dozen things needs to learn the others, not to draw: its layers, the judge's eyes and the states of
every prompt that it knows are kept (LiT and adapters go the same way; Houlsby et al. 2019, https://arxiv.org/abs/1902.00751).
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from vignette.training.optim import Optimisers, linear

from .clip import Clip, text_mask
from .judge_net import Judge, JudgeNet
from .stage import Rows, Stage, autocast, pick_device
from .text import LENGTH, alike_by, numbered, place_and_action
from .tokenizer import load
from .vocabulary import KEEP
from .world import Scene, World

_FILE = "tokenizer.json"


def covers(world: World, known: World) -> bool:
    """Whether `world` is `known` with more things: all else that a judge names is the same."""
    rest = [(w.colours, w.actions, w.places, w.styles) for w in (world, known)]
    return set(world.animals) > set(known.animals) and set(world.objects) > set(known.objects) and rest[0] == rest[1]


def grown_judge(judge: Judge, world: World) -> JudgeNet:
    """A net for `world` that sees what `judge` does; the rows of things that it does not know are fresh."""
    if world == judge.world:
        return judge.net
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
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save_pretrained(folder)
        content = json.loads((folder / _FILE).read_text())
        vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
        for word in words:
            # Merges of words before this one count: "bear" is one token when "bears" comes.
            pieces = _split(word, merges)
            while len(pieces) > 1:
                left, right, *rest = pieces
                merges.append([left, right])
                vocabulary.setdefault(left + right, len(vocabulary))
                pieces = [left + right, *rest]
        (folder / _FILE).write_text(json.dumps(content, ensure_ascii=False))
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
    wider = nn.Embedding(len(rows), table.shape[1])
    wider.weight.data.copy_(torch.stack(rows))
    model.set_input_embeddings(wider)
    model.config.vocab_size = len(rows)
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
    picture of each scene. Prompts of the `known` world's things keep their hidden states, and whatever reads those goes on
    as it is; those of other things find theirs.
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
                kept = before(input_ids=ids).last_hidden_state.float()
        same = torch.from_numpy(held[pick]).to(where)
        error = (found.states.float() - kept).square().mean(-1)[same]
        words = text_mask(ids, model.text.config.eos_token_id).bool()[same]
        moved = sum(
            (part.sum() / max(part.numel(), 1) for part in (error, error[words])), torch.zeros((), device=where)
        )
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
