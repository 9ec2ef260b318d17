"""Where a picture comes from, in the picture: its recipe, the mark of generated media, and a signed manifest."""
