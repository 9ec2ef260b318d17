"""The engine: one thread owns the device and draws every active request together, one denoising step at a time."""
