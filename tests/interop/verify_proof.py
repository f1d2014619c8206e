#!/usr/bin/env python3
"""Verifies a proof of delivery, by the text of docs/wire.md alone and with other libraries than creel's.

COSE is pycose's, CBOR cbor2's, Ed25519 OpenSSL's (through cryptography), BLAKE3 the reference implementation's. Numbers in comments
are sections and steps of docs/wire.md.
"""

import argparse
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cbor2
from blake3 import blake3
from pycose.headers import Algorithm
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import Sign1Message

L = 2**252 + 27742317777372353535851937790883648493
# Section 3: without the sign bit.
SMALL_ORDER = {
    bytes.fromhex(point)
    for point in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
}
LEVELS_MAX = 16


class Invalid(Exception):
    """Why a proof does not hold."""


def demand(holds, why):
    if not holds:
        raise Invalid(why)


# Section 1: CBOR.


def head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for extra, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << (8 * width):
            return bytes([major << 5 | extra]) + value.to_bytes(width, "big")
    raise Invalid("an integer is larger than 64 bits")


def encode(value):
    """The one encoding of a value; refuses kinds that have none."""
    if value is True or value is False:
        return b"\xf5" if value else b"\xf4"
    if type(value) is int:
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if type(value) is bytes:
        return head(2, len(value)) + value
    if type(value) is str:
        text = value.encode()
        return head(3, len(text)) + text
    if type(value) is list:
        return head(4, len(value)) + b"".join(map(encode, value))
    if type(value) is dict:
        for key in value:
            demand(type(key) is str or (type(key) is int and key >= 0), "a map key is neither an unsigned integer nor a text")
        pairs = sorted((encode(key), encode(item)) for key, item in value.items())
        return head(5, len(value)) + b"".join(key + item for key, item in pairs)
    raise Invalid(f"{type(value).__name__} is a kind of CBOR that is not allowed")


def decode(data, what):
    try:
        value = cbor2.loads(data)
    except Exception as error:  # cbor2 raises many kinds; each means that this is not CBOR.
        raise Invalid(f"{what} is not CBOR: {error}") from error
    demand(encode(value) == data, f"{what} is not in its one encoding")
    return value


def levels(value):
    if type(value) is list:
        return 1 + max(map(levels, value), default=0)
    if type(value) is dict:
        return 1 + max(map(levels, value.values()), default=0)
    return 1


# Tables: key -> (type, required). A type is a function that demands.


def integer(low, high):
    return lambda value: demand(type(value) is int and low <= value <= high, "an integer is missing or out of range")


def byte_string(length=None):
    return lambda value: demand(type(value) is bytes and length in (None, len(value)), "bytes are missing or of the wrong length")


def text(value):
    demand(type(value) is str, "a text is missing")


def boolean(value):
    demand(type(value) is bool, "a truth value is missing")


def array(item):
    def check(value):
        # An array that would be empty is left out.
        demand(type(value) is list and value, "an array is missing or empty")
        for each in value:
            item(each)

    return check


def pair(first, second):
    def check(value):
        demand(type(value) is list and len(value) == 2, "a pair is missing")
        first(value[0])
        second(value[1])

    return check


def table(**fields):
    """fields: k1=(type, required), ..."""
    known = {int(name[1:]): field for name, field in fields.items()}

    def check(value):
        demand(type(value) is dict, "a map is missing")
        demand(all(type(key) is int and key in known for key in value), "an unknown key")
        for key, (kind, required) in known.items():
            if key in value:
                kind(value[key])
            else:
                demand(not required, "a required key is missing")

    return check


def parties(value):
    demand(type(value) is dict and value, "parties are missing")
    for kind, party in value.items():
        text(kind)
        text(party)


def window(value):
    pair(INT, INT)(value)
    demand(value[0] <= value[1], "a window ends before it begins")


def role(value):
    demand(value in ("admin", "dispatcher", "picker", "driver", "shop", "viewer"), "an unknown role")


def anything(value):
    demand(levels(value) <= LEVELS_MAX, "nested too deeply")


UINT, INT = integer(0, 2**64 - 1), integer(-(2**63), 2**63 - 1)
KEY = byte_string(32)
PLACE = pair(integer(-900_000_000, 900_000_000), integer(-1_800_000_000, 1_800_000_000))

