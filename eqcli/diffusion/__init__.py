"""Diffusion and flow matching: schedules, forward and reverse steps, integrators and likelihoods."""
