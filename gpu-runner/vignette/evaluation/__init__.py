"""`vignette evaluate`: models, adapters, scales and kinds of prompt compared on the same prompts and seeds."""
