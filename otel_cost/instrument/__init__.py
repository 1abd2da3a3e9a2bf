"""Every model call becomes a span: what goes over HTTP is read as it passes, and never held, delayed or changed.

`wire/` reads exchanges and is pure; `observe` turns what it reads into spans; one module per HTTP library passes
requests, responses and errors on to `observe`.
"""
