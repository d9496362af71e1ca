"""From each kind of syntax to the operation that it is."""
