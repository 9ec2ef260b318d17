"""What is done, in every tense that a story needs. An entry is a verb's forms, or a state that follows *to be*."""

from __future__ import annotations

from dataclasses import dataclass

TENSES = ("present", "progressive", "past", "past progressive", "perfect", "future")


@dataclass(frozen=True)
class Verb:
    """A verb phrase: base, third person, past, participle, and -ing form; `state` follows *to be* instead of bending."""

    base: str
    third: str = ""
    past: str = ""
    participle: str = ""
    ing: str = ""
    state: bool = False

    def finite(self, tense: str, many: bool) -> str:
        """The finite form in one of `TENSES`, for one or many subjects in the third person."""
        be = {"present": ("is", "are"), "past": ("was", "were"), "perfect": ("has been", "have been")}
        if tense == "future":
            return f"will be {self.base}" if self.state else f"will {self.base}"
        if self.state:
            return (
                f"{be[tense.replace('past progressive', 'past').replace('progressive', 'present')][many]} {self.base}"
            )
        if tense == "progressive":
            return f"{be['present'][many]} {self.ing}"
        if tense == "past progressive":
            return f"{be['past'][many]} {self.ing}"
        if tense == "perfect":
            return f"{'have' if many else 'has'} {self.participle}"
        if tense == "past":
            return self.past
        return self.base if many else self.third

    @property
    def after_noun(self) -> str:
        """What may stand behind a noun: "sleeping", "fast asleep"."""
        return self.base if self.state else self.ing


def listed(text: str) -> tuple[Verb, ...]:
    """One verb a line: base, third, past, participle, -ing; a line of one form is a state."""
    rows = [[form.strip() for form in line.split(",")] for line in text.strip().splitlines()]
    return tuple(Verb(row[0], state=True) if len(row) == 1 else Verb(*row) for row in rows)


VERBS = {
    "sleeping": listed("""
        sleep, sleeps, slept, slept, sleeping
        nap, naps, napped, napped, napping
        doze, dozes, dozed, dozed, dozing
        snooze, snoozes, snoozed, snoozed, snoozing
        take a nap, takes a nap, took a nap, taken a nap, taking a nap
        fall asleep, falls asleep, fell asleep, fallen asleep, falling asleep
        nod off, nods off, nodded off, nodded off, nodding off
        snore softly, snores softly, snored softly, snored softly, snoring softly
        lie dreaming, lies dreaming, lay dreaming, lain dreaming, lying there dreaming
        asleep
        fast asleep
        sound asleep"""),
    "jumping": listed("""
        jump, jumps, jumped, jumped, jumping
        hop, hops, hopped, hopped, hopping
        leap, leaps, leapt, leapt, leaping
        bounce, bounces, bounced, bounced, bouncing
        jump for joy, jumps for joy, jumped for joy, jumped for joy, jumping for joy
        hop about, hops about, hopped about, hopped about, hopping about
        jump up and down, jumps up and down, jumped up and down, jumped up and down, jumping up and down
        leap into the air, leaps into the air, leapt into the air, leapt into the air, leaping into the air
        bounce around, bounces around, bounced around, bounced around, bouncing around"""),
    "flying": listed("""
        fly, flies, flew, flown, flying
        soar, soars, soared, soared, soaring
        glide, glides, glided, glided, gliding
        fly about, flies about, flew about, flown about, flying about
        hover in the air, hovers in the air, hovered in the air, hovered in the air, hovering in the air
        float through the air, floats through the air, floated through the air, floated through the air, floating through the air
        soar overhead, soars overhead, soared overhead, soared overhead, soaring overhead
        flutter by, flutters by, fluttered by, fluttered by, fluttering by
        take wing, takes wing, took wing, taken wing, taking wing
        up in the air
        in flight"""),
    "animal": listed("""
        stand, stands, stood, stood, standing
        wait, waits, waited, waited, waiting
        stand around, stands around, stood around, stood around, standing around
        stay, stays, stayed, stayed, staying
        stand still, stands still, stood still, stood still, standing still"""),
    "object": listed("""
        stand, stands, stood, stood, standing
        sit, sits, sat, sat, sitting
        wait, waits, waited, waited, waiting
        lie, lies, lay, lain, lying"""),
}
BEYOND = {
    "sleeping": listed("""
        slumber, slumbers, slumbered, slumbered, slumbering
        drift off to sleep, drifts off to sleep, drifted off to sleep, drifted off to sleep, drifting off to sleep
        have a siesta, has a siesta, had a siesta, had a siesta, having a siesta
        in the land of dreams"""),
    "jumping": listed("""
        bound about, bounds about, bounded about, bounded about, bounding about
        spring into the air, springs into the air, sprang into the air, sprung into the air, springing into the air
        in mid-leap"""),
    "flying": listed("""
        sail through the sky, sails through the sky, sailed through the sky, sailed through the sky, sailing through the sky
        circle in the sky, circles in the sky, circled in the sky, circled in the sky, circling in the sky
        airborne"""),
    "animal": listed("""
        linger, lingers, lingered, lingered, lingering"""),
    "object": listed("""
        rest, rests, rested, rested, resting"""),
}
