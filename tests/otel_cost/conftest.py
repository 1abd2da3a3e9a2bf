"""What tests of the in-app half share."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import certifi
import pytest

_END = "-----END CERTIFICATE-----\n"


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clients load the certificates of all authorities, 25 ms of CPU each time; nothing here speaks TLS."""
    file = tmp_path_factory.mktemp("authorities") / "one.pem"
    file.write_text(certifi.contents().partition(_END)[0] + _END)
    ssl.create_default_context(cafile=file)  # raises if that is no certificate
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield
