"""Train the small encoder that is bundled as the demo, and encoders on a user's own sentences."""
