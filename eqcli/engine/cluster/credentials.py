"""Certificates for one run, so that nobody else can talk to its workers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import InputError

if TYPE_CHECKING:
    from distributed.security import Security

DAYS = 365


def have_openssl() -> bool:
    """Whether certificates can be made here."""
    return shutil.which("openssl") is not None


def make_credentials(folder: Path) -> Security:
    """A key and a certificate that stands for itself in files that only their owner may read; all sides share them.

    Raises InputError where there is no `openssl` to make them with.
    """
    from distributed.security import Security

    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", str(DAYS), "-subj", "/CN=eqcli", "-keyout", str(key), "-out", str(certificate)]
    before = os.umask(0o077)
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        hint = "Install it, or write `security: none` where nobody else can reach the network of the nodes."
        raise InputError(
            "certificates for workers are made with `openssl`, which does not work here", hint=hint
        ) from error
    finally:
        os.umask(before)
    files = {f"tls_{role}_{kind}": str(path) for role in ("client", "scheduler", "worker")
             for kind, path in (("key", key), ("cert", certificate))}  # fmt: skip
    return Security(require_encryption=True, tls_ca_file=str(certificate), **files)
