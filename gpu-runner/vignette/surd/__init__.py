"""SURD: triples of a narrative, a keyword prompt and a picture, from which a SUR-adapter learns."""
