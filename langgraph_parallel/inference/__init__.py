"""From a node's code to its effects: an abstract interpreter in which unknown means everything.

    callable ──> code ──> machine   syntax tree, then variables and what was seen so far
                            v
                          syntax    which operation is it?
                            v
                 calls ──> door     what does it do to this kind of receiver?
                            v
                          objects   what do its class and its place in memory say?
                            v
                          returned  ──> Effects

The node's real function is interpreted over abstract values: which state keys a value may alias,
which constants it may be, which live object it is. Every rule only widens the result; a construct
without a rule, code without source and a budget that runs out all give `Effects.top()`.
"""
