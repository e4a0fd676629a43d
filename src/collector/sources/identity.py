"""Who a budget belongs to: a credential and an endpoint group, never a source's name."""

import hashlib
import hmac
import re
from collections.abc import Mapping

from collector.host.secret import Secret
from collector.sources.spec import Spec


def identity(spec: Spec, secrets: Mapping[str, Secret], key: bytes) -> str:
    """The same text for sources that draw on the same limit: same secrets, method, origin and path template.

    Hashed under a key of the database's own, so that it says nothing of the secrets.
    """
    path = re.sub(r"\{secret\.[^}]*\}", "{secret}", spec.url.partition("?")[0])
    parts = [spec.method, path, *(secrets[name].reveal() for name in sorted(spec.secrets))]
    text = "\0".join(parts).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:32]
