#!/usr/bin/env python3
"""Opens phi1 tokens as SECURITY.md specifies them, sharing nothing with AUREN's own code.

    open.py FILE        the vectors that `auren phi vectors` prints; exits with 1 where one is not as it says

Wants the package `cryptography` (AES-GCM is not in the standard library).
"""

import base64
import hashlib
import hmac
import json
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class DoesNotOpen(Exception):
    pass


def length_prefixed(*parts):
    return b"".join(struct.pack(">I", len(part.encode())) + part.encode() for part in parts)


def hkdf(key, salt, info, length):
    """RFC 5869 with SHA-256."""
    extracted = hmac.digest(salt, key, hashlib.sha256)
    block, out, count = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(extracted, block + info + bytes([count]), hashlib.sha256)
        out, count = out + block, count + 1
    return out[:length]


def text(field):
    return field[1 : 1 + field[0]].decode()


def open_token(token, data_key, key_id, bound):
    if not token.startswith("phi1."):
        raise DoesNotOpen("no phi1 token")
    body = token.removeprefix("phi1.")
    message = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    if len(message) != 151:
        raise DoesNotOpen("another length")
    suite, named, salt = message[0], message[1:13], message[13:29]
    commitment, sealed = message[29:61], message[61:]
    if suite != 1:
        raise DoesNotOpen("another suite")
    if named != key_id:
        raise DoesNotOpen("another key")
    keys = hkdf(data_key, salt, b"auren phi1 message" + message[:13], 76)
    if not hmac.compare_digest(keys[44:], commitment):
        raise DoesNotOpen("another commitment")
    try:
        plain = AESGCM(keys[:32]).decrypt(keys[32:44], sealed, length_prefixed(*bound))
    except InvalidTag:
        raise DoesNotOpen("another tag") from None
    return {"value": struct.unpack(">d", plain[:8])[0], "measure": text(plain[8:41]), "unit": text(plain[41:])}


def main(file):
    with open(file, encoding="utf-8") as input:
        vectors = json.load(input)
    wrong = 0
    for vector in vectors:
        bound = [vector[name] for name in ("tenant", "user_id", "event_id", "event_type", "field", "schema_version")]
        key, key_id = bytes.fromhex(vector["data_key"]), bytes.fromhex(vector["key_id"])
        try:
            opened = open_token(vector["token"], key, key_id, bound)
        except DoesNotOpen:
            opened = None
        if opened != vector["opens"]:
            wrong += 1
            print(f"{vector['name']}: not as the vector says", file=sys.stderr)
    print(f"{len(vectors) - wrong} of {len(vectors)} vectors are as they say")
    return 1 if wrong or not vectors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
