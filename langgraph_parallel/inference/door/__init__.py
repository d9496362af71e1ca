"""The one door: what an operation of Python does to whatever it is applied to.

    operation x receiver -> what it gives, with everything that it may run, look at and change

Every rule for a piece of syntax, and every known call that is an operation in disguise (`len`,
`operator.add`, `str.format`), comes here; nothing else decides what touching an object does. By the
kind of receiver:

    State              the keys that are looked at
    Const, Data, Cell  built-in data: no code of anybody's, but for parts that are no data
    Live, Made, Object the special methods of the class (`objects.special_methods`)
    Opaque             unknown, unless a library has made it out of plain data
"""
