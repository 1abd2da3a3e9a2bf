"""`tls` of whatever listens."""

from __future__ import annotations

from pathlib import Path

from collector.config import values
from collector.config.reader import Section
from collector.tls import TlsFiles


def read_server_tls(section: Section) -> TlsFiles:
    """Both files are needed; whether they can be used is seen when the collector starts."""
    none = Path()
    tls = TlsFiles(section.require("cert_file", values.path, none), section.require("key_file", values.path, none))
    section.close()
    return tls
