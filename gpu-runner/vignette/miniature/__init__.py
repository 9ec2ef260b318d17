"""The miniature: a small latent diffusion model, its world, its judge and its training."""
