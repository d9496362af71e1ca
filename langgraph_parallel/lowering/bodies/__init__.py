"""Function bodies whose independent calls run together.

    for doc in docs:                      turn 0   turn 1   turn 2        ahead, on copies
        text = f"{question} {doc}"        invoke   invoke   invoke        (threads or tasks)
        answer = llm.invoke(text)            |        |        |
        print(answer)                     take --> take --> take          the body itself,
        out.append(answer.content)        print    print    print         in program order

The body runs as it is written. Of what comes later, the part that leads to calls of models, and to
calls that only read, is run ahead on copies (`slices`). Where the body arrives at such a call, it
takes the answer that is there, if function and arguments are the same as ahead (`ahead`); if not,
it makes the call. So a wrong forecast costs a call, and never an answer.
"""
