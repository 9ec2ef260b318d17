"""What the things are called. The plain name stands first; `BEYOND` names are kept from the text encoder (see `Teller.pick`)."""

from __future__ import annotations

Noun = tuple[str, str]  # singular, plural

_IRREGULAR = {
    "fish": "fish",
    "goldfish": "goldfish",
    "tropical fish": "tropical fish",
    "goose": "geese",
    "calf": "calves",
    "cactus": "cacti",
    "aircraft": "aircraft",
    "fox": "foxes",
    "snowman": "snowmen",
    "butterfly": "butterflies",
    "sheep": "sheep",
    "foal": "foals",
}


def plural(singular: str) -> str:
    """The plural of an English noun of this vocabulary."""
    if singular in _IRREGULAR:
        return _IRREGULAR[singular]
    head, _, last = singular.rpartition(" ")
    if head and last in _IRREGULAR:
        return f"{head} {_IRREGULAR[last]}"
    if singular.endswith(("s", "x", "ch", "sh")):
        return singular + "es"
    if singular.endswith("y") and singular[-2] not in "aeiou":
        return singular[:-1] + "ies"
    return singular + "s"


def _names(text: str) -> tuple[Noun, ...]:
    return tuple((name.strip(), plural(name.strip())) for name in text.split(","))


NOUNS: dict[str, tuple[Noun, ...]] = {
    "cat": _names("cat, kitten, kitty, pussycat, feline, tabby"),
    "dog": _names("dog, puppy, pup, doggy, hound, pooch"),
    "rabbit": _names("rabbit, bunny, hare, bunny rabbit"),
    "fox": _names("fox, vixen, fox cub, little fox"),
    "bird": _names("bird, birdie, songbird, sparrow"),
    "fish": _names("fish, goldfish, tropical fish"),
    "butterfly": _names("butterfly, moth"),
    "frog": _names("frog, toad, froggy, tree frog"),
    "turtle": _names("turtle, tortoise, sea turtle"),
    "bear": _names("bear, bear cub, grizzly"),
    "pig": _names("pig, piglet, piggy"),
    "cow": _names("cow, calf, dairy cow"),
    "horse": _names("horse, pony, foal, stallion"),
    "dragon": _names("dragon, baby dragon, fire-breathing dragon"),
    "elephant": _names("elephant, baby elephant"),
    "monkey": _names("monkey, little monkey, chimp"),
    "penguin": _names("penguin, penguin chick, emperor penguin"),
    "owl": _names("owl, barn owl, owlet"),
    "duck": _names("duck, duckling, mallard"),
    "lion": _names("lion, lioness, lion cub"),
    "koala": _names("koala, koala bear"),
    "panda": _names("panda, panda bear, panda cub"),
    "apple": _names("apple"),
    "banana": _names("banana"),
    "strawberry": _names("strawberry, berry"),
    "pizza": _names("pizza, slice of pizza, pizza slice"),
    "cupcake": _names("cupcake, muffin"),
    "doughnut": _names("doughnut, donut"),
    "carrot": _names("carrot"),
    "mushroom": _names("mushroom, toadstool"),
    "cactus": _names("cactus"),
    "sunflower": _names("sunflower"),
    "tulip": _names("tulip"),
    "tree": _names("tree, oak, leafy tree"),
    "pine tree": _names("pine tree, fir tree, pine, evergreen"),
    "balloon": _names("balloon, party balloon"),
    "umbrella": _names("umbrella, parasol"),
    "car": _names("car, automobile, motorcar"),
    "bicycle": _names("bicycle, bike"),
    "airplane": _names("airplane, plane, aeroplane"),
    "rocket": _names("rocket, spaceship, rocket ship"),
    "sailboat": _names("sailboat, sailing boat, yacht"),
    "house": _names("house, cottage, home"),
    "castle": _names("castle, fortress"),
    "tent": _names("tent, camping tent"),
    "ball": _names("ball, beach ball"),
    "star": _names("star"),
    "crown": _names("crown, royal crown"),
    "gift": _names("gift, present, wrapped present"),
    "teddy bear": _names("teddy bear, teddy, stuffed bear"),
    "robot": _names("robot, little robot, toy robot"),
    "snowman": _names("snowman"),
    "ghost": _names("ghost, friendly ghost"),
    "candle": _names("candle, wax candle"),
    "guitar": _names("guitar, acoustic guitar"),
    "chair": _names("chair, wooden chair"),
}
for _thing, _nouns in NOUNS.items():
    # "slice of pizza" bends in its first word.
    NOUNS[_thing] = tuple((one, "slices of pizza" if one == "slice of pizza" else many) for one, many in _nouns)

BEYOND: dict[str, tuple[Noun, ...]] = {
    "cat": _names("tomcat, moggy"),
    "dog": _names("terrier, doggo"),
    "rabbit": _names("cottontail"),
    "fox": _names("reynard"),
    "bird": _names("robin, finch"),
    "frog": _names("bullfrog"),
    "turtle": _names("baby turtle, terrapin"),
    "bear": _names("grizzly bear"),
    "pig": _names("hog"),
    "cow": _names("heifer"),
    "horse": _names("mare, colt"),
    "monkey": _names("ape"),
    "duck": _names("drake"),
    "sunflower": _names("helianthus"),
    "tree": _names("beech tree, maple"),
    "car": _names("sedan, hatchback"),
    "bicycle": _names("pushbike"),
    "airplane": _names("jet plane"),
    "rocket": _names("space rocket"),
    "sailboat": _names("dinghy"),
    "house": _names("bungalow"),
    "castle": _names("citadel"),
    "gift": _names("parcel"),
    "ghost": _names("spook"),
}
