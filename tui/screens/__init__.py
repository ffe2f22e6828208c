"""Screens: the main one, the comparison and the help."""
