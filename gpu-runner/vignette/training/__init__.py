"""`vignette adapter train`: trains a SUR-adapter for a frozen Stable Diffusion 1.x, 2.x or XL (docs/adapter.md)."""
