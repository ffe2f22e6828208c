"""The widgets of the screen: each takes its state through reactives and tells news through messages."""
