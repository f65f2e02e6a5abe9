"""Learned pilots live here: policy network, imitation, training, export and the registry of trained models.

Torch and Stable-Baselines3 are imported in this package and nowhere else; everything that the daemon needs runs from
an exported network without them.
"""
