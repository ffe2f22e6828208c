"""The training of the small encoder that is bundled as the demo, and of encoders on one's own sentences."""