LINE = table(k1=(text, True), k2=(text, False), k3=(text, False), k4=(INT, False), k5=(text, False), k6=(text, False), k7=(text, False))
PLAN_FIELDS = table(
    k1=(text, False), k2=(text, False), k3=(text, False), k4=(PLACE, False), k5=(window, False), k6=(text, False), k7=(text, False),
    k8=(integer(0, 2**32 - 1), False), k9=(parties, False), k10=(INT, False), k11=(text, False), k12=(text, False), k13=(array(LINE), False),
)
OPEN = table(k1=(text, True), k2=(KEY, True), k3=(PLAN_FIELDS, True), k4=(boolean, False))
LINE_COUNT = table(k1=(text, True), k2=(INT, False), k3=(INT, False), k4=(INT, False), k5=(INT, False))
RECORD = table(
    k1=(text, True), k2=(text, False), k3=(text, False), k4=(text, False), k5=(text, False), k6=(byte_string(), False),
    k7=(array(KEY), False), k8=(text, False), k9=(text, False), k10=(PLACE, False), k11=(INT, False), k12=(text, False),
    k13=(array(LINE_COUNT), False),
)
CUTS = table(k1=(UINT, True), k2=(KEY, True))
CHANGES = {
    1: table(k1=(KEY, True), k2=(role, True), k3=(text, False), k4=(text, True)),
    2: table(k1=(text, True)),
    3: table(k1=(KEY, True), k2=(CUTS, True)),
    4: table(k1=(KEY, True), k2=(role, True), k3=(text, False), k4=(CUTS, True)),
    5: table(k1=(array(KEY), False)),
}


def change(value):
    demand(type(value) is list and len(value) == 2, "a change is missing")
    UINT(value[0])
    anything(value[1])
    CHANGES.get(value[0], anything)(value[1])


def action(value):
    demand(type(value) is list and len(value) == 3, "an action is missing")
    UINT(value[0])
    UINT(value[1])
    demand(type(value[2]) is dict, "an action's body is not a map")
    anything(value[2])


GENESIS = table(k1=(text, True), k2=(KEY, True), k3=(KEY, True), k4=(KEY, True), k5=(UINT, True))
ENTRY = table(k1=(UINT, True), k2=(UINT, True), k3=(KEY, True), k4=(UINT, True), k5=(change, True))
EDIT = table(
    k1=(byte_string(16), True), k2=(KEY, True), k3=(text, False), k4=(array(KEY), False), k5=(KEY, True), k6=(byte_string(16), True),
    k7=(integer(0, 2**48 - 1), True), k8=(action, True),
)
PROOF = table(
    k1=(text, True), k2=(byte_string(), True), k3=(byte_string(), True), k4=(byte_string(), False), k5=(byte_string(), True),
    k6=(byte_string(), True), k7=(byte_string(), False),
)


# Section 3: signed statements.


class Statement:
    """A COSE_Sign1 in the one form; not verified yet."""

    def __init__(self, data, purpose, form):
        self.data, self.purpose = data, purpose
        try:
            self.message = Sign1Message.decode(data)
        except Exception as error:  # pycose raises many kinds; each means that this is not a COSE_Sign1.
            raise Invalid(f"{purpose}: not a COSE_Sign1: {error}") from error
        self.protected = encode({1: -8, 16: "application/" + purpose.replace("/", "-")})
        payload, signature = self.message.payload, self.message.signature
        demand(type(payload) is bytes and type(signature) is bytes and len(signature) == 64, f"{purpose}: wrong parts")
        one_form = b"\xd2\x84" + encode(self.protected) + encode({}) + encode(payload) + encode(signature)
        demand(one_form == data, f"{purpose}: not in the one form of COSE_Sign1")
        self.payload = decode(payload, purpose)
        form(self.payload)

    def verify(self, key, organisation):
        """Verifies the signature, strictly, and tells the statement's id."""
        signature = self.message.signature
        for point in (key, signature[:32]):
            demand(point[:31] + bytes([point[31] & 0x7F]) not in SMALL_ORDER, f"{self.purpose}: a point of small order")
        demand(int.from_bytes(signature[32:], "little") < L, f"{self.purpose}: S is not below L")
        aad = self.purpose.encode() + organisation
        self.message.external_aad = aad
        try:
            self.message.key = OKPKey(crv=Ed25519, x=key)
            demand(self.message.get_attr(Algorithm).fullname == "EDDSA", f"{self.purpose}: another algorithm")
            verified = self.message.verify_signature()
        except Invalid:
            raise
        except Exception as error:
            raise Invalid(f"{self.purpose}: the signature could not be checked: {error}") from error
        demand(verified, f"{self.purpose}: the signature does not verify")
        return blake3(encode(["Signature1", self.protected, aad, self.message.payload])).digest()


def read_edit(data):
    demand(len(data) <= 16 * 1024, "an edit of more than 16 KiB")
    edit = Statement(data, "creel/edit/1", EDIT)
    by, after = edit.payload.get(3), edit.payload.get(4, [])
    demand(by is None or 1 <= len(by.encode()) <= 128, "by has not 1 to 128 bytes")
    demand(len(after) <= 64 and after == sorted(set(after)), "after is not sorted, unique and of at most 64")
    return edit


def document_opened(payload):
    """Section 4: the document id that an Open makes."""
    statement = encode({key: value for key, value in payload.items() if key != 1})
    drawn = blake3(statement, derive_key_context="creel/document/1").digest()[:10]
    document = bytearray(payload[7].to_bytes(6, "big") + drawn)
    document[6] = 0x70 | document[6] & 0x0F
    document[8] = 0x80 | document[8] & 0x3F
    return bytes(document)


def rfc3339(ms):
    try:
        time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=ms)
    except OverflowError:
        return str(ms)
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


