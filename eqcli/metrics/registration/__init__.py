"""Figures of registration: errors of motions, recall by the published rules, quality of matches."""
