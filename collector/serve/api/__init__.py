"""The HTTP API: JSON over Starlette, served by uvicorn on the collector's own event loop."""
