"""What people put around a scene: requests, letters, memories, stories, chat.

A frame has one field: `{S}` a clause, `{N}` something to be seen, `{D}` sentences, each with the tenses that it bears.
`{X}` names things that are not in the picture. A field behind a full stop or at the start begins with a capital.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """A sentence or small story with one field of `kind` S, N or D, told `when` ("past", "now", "future")."""

    text: str
    kind: str
    when: tuple[str, ...]


def _frames(kind: str, when: str, text: str) -> tuple[Frame, ...]:
    return tuple(Frame(line.strip(), kind, tuple(when.split())) for line in text.strip().splitlines())


TRAINING = (
    *_frames("N", "now", """
        {N}
        please draw {N}
        draw me {N}
        can you paint {N}?
        could you make me a picture of {N}, please?
        I would love to see {N}
        I'd like {N}, if that is possible
        I need a picture of {N} for a birthday card
        for my daughter's birthday card: {N}
        show me {N}
        would you be so kind as to draw {N}?
        hi there! any chance of getting {N}?
        imagine {N}
        just {N}, nothing fancy
        what I have in mind is {N}
        a drawing of {N}
        a photo of {N}
        an illustration of {N} for a children's book
        a children's book page with {N}
        my little brother drew {N}
        the cover of my notebook shows {N}
        on our holiday we met {N}
        we were walking along and suddenly saw {N}
        she wrote a poem about {N}
        I have always dreamt of {N}
        the painter spent a whole week on {N}
        my son wants {N} on his lunch box
        I don't want {X}, I want {N}
        forget the {X}; make it {N}
        no {X} this time, only {N}
        at the museum there was a painting of {N}
        through the window I noticed {N}
        the first page of the story has {N}
        there is nothing nicer than {N}
        make a poster with {N} on it
        is it possible to get {N}?
        pls make {N}, thanks!
        to whom it may concern: we would be glad to receive {N}
        dear artist, my wish is {N}
        here we have {N}
        what about {N}?
        do you think you could manage {N}?
        the postcard on the fridge has {N}
        I closed my eyes and pictured {N}
        it should show {N}, that is all I ask"""),
    *_frames("S", "past", """
        {S}
        yesterday {S}
        last night I dreamt that {S}
        when we arrived, {S}
        I remember the day when {S}
        my grandmother once told me how {S}
        once upon a time {S}
        in my dream {S}
        {S} while we were having lunch
        {S}, and nobody else was around
        after the long trip {S}
        all morning {S}
        he could hardly believe it: {S}
        I took this picture just as {S}
        everybody smiled because {S}
        it was quiet, and {S}
        at last {S}
        tell me about the time {S}
        the newspaper wrote that {S}
        my uncle, who loves {X}, told us that {S}
        there were no {X} that day, but {S}
        we had hoped for {X}; instead {S}
        at seven o'clock {S}
        on page twelve of the book, {S}
        when I was six years old, {S}
        before anybody could say a word, {S}
        as soon as the music stopped, {S}
        although it was getting late, {S}
        because nobody was watching, {S}
        dear grandma, you should have been here: {S}
        you will not believe this, but {S}
        so there we were, and {S}
        the legend says that long ago {S}
        I laughed out loud when {S}
        that was the summer in which {S}
        we stopped the car since {S}"""),
    *_frames("S", "now", """
        {S}
        look, {S}!
        I want a picture in which {S}
        paint it so that {S}
        the photo shows how {S}
        the story begins: {S}
        draw a card where {S}
        the scene is simple: {S}
        in this picture {S}
        I can see that {S}
        every day {S}
        what would it look like if {S}?
        have you noticed that {S}?
        don't draw any {X}; {S}
        this is the moment when {S}
        whenever I think of home, {S}
        hush now, {S}
        what makes me happy is that {S}
        it is a peaceful picture: {S}
        somewhere in the world {S}"""),
    *_frames("S", "future", """
        tomorrow {S}
        one day {S}
        just wait and see: {S}
        I promise you that {S}
        in the last scene of the play {S}
        my horoscope says that {S}"""),
    *_frames("D", "past", """
        {D}
        let me tell you a story. {D}
        {D} I will never forget it.
        dear diary, what a day! {D}
        this is what I remember. {D} Could you paint that for me?
        {D} Nobody knew why.
        I rubbed my eyes. {D}
        it was my sister's idea. {D} Can you draw it?
        we had been looking for {X} all day. {D}
        {D} That is all I can tell you."""),
    *_frames("D", "now", """
        {D}
        here is what I want. {D}
        {D} Please draw that!
        hello! I am looking for a picture. {D} Thank you very much.
        picture this. {D}
        {D} No {X}, please.
        for the school play we need a backdrop. {D}
        {D} It would hang above my desk.
        my wish is simple. {D}
        the whole thing in a few words. {D}"""),
    *_frames("D", "future", """
        this is my plan for the mural. {D}
        the next chapter goes like this. {D}"""),
)  # fmt: skip

HELD_OUT = (
    *_frames("N", "now", """
        I want a poster for the kitchen with {N}
        if you go out early enough you will notice {N}
        our teacher asked us to sketch {N}
        my favourite postcard has {N} on it
        the children pointed at {N}
        would it be too much trouble to put together {N}?
        what my nephew is after, and he will not settle for {X}, is {N}
        few things calm me down like {N}
        all the wallpaper in the nursery repeats {N}"""),
    *_frames("S", "past", """
        do you know what happened? {S}
        the night watchman swore that {S}
        believe it or not, {S}
        grandpa laughed when he heard that {S}
        somebody left the door open, and so {S}
        while everyone was busy, {S}
        it had rained for hours, but then {S}
        {S}, as if nothing else mattered
        no sooner had the bell rung than we saw it: {S}
        she swore she had counted no {X} at all, and yet {S}"""),
    *_frames("S", "now", """
        give me an illustration in which {S}
        the joke only works if {S}
        so the deal is this: {S}"""),
    *_frames("D", "past", """
        last summer something odd occurred. {D} I still think about it.
        the postman came in, out of breath. {D}
        here is a riddle about my holidays. {D}"""),
    *_frames("D", "now", """
        brief for the illustrator. {D} Leave out the {X}.
        my therapist asked for my happy place. {D}"""),
)  # fmt: skip
