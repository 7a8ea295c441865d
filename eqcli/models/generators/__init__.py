"""Models that make structures."""
