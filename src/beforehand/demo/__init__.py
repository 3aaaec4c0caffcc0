"""The simulated company Noorderlicht, built only on the public API."""
