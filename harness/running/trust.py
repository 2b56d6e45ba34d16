"""The certificates that this machine trusts, and images that trust them too."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from harness.engine import Engine
from harness.errors import UsageError
from harness.running import derive

CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep them; the first is Debian's, and so the stand-ins'."""


def certificates() -> str | None:
    """Return the file of the certificates that this machine trusts, None for none.

    By the scripts' rules: `LAYERPROOF_CA_BUNDLE` names it, and means none where it is empty.
    Raises UsageError for one that is named and cannot be read.
    """
    named = os.environ.get("LAYERPROOF_CA_BUNDLE")
    if named == "":
        return None
    if named is not None and not os.access(named, os.R_OK):
        raise UsageError(f"LAYERPROOF_CA_BUNDLE cannot be read: {named!r}")
    places = (named,) if named else (os.environ.get("SSL_CERT_FILE"), *CA_BUNDLES)
    return next((path for path in places if path and os.access(path, os.R_OK)), None)


def trusting(on: Engine, image: str, *, root: Path) -> str:
    """Return an image like a stand-in that trusts whom this machine trusts.

    A machine without a registry is behind a proxy, more often than not, and crates.io with it; a
    Dockerfile that knows nothing of that has to reach it nevertheless.
    """
    bundle = certificates()
    if bundle is None:
        return image
    content = Path(bundle).read_bytes()
    said = f"{on.client.images.get(image).id} ".encode() + content
    tag = f"layerproof/trusting:{hashlib.sha256(said).hexdigest()[:12]}"
    if on.has_image(tag):
        return tag
    folder = root / tag.rpartition("/")[2].replace(":", "-")
    folder.mkdir()
    (folder / "ca").write_bytes(content)
    return derive.derive(on, image, (f"COPY ca {CA_BUNDLES[0]}",), tag=tag, folder=folder)
