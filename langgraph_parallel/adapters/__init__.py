"""Plans of other frameworks, carried out in parallel by the frameworks' own parts."""
