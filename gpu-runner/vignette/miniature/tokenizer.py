"""The miniature's own byte-pair vocabulary, trained once and loaded from its files ever after.

A vocabulary trained a second time may break ties differently and swap ids, which makes every count wrong; so `train`
never overwrites.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from .captions import NARRATIVES, NARRATIVES_COLOURED, PLAIN
from .language import tell
from .words import ADJECTIVES, COLOUR_WORDS, NOUNS, NUMBERS, PARTICIPLES, PLACE_PHRASES, VERBS
from .world import FIRST, World, sample_scene

START, END = "<|startoftext|>", "<|endoftext|>"
VOCABULARY = 3000


def _corpus(seed: int, language: str, world: World = FIRST, lines: int = 60_000) -> list[str]:
    rng = random.Random(seed)
    texts = [
        text
        for scene in (sample_scene(rng, world=world) for _ in range(lines))
        for text in (scene.keywords, tell(language, scene, rng))
    ]
    words = [*ADJECTIVES, *PLAIN, *NARRATIVES, *NARRATIVES_COLOURED]
    for table in (COLOUR_WORDS, PARTICIPLES, PLACE_PHRASES, NUMBERS):
        words += [word for row in table.values() for word in row]
    words += [word for table in (NOUNS, VERBS) for row in table.values() for pair in row for word in pair]
    return texts + words * 20


def train(folder: Path, seed: int = 0, language: str = "second", world: World = FIRST) -> CLIPTokenizer:
    """Train the vocabulary of `world`'s keyword prompts and `language` into `folder` (vocab.json, merges.txt) unless it is there.

    Returns the tokenizer of those files.
    """
    if not (folder / "vocab.json").exists():
        from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
        from tokenizers.models import BPE
        from tokenizers.trainers import BpeTrainer

        folder.mkdir(parents=True, exist_ok=True)
        bpe = Tokenizer(BPE(unk_token=END, end_of_word_suffix="</w>"))
        bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        # CLIP's own splitting: digits one by one, so that "3cat" is "3" and "cat".
        pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
        bpe.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(pattern, "removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        trainer = BpeTrainer(
            vocab_size=VOCABULARY - 2,
            end_of_word_suffix="</w>",
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        bpe.train_from_iterator(_corpus(seed, language, world), trainer)
        model = json.loads(bpe.to_str())["model"]
        vocab = dict(model["vocab"])
        # Every byte also ends words, or a name outside the corpus would lose its last letter.
        for letter in pre_tokenizers.ByteLevel.alphabet():
            vocab.setdefault(f"{letter}</w>", len(vocab))
        for token in (START, END):
            vocab[token] = len(vocab)
        (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
        merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return load(folder)


def load(folder: Path) -> CLIPTokenizer:
    """The tokenizer of the files in `folder`, as diffusers loads it."""
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    if (folder / "tokenizer_config.json").exists():
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    vocab = json.loads((folder / "vocab.json").read_text())
    lines = (folder / "merges.txt").read_text().splitlines()[1:]
    merges: list[Any] = [tuple(line.split(" ")) for line in lines]
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77, **special)
    tokenizer.save_pretrained(folder)
    return tokenizer
