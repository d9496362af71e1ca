"""What can be read of code and classes without running any of it."""
