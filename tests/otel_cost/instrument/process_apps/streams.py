"""Ends while it still holds streams that it has read the beginning of."""

import requests
from openai import OpenAI

from tests.otel_cost.instrument.process_apps.calls import MESSAGES, MODEL_THAT_STREAMS, URL, said

by_sdk = OpenAI().chat.completions.create(model=MODEL_THAT_STREAMS, messages=MESSAGES, stream=True)
said(next(iter(by_sdk)).id)
body = {"model": MODEL_THAT_STREAMS, "messages": MESSAGES, "stream": True}
by_requests = requests.post(URL, json=body, stream=True, timeout=30)
lines = by_requests.iter_lines()
said(next(lines).split(b'"id":"')[1].split(b'"')[0].decode())
