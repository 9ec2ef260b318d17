"""Words that mean nothing for a picture, strewn into narratives, so that whoever reads them learns to pass them over."""

from __future__ import annotations

import random

# Common English words that name nothing of the world: no thing, number, colour, place or action, and no synonym of one.
_LIST = """
    about above after again against almost along already also although always another any anybody anyway around
    ask because become before began begin believe better between body book both bring brother brought business
    call came carefully certain chance change clear close come could country course cousin decide did different do
    done door during each early easy either else end enough even evening ever every everything face fact family
    far father few find first followed for found friend from gave get girl give glad go good got great had half
    hand happened hardly have head hear heard heart help her here herself high him himself his hope hour how
    however idea important interest into job just keep kind knew know last late laugh learn leave left less let
    letter life like line listen live long look lost lot love made make man many matter may maybe mean meet
    mention might mind minute moment month more morning most mother much must name near need neighbour neither
    never new news next nice nobody none nor nothing notice now of off often oh old on once only open or order
    other our out over own paper part past people perhaps person phone place plan please point poor possible
    problem promise put question quickly quiet quite rather read ready real really reason remember reply right
    said same saw say school second see seem sentence set several shall she should show side simple since sister
    slowly small so some someone something sometimes somewhere soon sorry sound speak special start still stop
    story strange street such suddenly sure surprise talk teacher tell than thank that their them themselves then
    there these they thing think this those though thought through time tired title today together told tonight
    too took tried true truth try turn under understand until usually very visit voice want was watch way we week
    well went were what when where whether which while who whole whose why wife window wish without woman wonder
    word work world worry would write wrong year yes yesterday yet you your
"""
WORDS = tuple(_LIST.split())


def distract(text: str, rng: random.Random) -> str:
    """`text` with words before, after and within it that change nothing; a quarter of the time as it is."""
    if rng.random() < 0.25:
        return text
    words = text.split()
    if rng.random() < 0.4:
        words = [w for word in words for w in ((rng.choice(WORDS), word) if rng.random() < 0.08 else (word,))]
    before = _some(rng) if rng.random() < 0.6 else []
    after = _some(rng) if rng.random() < 0.4 else []
    if before and rng.random() < 0.6:
        before[-1] += rng.choice((",", ".", ":", "?", "!", " that"))
    if after and rng.random() < 0.6:
        words[-1] = words[-1].rstrip(".") + rng.choice((",", ".", ". And", ", and", " while", "?"))
    return " ".join([*before, *words, *after])


def _some(rng: random.Random) -> list[str]:
    return rng.choices(WORDS, k=rng.randint(1, 9))
