"""Structures of any number through a task: chunk by chunk, by any number of workers, going on where it was killed."""
