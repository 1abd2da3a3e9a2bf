"""TLS files, read and tried out at start, so that a wrong one stops the start and not every client later."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from collector.errors import CannotListen

_HANDSHAKE_STEPS = 8
"""Turns after which two ends in one process have shaken hands; TLS 1.3 needs three."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Certificate chain and private key, both PEM."""

    cert_file: Path
    key_file: Path


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context that serves with these files.

    Raises:
        CannotListen: a file cannot be read or is not PEM, the key is not the certificate's, or the certificate is
            not valid now. The message names the file.
    """
    for path in (files.cert_file, files.key_file):
        read(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.cert_file, files.key_file, password=_no_password)
    except ssl.SSLError as error:
        raise CannotListen(_what_is_wrong(files, error)) from None
    _shake_hands(files, context)
    return context


def read(path: object) -> bytes:
    """A file's bytes. Raises `CannotListen`, which names it."""
    try:
        with open(str(path), "rb") as file:
            return file.read()
    except OSError as error:
        raise CannotListen(f"TLS file {path}: {error.strerror}") from None


def _no_password() -> str:
    """OpenSSL would ask for it at the terminal and wait for ever."""
    raise CannotListen("the TLS key is encrypted; give a key without a passphrase")


def _what_is_wrong(files: TlsFiles, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"TLS file {files.key_file}: not the key of the certificate in {files.cert_file}"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(files.cert_file)
    except ssl.SSLError:
        return f"TLS file {files.cert_file}: no certificate in PEM format"
    if b"-----BEGIN" in read(files.key_file) and b"PRIVATE KEY-----" in read(files.key_file):
        return f"TLS file {files.key_file}: {error.reason or 'the key is damaged'}"
    return f"TLS file {files.key_file}: no private key in PEM format"


def _shake_hands(files: TlsFiles, context: ssl.SSLContext) -> None:
    """Connects to itself with nothing but the certificate trusted: what fails here would fail for every client."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(files.cert_file)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [trusting.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)]
    try:
        for step in range(_HANDSHAKE_STEPS):
            try:
                ends[step % 2].do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        raise CannotListen(f"TLS file {files.cert_file}: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise CannotListen(f"TLS file {files.cert_file}: {error.reason}") from None
