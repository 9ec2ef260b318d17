"""Names of the studies' rows: what draws, and from what."""

BASE, ADAPTED, CEILING = "base/narrative", "adapter/narrative", "base/keyword"
ADAPTER, PUBLISHED_RECIPE, REWRITING = "adapter/no-LLM", "published-recipe/narrative", "LLM-rewriting/narrative"
