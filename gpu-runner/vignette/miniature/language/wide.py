"""Places and doings in the many words that people have for them, beyond the grammar's own: only training tells these.

A sentence by another hand says "lounge", "snowdrift" or "frolic" sooner than a word from a list of nine. What no training
tells (the last of each list beyond the known words) is not among them.
"""

from __future__ import annotations

from .verbs import listed


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(phrase.split()) for phrase in text.split(","))


PLACES = {
    "meadow": _phrases("""
        in the pasture, on the village green, among the buttercups, among the daisies, in the hayfield, in a hay meadow,
        knee-deep in grass, on the green hillside, on the green hills, in a field of clover, where the wildflowers grow,
        in lush green grass, out in the countryside, in the open fields, among poppies and cornflowers, on the farmer's field,
        on the turf, in the park, in the garden, on green grassland, where the cows graze, where the sheep graze,
        amid the long grass, in a flowery field, on a grassy slope, on the mown grass, out in the green, on a green knoll,
        in the paddock, on the common, in a sunny glade, on a grassy bank, surrounded by green hills, on the rolling hills,
        in the grasslands, in a blooming meadow, in a spring meadow, among cowslips, on the prairie, where bees hum over the flowers"""),
    "snow": _phrases("""
        in a snowdrift, in a snowfield, on the ski slope, in a blizzard, in a snowstorm, on the frozen ground, on the ice,
        while snowflakes drift down, after the snowfall, in the icy cold, on a white winter's day, up to the knees in snow,
        at the North Pole, in the Arctic, on a glacier, in the deep white drifts, on a frozen lake, in January frost,
        where everything is white, on the snowy mountain, under falling snowflakes, in the freezing cold, in the wintry hills,
        in the polar wilderness, on a sledging hill, after it snowed all day, on the powdery slope, in heavy snow, among snowy firs,
        in a white-out, in a world of snow, on a blanket of snow, on packed snow, in the chill of winter, in the first snow,
        on snow-white ground, out in the frost, in the tundra, on the icy plain, when the ground was white with snow"""),
    "beach": _phrases("""
        on the strand, at the shoreline, on the seashore sand, in the bay, by the breakers, among the seashells, by the rolling waves,
        at the seafront, on the sandy shore, where the tide comes in, at low tide, at high tide, on the wet sand by the water,
        along the shore, on the waterfront, in a sandy cove, beside the salt water, near the lifeguard's tower, on a tropical island,
        among the sandcastles, on holiday by the sea, by the Mediterranean, at the foot of the waves, by the blue sea,
        where the waves break, where the sea meets the sand, with the surf rolling in, with the ocean behind, with gulls crying overhead,
        close to the sea, next to the sea, facing the sea, on the ocean's edge, within sight of the sea, on the shingle,
        at the bathing place, on a sandbank by the sea, washed up by the tide, on the seaside promenade, just above the tideline"""),
    "night": _phrases("""
        by night, in the dark, in the darkness, in pitch darkness, at nightfall, after nightfall, after sundown, once the sun had set,
        under the moon, beneath a full moon, under a crescent moon, by moonlight, by starlight, under the Milky Way,
        under a sky full of stars, when the stars came out, late at night, when the clock struck twelve,
        in the small hours, at bedtime, way past bedtime, while everyone else slept, when it was dark outside, in the black of night,
        as the moon rose, with the moon overhead, with stars twinkling above, under the twinkling stars, on a moonlit night,
        on a dark night, on a clear night, all night long, through the night, long before dawn, before sunrise,
        when the owls call, in the gloom, under a dark sky"""),
    "desert": _phrases("""
        in the Gobi, in the Mojave, on the hot sand dunes, in an oasis, where no rain ever falls, in the scorching heat,
        in the burning heat, on the parched earth, in the wasteland, on the caravan route, where the camels walk, beside the camels,
        in the dry wilderness, in the sand sea, in the sandy wastes, in a sandstorm, a hundred miles from any water,
        in the shimmering heat, on the cracked dry ground, in the land of the pyramids, somewhere in Arizona,
        in the baking sun of the dunes, among red rocks and sand, on a ridge of sand, at the foot of a dune, on top of a dune,
        in the emptiness of the dunes, where nothing grows, under a merciless sun, in the desert heat, in the thirsty sands,
        in the dusty desert, in the dunes, out on the dunes, in the Kalahari, in the driest place on earth, in the desert of Egypt,
        among the mesas, in the scorched land, where a mirage trembles"""),
    "room": _phrases("""
        in the lounge, in the kitchen, in the study, in the hallway, in the playroom, in the attic, in the dining room,
        in the guest room, in the library, in the classroom, in the den, in the hall, in the office, in the corridor, in the bathroom,
        at home, in my flat, in our house, in the children's room, in her bedroom, in the drawing room, on the carpet, on the rug,
        on the parquet, on the floorboards, beside the sofa, in front of the sofa, by the window of the lounge, under the ceiling,
        inside the cottage, within the house, in the sunroom, behind the curtains, next to the armchair, in a cosy room,
        on the hearthrug, upstairs in the house, downstairs in the house, within these walls"""),
}
VERBS = {
    "sleeping": listed("""
        rest with closed eyes, rests with closed eyes, rested with closed eyes, rested with closed eyes, resting with closed eyes
        drowse, drowses, drowsed, drowsed, drowsing
        snore, snores, snored, snored, snoring
        dream, dreams, dreamed, dreamed, dreaming
        dream sweetly, dreams sweetly, dreamed sweetly, dreamed sweetly, dreaming sweetly
        sleep soundly, sleeps soundly, slept soundly, slept soundly, sleeping soundly
        sleep like a log, sleeps like a log, slept like a log, slept like a log, sleeping like a log
        sleep peacefully, sleeps peacefully, slept peacefully, slept peacefully, sleeping peacefully
        have a nap, has a nap, had a nap, had a nap, having a nap
        have forty winks, has forty winks, had forty winks, had forty winks, having forty winks
        get some sleep, gets some sleep, got some sleep, got some sleep, getting some sleep
        lie asleep, lies asleep, lay asleep, lain asleep, lying asleep
        hibernate, hibernates, hibernated, hibernated, hibernating
        go to sleep, goes to sleep, went to sleep, gone to sleep, going to sleep
        catch some sleep, catches some sleep, caught some sleep, caught some sleep, catching some sleep
        kip, kips, kipped, kipped, kipping
        sleep with eyes shut, sleeps with eyes shut, slept with eyes shut, slept with eyes shut, sleeping with eyes shut
        curl up and sleep, curls up and sleeps, curled up and slept, curled up and slept, curled up and sleeping
        curled up asleep
        dead to the world
        in a deep sleep
        lost in dreams
        out cold and snoring
        dozing off"""),
    "jumping": listed("""
        bound, bounds, bounded, bounded, bounding
        spring, springs, sprang, sprung, springing
        skip, skips, skipped, skipped, skipping
        spring up, springs up, sprang up, sprung up, springing up
        spring about, springs about, sprang about, sprung about, springing about
        vault, vaults, vaulted, vaulted, vaulting
        frolic, frolics, frolicked, frolicked, frolicking
        prance, prances, pranced, pranced, prancing
        caper, capers, capered, capered, capering
        jump high, jumps high, jumped high, jumped high, jumping high
        jump around, jumps around, jumped around, jumped around, jumping around
        jump about, jumps about, jumped about, jumped about, jumping about
        hop up and down, hops up and down, hopped up and down, hopped up and down, hopping up and down
        bob up and down, bobs up and down, bobbed up and down, bobbed up and down, bobbing up and down
        bounce up and down, bounces up and down, bounced up and down, bounced up and down, bouncing up and down
        leap up, leaps up, leapt up, leapt up, leaping up
        leap about, leaps about, leapt about, leapt about, leaping about
        take a jump, takes a jump, took a jump, taken a jump, taking a jump
        take a leap, takes a leap, took a leap, taken a leap, taking a leap
        make a leap, makes a leap, made a leap, made a leap, making a leap
        hop along, hops along, hopped along, hopped along, hopping along
        do jumping jacks, does jumping jacks, did jumping jacks, done jumping jacks, doing jumping jacks"""),
    "flying": listed("""
        flap through the air, flaps through the air, flapped through the air, flapped through the air, flapping through the air
        flutter, flutters, fluttered, fluttered, fluttering
        flutter about, flutters about, fluttered about, fluttered about, fluttering about
        hover, hovers, hovered, hovered, hovering
        wing through the air, wings through the air, winged through the air, winged through the air, winging through the air
        fly high, flies high, flew high, flown high, flying high
        fly by, flies by, flew by, flown by, flying by
        fly past, flies past, flew past, flown past, flying past
        fly overhead, flies overhead, flew overhead, flown overhead, flying overhead
        fly around, flies around, flew around, flown around, flying around
        fly across the sky, flies across the sky, flew across the sky, flown across the sky, flying across the sky
        soar high above, soars high above, soared high above, soared high above, soaring high above
        soar through the air, soars through the air, soared through the air, soared through the air, soaring through the air
        swoop, swoops, swooped, swooped, swooping
        swoop about, swoops about, swooped about, swooped about, swooping about
        whizz through the air, whizzes through the air, whizzed through the air, whizzed through the air, whizzing through the air
        glide along in the air, glides along in the air, glided along in the air, glided along in the air, gliding along in the air
        sail through the air, sails through the air, sailed through the air, sailed through the air, sailing through the air
        drift through the air, drifts through the air, drifted through the air, drifted through the air, drifting through the air
        circle overhead, circles overhead, circled overhead, circled overhead, circling overhead
        beat the air with wings, beats the air with wings, beat the air with wings, beaten the air with wings, beating the air with wings
        fly on wings, flies on wings, flew on wings, flown on wings, flying on wings
        on the wing
        high in the air
        aloft
        up in the sky"""),
    "animal": listed("""
        sit, sits, sat, sat, sitting
        sit still, sits still, sat still, sat still, sitting still
        sit quietly, sits quietly, sat quietly, sat quietly, sitting quietly
        pose, poses, posed, posed, posing
        pose for a photo, poses for a photo, posed for a photo, posed for a photo, posing for a photo
        look at me, looks at me, looked at me, looked at me, looking at me
        look around, looks around, looked around, looked around, looking around
        stare, stares, stared, stared, staring
        gaze ahead, gazes ahead, gazed ahead, gazed ahead, gazing ahead
        watch, watches, watched, watched, watching
        wait patiently, waits patiently, waited patiently, waited patiently, waiting patiently
        stand about, stands about, stood about, stood about, standing about
        stand there, stands there, stood there, stood there, standing there
        stand guard, stands guard, stood guard, stood guard, standing guard
        stand proudly, stands proudly, stood proudly, stood proudly, standing proudly
        keep still, keeps still, kept still, kept still, keeping still
        stay put, stays put, stayed put, stayed put, staying put
        hang around, hangs around, hung around, hung around, hanging around
        loiter, loiters, loitered, loitered, loitering
        do nothing at all, does nothing at all, did nothing at all, done nothing at all, doing nothing at all
        pause, pauses, paused, paused, pausing
        enjoy the view, enjoys the view, enjoyed the view, enjoyed the view, enjoying the view
        wide awake
        motionless"""),
    "object": listed("""
        stand there, stands there, stood there, stood there, standing there
        stand about, stands about, stood about, stood about, standing about
        sit there, sits there, sat there, sat there, sitting there
        stay, stays, stayed, stayed, staying
        remain, remains, remained, remained, remaining
        catch the eye, catches the eye, caught the eye, caught the eye, catching the eye
        wait there, waits there, waited there, waited there, waiting there
        on display"""),
}
