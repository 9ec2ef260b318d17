/** Sentences as people tell them; the miniature knows all that is in them. */
export const EXAMPLES = [
  "three little purple cats have fallen asleep on the beach",
  "two blue birds are flying over the snow",
  "at night a single red fox jumps for joy",
  "grandma swears that a green dragon has moved in: it sleeps in the living room",
];

const SCENES = [
  "on the beach",
  "out in the snow",
  "in the middle of the night",
  "on a sunny meadow",
  "somewhere in the desert",
  "in a quiet room",
];
const ANIMALS = [
  "cats",
  "foxes",
  "birds",
  "frogs",
  "turtles",
  "pigs",
  "elephants",
  "penguins",
  "owls",
  "lions",
  "koalas",
  "ducks",
];
const THINGS = [
  "balloons",
  "umbrellas",
  "sunflowers",
  "strawberries",
  "rockets",
  "cars",
  "guitars",
  "crowns",
  "teddy bears",
];
const TINTS = ["red", "orange", "yellow", "green", "blue", "purple", "pink"];
const COUNTS = ["two", "three", "four"];
const TELLINGS = [
  ({ count, tint, animal, scene }: Parts) => `${count} ${tint} ${animal} have fallen asleep ${scene}`,
  ({ count, tint, animal, scene }: Parts) => `${scene}, ${count} ${tint} ${animal} are jumping about`,
  ({ count, tint, thing, scene }: Parts) => `somebody left ${count} ${tint} ${thing} ${scene}`,
  ({ count, animal, tint, thing, scene }: Parts) => `${count} ${animal} found a few ${tint} ${thing} ${scene}`,
];

interface Parts {
  count: string;
  tint: string;
  animal: string;
  thing: string;
  scene: string;
}

/** A sentence that nobody has thought of. @param random 0 to 1, below 1 */
export function surprise(random: () => number): string {
  const pick = <T>(list: readonly [T, ...T[]] | readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const parts = {
    count: pick(COUNTS),
    tint: pick(TINTS),
    animal: pick(ANIMALS),
    thing: pick(THINGS),
    scene: pick(SCENES),
  };
  return pick(TELLINGS)(parts);
}