def verify(data):
    """Section 12, step by step."""
    # 1
    proof = decode(data, "the file")
    PROOF(proof)
    demand(proof[1] == "creel/proof/1", "another format")
    # 2
    genesis = Statement(proof[2], "creel/genesis/1", GENESIS)
    enrolment = Statement(proof[3], "creel/roster/1", ENTRY)
    named = Statement(proof[4], "creel/roster/1", ENTRY) if 4 in proof else enrolment
    opened, record = read_edit(proof[5]), read_edit(proof[6])
    opener = Statement(proof[7], "creel/roster/1", ENTRY) if 7 in proof else enrolment
    # 3
    root, issuer = genesis.payload[2], genesis.payload[3]
    organisation = genesis.verify(root, b"")
    demand(1 <= len(genesis.payload[1].encode()) <= 128, "the organisation's name has not 1 to 128 bytes")
    # 4
    enrolled_id = enrolment.verify(issuer, organisation)
    named_id = named.verify(issuer, organisation)
    opener_id = opener.verify(issuer, organisation)
    demand(4 not in proof or named_id != enrolled_id, "named repeats the enrolment")
    demand(7 not in proof or opener_id != enrolled_id, "opener repeats the enrolment")
    # 5
    kind, enrol = enrolment.payload[5]
    demand(kind == 1, "the enrolment is another kind of entry")
    # 6
    opened.verify(opened.payload[2], organisation)
    edit = record.verify(record.payload[2], organisation)
    # 7
    demand(enrol[1] == record.payload[2], "the enrolment is that of another device")
    opener_kind, opener_enrol = opener.payload[5]
    demand(opener_kind == 1 and opener_enrol[1] == opened.payload[2], "the opener's entry is that of another device")
    demand(opener_enrol[2] in ("admin", "dispatcher"), "the opener may not open shipments")
    # 8
    demand(named_id == record.payload[5], "the record names another roster entry")
    demand(named.payload[2] >= enrolment.payload[2], "the record names an entry before the enrolment")
    # 9
    demand(opened.payload[1] == record.payload[1], "the record is about another document")
    demand(document_opened(opened.payload) == opened.payload[1], "the document's id does not follow from its Open")
    # 10
    open_kind, open_version, open_body = opened.payload[8]
    record_kind, record_version, record_body = record.payload[8]
    demand((open_kind, open_version, record_kind, record_version) == (1, 1, 3, 1), "an edit is of another kind")
    OPEN(open_body)
    demand(not opened.payload.get(4, []) and open_body[1] == "shipment", "the Open does not open a shipment")
    demand(open_body.get(3, {}).get(1, "") != "", "the Open gives no number")
    RECORD(record_body)
    return {
        "valid": True,
        "organisation": genesis.payload[1],
        "organisation-id": organisation.hex(),
        # 11: for a person to compare.
        "root-fingerprint": blake3(root).hexdigest(),
        "author": enrol[4],
        "device": enrol[1].hex(),
        "by": record.payload.get(3, ""),
        "at": rfc3339(record.payload[7]),
        "number": open_body[3].get(1, ""),
        "step": record_body[1],
        "receiver": record_body.get(3, ""),
        "edit": edit.hex(),
    }


def attempt(data):
    try:
        return verify(data)
    except Invalid as why:
        return {"valid": False, "why": str(why)}


def vector_in(path):
    """The vector `proof` of a document: its values by key."""
    values, key, inside = {}, None, False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line == "```vector name=proof":
            inside = True
        elif inside and line == "```":
            return values
        elif inside and line.startswith("  "):
            values[key] += line[2:]
        elif inside:
            key, _, value = line.partition(":")
            values[key] = value.strip()
    raise SystemExit(f"{path} has no vector named proof")


def mutate(data):
    """Every proof with one byte changed that still verifies."""
    survivors = []
    for place in range(len(data)):
        for flip in (0x01, 0x80):
            changed = bytearray(data)
            changed[place] ^= flip
            if attempt(bytes(changed))["valid"]:
                survivors.append({"byte": place, "xor": flip})
    return survivors


def main():
    parser = argparse.ArgumentParser(description="Verifies a creel proof of delivery by docs/wire.md.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a proof, as `creel proof REF -o FILE` writes it")
    source.add_argument("--vector", type=Path, metavar="WIRE.md", help="take the proof from the vector in this document")
    parser.add_argument("--mutate", action="store_true", help="change every byte in turn and report what still verifies")
    options = parser.parse_args()
    expected = vector_in(options.vector) if options.vector else {}
    data = bytes.fromhex(expected.pop("bytes")) if options.vector else options.file.read_bytes()
    found = attempt(data)
    for key, value in expected.items():
        if found["valid"] and found[key] != value:
            found = {"valid": False, "why": f"{key} is {found[key]}, and the document says {value}"}
    if options.mutate and found["valid"]:
        survivors = mutate(data)
        found = {"valid": not survivors, "bytes": len(data), "tried": 2 * len(data), "survivors": survivors}
    print(json.dumps(found, ensure_ascii=False, indent=2))
    return 0 if found["valid"] else 1


if __name__ == "__main__":
    sys.exit(main())
