"""Numbers, colours, similes, places and the small words around them."""

from __future__ import annotations

NUMBERS = {
    1: ("a", "a", "one", "a single", "a lone", "just one", "exactly one", "1"),
    2: ("two", "two", "two", "a pair of", "a couple of", "exactly two", "2"),
    3: ("three", "three", "three", "a trio of", "exactly three", "a group of three", "3"),
    4: ("four", "four", "four", "a group of four", "exactly four", "a quartet of", "4"),
}
BEYOND_NUMBERS = {
    1: ("a solitary", "only one"),
    2: ("a duo of", "a twosome of"),
    3: ("a threesome of", "no fewer than three"),
    4: ("a foursome of", "no fewer than four"),
}
CARDINALS = {1: "one", 2: "two", 3: "three", 4: "four"}

COLOURS = {
    "red": ("red", "red", "red", "crimson", "scarlet", "ruby red", "bright red"),
    "orange": ("orange", "orange", "orange", "tangerine", "bright orange"),
    "yellow": ("yellow", "yellow", "yellow", "golden", "lemon yellow", "bright yellow"),
    "green": ("green", "green", "green", "emerald", "emerald green", "bright green"),
    "blue": ("blue", "blue", "blue", "azure", "sapphire blue", "sky blue"),
    "purple": ("purple", "purple", "purple", "violet", "lavender", "deep purple"),
    "pink": ("pink", "pink", "pink", "rosy", "rose pink", "bright pink"),
}
BEYOND_COLOURS = {
    "red": ("cherry red", "tomato red"),
    "orange": ("amber orange", "apricot"),
    "yellow": ("canary yellow", "mustard yellow"),
    "green": ("lime green", "mint green"),
    "blue": ("navy blue", "cobalt blue"),
    "purple": ("lilac", "mauve"),
    "pink": ("fuchsia", "hot pink"),
}
# What has the colour by itself; some of it is in the miniature's world and must not be drawn for that.
SIMILES = {
    "red": ("a fire engine", "a ripe tomato", "a cherry", "a strawberry", "ketchup"),
    "orange": ("a pumpkin", "a tangerine", "a carrot", "a traffic cone"),
    "yellow": ("a lemon", "butter", "a banana", "custard", "sweetcorn"),
    "green": ("a pea", "fresh grass", "a frog", "spinach", "a lime"),
    "blue": ("the summer sky", "the deep sea", "ink", "a cornflower", "blueberries"),
    "purple": ("a plum", "an aubergine", "ripe grapes", "lavender"),
    "pink": ("bubble gum", "candy floss", "a flamingo", "a piglet"),
}
BEYOND_SIMILES = {
    "red": ("a post box", "a poppy"),
    "orange": ("marmalade", "an apricot"),
    "yellow": ("a canary", "egg yolk"),
    "green": ("a cucumber", "moss"),
    "blue": ("a sapphire", "a pair of jeans"),
    "purple": ("a beetroot", "an amethyst"),
    "pink": ("raspberry ice cream", "a ballet shoe"),
}

# What says nothing of the picture, but stands in sentences all the same.
ADJECTIVES = (
    *("little", "tiny", "small", "cute", "lovely", "sweet", "pretty", "funny", "old", "young", "big", "charming"),
    *("cheerful", "odd-looking", "beautiful", "plump", "strange", "adorable", "shiny", "wonderful", "ordinary"),
)
BEYOND_ADJECTIVES = ("quirky", "tubby", "dear", "peculiar", "handsome", "wee")

PLACES = {
    "meadow": (
        *("in the meadow", "in a green meadow", "on the grass", "in a grassy field", "among the flowers of a meadow"),
        *("in a field of wildflowers", "on a grassy hillside", "in the tall grass", "out in the fields"),
    ),
    "snow": (
        *("in the snow", "on a snowy day", "in a snowy landscape", "in the white winter snow", "on the fresh snow"),
        *("in the middle of winter", "where snow covers everything", "on a snow-covered hill", "in the falling snow"),
    ),
    "beach": (
        *("on the beach", "by the sea", "on the sand at the seaside", "on a sunny beach", "at the seashore"),
        *("beside the ocean", "at the water's edge", "near the waves", "by the seaside"),
    ),
    "night": (
        *("at night", "under the stars", "in the moonlight", "in the middle of the night", "beneath the night sky"),
        *("after dark", "by the light of the moon", "long after sunset", "on a starry night"),
    ),
    "desert": (
        *("in the desert", "among the dunes", "in the hot desert", "in the dry desert sand", "in a sandy desert"),
        *("between the sand dunes", "under the desert sun", "far out in the desert", "on a desert dune"),
    ),
    "room": (
        *("in the room", "in a room", "indoors", "in the living room", "inside, on the wooden floor"),
        *("inside the house", "in my bedroom", "on the floor of the room", "in the parlour"),
    ),
}
BEYOND_PLACES = {
    "meadow": ("out on the pasture", "in the clover", "on the lawn"),
    "snow": ("in a winter wonderland", "in deep powder snow", "on a frosty white field"),
    "beach": ("on the shore", "down by the surf", "on the coast, right by the water"),
    "night": ("at midnight", "when the moon was up", "in the dead of night"),
    "desert": ("in the Sahara", "in a sea of dunes", "out in the arid sands"),
    "room": ("in the sitting room", "between four walls", "in grandmother's parlour"),
}
