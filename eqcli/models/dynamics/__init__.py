"""Models of motion: where interacting points are after some time."""
