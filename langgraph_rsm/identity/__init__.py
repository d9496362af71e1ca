"""The context of a call to its program, its branch, and the calls that it comes after."""
