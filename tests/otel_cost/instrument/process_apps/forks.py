"""Forks after its first call, as pre-forking servers do; the children end as processes do."""

import os
import sys

from openai import OpenAI

from tests.otel_cost.instrument.process_apps.calls import MESSAGES, MODEL_THAT_STREAMS, ask, said

client = OpenAI()
ask(client)
stream = client.chat.completions.create(model=MODEL_THAT_STREAMS, messages=MESSAGES, stream=True)
said(next(iter(stream)).id)
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        stream.close()  # it is the parent's
        for _ in range(2):
            ask(OpenAI())
        sys.exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
list(stream)
ask(client)
