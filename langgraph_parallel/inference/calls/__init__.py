"""From calls to what they run, by the kind of thing that is called."""
