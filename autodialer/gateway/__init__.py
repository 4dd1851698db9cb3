"""The demo: a fake carrier, and the program that shows the whole main job with it. Never a test oracle."""
