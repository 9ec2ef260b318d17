"""The runner's HTTP server: Replicate's surface (https://replicate.com/docs/reference/http) over the engine."""
