"""How far an answer can be believed: signals, what was measured, the verdict."""
