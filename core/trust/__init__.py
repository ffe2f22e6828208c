"""Estimate how far an answer can be trusted: signals, calibration and verdict."""
