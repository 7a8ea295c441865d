"""Hyper-parameters of the models of point clouds, without torch."""
