"""Verifies a DSSE envelope with securesystemslib and with in-toto: verify_dsse.py ENVELOPE KEY_HEX."""

import copy
import hashlib
import json
import sys

from in_toto.exceptions import SignatureVerificationError
from in_toto.models.metadata import Envelope as InTotoEnvelope
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Key

with open(sys.argv[1], encoding="utf-8") as file:
    written = json.load(file)
description = {"keytype": "ed25519", "keyval": {"public": sys.argv[2]}, "scheme": "ed25519"}
keyid = hashlib.sha256(encode_canonical(description).encode()).hexdigest()

try:
    key = Key.from_dict(keyid, copy.deepcopy(description))
    Envelope.from_dict(copy.deepcopy(written)).verify([key], 1)
    print("securesystemslib accepts")
except VerificationError:
    print("securesystemslib refuses")

try:
    InTotoEnvelope.from_dict(copy.deepcopy(written)).verify_signature({"keyid": keyid, **description})
    print("in-toto accepts")
except SignatureVerificationError:
    print("in-toto refuses")
