"""Calls from many threads at once, by a client that they share."""

from concurrent.futures import ThreadPoolExecutor

import requests
from openai import OpenAI

from tests.otel_cost.instrument.process_apps.calls import MESSAGES, MODEL, URL, ask, said


def post(_: object) -> None:
    said(requests.post(URL, json={"model": MODEL, "messages": MESSAGES}, timeout=30).json()["id"])


with ThreadPoolExecutor(8) as pool:
    list(pool.map(ask, [OpenAI()] * 24))
    list(pool.map(post, range(16)))
