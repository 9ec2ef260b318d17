"""The words people use for the miniature's world: number words, synonyms, plurals, verbs, places."""

from __future__ import annotations

NUMBERS = {
    1: ("a", "one", "a single", "a lone", "just one", "1"),
    2: ("two", "two", "a pair of", "a couple of", "2", "both"),
    3: ("three", "three", "a trio of", "3"),
    4: ("four", "four", "a group of four", "4"),
}

# thing -> (singular, plural) pairs, the plain name first
NOUNS = {
    "cat": (
        ("cat", "cats"),
        ("kitten", "kittens"),
        ("kitty", "kitties"),
        ("pussycat", "pussycats"),
        ("feline", "felines"),
    ),
    "dog": (("dog", "dogs"), ("puppy", "puppies"), ("pup", "pups"), ("doggy", "doggies"), ("hound", "hounds")),
    "rabbit": (("rabbit", "rabbits"), ("bunny", "bunnies"), ("hare", "hares")),
    "fox": (("fox", "foxes"), ("vixen", "vixens"), ("fox cub", "fox cubs")),
    "bird": (("bird", "birds"), ("birdie", "birdies"), ("songbird", "songbirds")),
    "fish": (("fish", "fish"), ("tropical fish", "tropical fish"), ("goldfish", "goldfish")),
    "butterfly": (("butterfly", "butterflies"), ("moth", "moths")),
    "frog": (("frog", "frogs"), ("toad", "toads"), ("froggy", "froggies")),
    "turtle": (("turtle", "turtles"), ("tortoise", "tortoises")),
    "pig": (("pig", "pigs"), ("piglet", "piglets"), ("piggy", "piggies")),
    "elephant": (("elephant", "elephants"), ("baby elephant", "baby elephants")),
    "penguin": (("penguin", "penguins"), ("penguin chick", "penguin chicks")),
    "apple": (("apple", "apples"),),
    "strawberry": (("strawberry", "strawberries"), ("berry", "berries")),
    "mushroom": (("mushroom", "mushrooms"), ("toadstool", "toadstools")),
    "cactus": (("cactus", "cacti"), ("cactus", "cactuses")),
    "sunflower": (("sunflower", "sunflowers"), ("flower", "flowers")),
    "tree": (("tree", "trees"), ("oak", "oaks")),
    "balloon": (("balloon", "balloons"), ("party balloon", "party balloons")),
    "umbrella": (("umbrella", "umbrellas"), ("parasol", "parasols")),
    "car": (("car", "cars"), ("automobile", "automobiles"), ("motorcar", "motorcars")),
    "rocket": (("rocket", "rockets"), ("spaceship", "spaceships")),
    "house": (("house", "houses"), ("cottage", "cottages"), ("home", "homes")),
    "star": (("star", "stars"),),
}

COLOUR_WORDS = {
    "red": ("red", "red", "crimson", "scarlet", "ruby red"),
    "orange": ("orange", "orange", "tangerine", "bright orange"),
    "yellow": ("yellow", "yellow", "golden", "lemon yellow"),
    "green": ("green", "green", "emerald", "emerald green"),
    "blue": ("blue", "blue", "azure", "sapphire blue"),
    "purple": ("purple", "purple", "violet", "lavender"),
    "pink": ("pink", "pink", "rosy", "rose pink"),
}

# What says nothing of the picture, but stands in sentences all the same.
ADJECTIVES = (
    "little",
    "tiny",
    "small",
    "cute",
    "lovely",
    "sweet",
    "pretty",
    "funny",
    "old",
    "young",
    "big",
    "charming",
)

# action -> (singular, plural) finite verb phrases
VERBS = {
    "sleeping": (
        ("is sleeping", "are sleeping"),
        ("sleeps", "sleep"),
        ("fell asleep", "fell asleep"),
        ("has fallen asleep", "have fallen asleep"),
        ("is taking a nap", "are taking a nap"),
        ("dozed off", "dozed off"),
        ("is fast asleep", "are fast asleep"),
        ("was napping", "were napping"),
        ("snoozes", "snooze"),
        ("lay dreaming", "lay dreaming"),
    ),
    "jumping": (
        ("is jumping", "are jumping"),
        ("jumps", "jump"),
        ("jumped up and down", "jumped up and down"),
        ("is hopping about", "are hopping about"),
        ("leaps", "leap"),
        ("was leaping", "were leaping"),
        ("bounced around", "bounced around"),
        ("has jumped into the air", "have jumped into the air"),
    ),
    "flying": (
        ("is flying", "are flying"),
        ("flies", "fly"),
        ("flew", "flew"),
        ("is soaring through the air", "are soaring through the air"),
        ("was gliding along", "were gliding along"),
        ("soars", "soar"),
        ("has taken wing", "have taken wing"),
        ("flew by on small wings", "flew by on small wings"),
    ),
    None: (
        ("is standing", "are standing"),
        ("stands", "stand"),
        ("stood", "stood"),
        ("can be seen", "can be seen"),
        ("is waiting", "are waiting"),
        ("was there", "were there"),
        ("appears", "appear"),
    ),
}

PARTICIPLES = {
    "sleeping": ("sleeping", "fast asleep", "napping", "dozing", "asleep", "taking a nap", "having a nap"),
    "jumping": ("jumping", "leaping", "hopping", "bouncing", "jumping up and down"),
    "flying": ("flying", "soaring", "gliding", "in flight", "flying around"),
    None: ("", "", "standing", "waiting"),
}

PLACE_PHRASES = {
    "meadow": (
        "in the meadow",
        "in a green meadow",
        "on the grass",
        "in a grassy field",
        "among the flowers of a meadow",
    ),
    "snow": ("in the snow", "on a snowy day", "in a snowy landscape", "in the white winter snow", "on the fresh snow"),
    "beach": ("on the beach", "by the sea", "on the sand at the seaside", "on a sunny beach", "at the seashore"),
    "night": ("at night", "under the stars", "in the moonlight", "in the middle of the night", "beneath the night sky"),
    "desert": ("in the desert", "among the dunes", "in the hot desert", "in the dry desert sand", "in a sandy desert"),
    "room": ("in the room", "in a room", "indoors", "in the living room", "inside, on the wooden floor"),
}
