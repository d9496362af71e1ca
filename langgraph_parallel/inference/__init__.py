"""From a node's code to its effects: an abstract interpreter in which unknown means everything.

    callable -> source.find_source -> frame (variables) + expressions, calls, statements -> Effects

The node's real function is interpreted over abstract values: which state keys a value may alias,
which constants it may be, which live object it is. Every rule only widens the result; a construct
without a rule, code without source and a budget that runs out all give `Effects.top()`.
"""
