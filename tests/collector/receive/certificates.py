"""Certificates for tests, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

from collector.receive import TlsFiles


def make(folder: Path, *key_options: str) -> TlsFiles:
    """A certificate for localhost, signed by itself."""
    folder.mkdir(parents=True, exist_ok=True)
    files = TlsFiles(folder / "cert.pem", folder / "key.pem")
    key = key_options or ("-nodes",)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *key]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"]
    out = ["-keyout", str(files.key_file), "-out", str(files.cert_file)]
    subprocess.run([*command, *names, *out], check=True, capture_output=True)
    return files


def make_expired(folder: Path) -> TlsFiles:
    """One that was valid for a day in 2001."""
    files = make(folder)
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca = me\n[me]\ndir = {folder}\ndatabase = $dir/index.txt\nserial = $dir/serial\n"
        "new_certs_dir = $dir\ndefault_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
    )
    request = folder / "request.pem"
    ask = ["openssl", "req", "-new", "-key", str(files.key_file), "-subj", "/CN=localhost", "-out", str(request)]
    subprocess.run(ask, check=True, capture_output=True)
    sign = ["openssl", "ca", "-batch", "-selfsign", "-config", str(folder / "ca.cnf"), "-keyfile", str(files.key_file)]
    dates = ["-startdate", "20010101000000Z", "-enddate", "20010102000000Z"]
    subprocess.run(
        [*sign, *dates, "-notext", "-in", str(request), "-out", str(files.cert_file)], check=True, capture_output=True
    )
    return files
