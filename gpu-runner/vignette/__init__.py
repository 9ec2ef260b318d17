"""Vignette's runner: the SUR-adapter, a diffusion engine that batches by step, and the HTTP server around it."""

__version__ = "0.1.0"
