"""Workers on this machine and on batch systems, and jobs of batch systems."""
