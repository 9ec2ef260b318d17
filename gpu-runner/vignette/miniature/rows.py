"""Names of the studies' rows: what draws, and from what."""

BASE, ADAPTED, CEILING = "base/narrative", "adapter/narrative", "base/keyword"
ADAPTER, PUBLISHED_RECIPE, REWRITING = "adapter/no-LLM", "published-recipe/narrative", "LLM-rewriting/narrative"
# The adapter that comes with the weights: longer trained, on more.
BUNDLED = "adapter/bundled"
