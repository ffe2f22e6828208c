"""The widgets of the screen. They take their state through reactives and report events as messages."""
