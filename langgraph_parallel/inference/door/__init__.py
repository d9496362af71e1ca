"""The one door: what an operation of Python does to whatever it is applied to."""
