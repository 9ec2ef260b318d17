"""Reading: which phrases of a lexicon the UNet is told, so that a person sees how a sentence was understood."""
