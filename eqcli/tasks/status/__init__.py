"""What is done, what failed, how fast and how long still, of work that may be going on elsewhere."""
