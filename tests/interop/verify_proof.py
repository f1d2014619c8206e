#!/usr/bin/env python3
"""Verifies a proof of delivery, by the text of docs/wire.md alone and with other libraries than creel's.

Numbers in comments are the steps of section 12; sections 1 to 7 are in wire.py.
"""

import argparse
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # before the module beside this one

from wire import (  # noqa: E402
    BYTES, ENROL, Invalid, Statement, array, decode, demand, document_opened, hashed, is_well_formed, optional, required, rfc3339,
    table, text,
)

GENESIS, ROSTER, EDIT = "creel/genesis/1", "creel/roster/1", "creel/edit/1"
SIGNATURE = table({1: required(BYTES), 2: optional(BYTES), 3: optional(BYTES)}, grows=True)
PROOF = table(
    {
        1: required(text),
        2: required(BYTES),
        3: required(BYTES),
        4: optional(BYTES),
        5: required(BYTES),
        6: required(BYTES),
        7: optional(BYTES),
        8: optional(SIGNATURE),
        9: optional(array(BYTES)),
    },
    grows=True,
)
# What --mutate flips in each byte. 03 turns key 9 of a proof into one that is passed over, 02 key 8.
FLIPS = (0x01, 0x02, 0x03, 0x80)


class Entry:
    """A verified roster entry."""

    def __init__(self, statement, issuer, organisation):
        self.id = statement.verify(issuer, organisation)  # 4
        self.height = statement.payload[2]
        self.kind, self.body = statement.payload[5]

    def enrols(self, device):
        return self.kind == ENROL and self.body[1] == device


class Edit:
    """A verified edit."""

    def __init__(self, statement, organisation):
        self.payload = statement.payload
        self.id = statement.verify(self.payload[2], organisation)  # 6
        self.document, self.author, self.by = self.payload[1], self.payload[2], self.payload.get(3, "")
        self.after, self.roster, self.at = self.payload.get(4, []), self.payload[5], self.payload[7]
        self.kind, self.version, self.body = self.payload[8]


def check_record(what, record, enrolment, named, opened):
    """Steps 5 and 7 to 10, as far as they are about a record."""
    demand(enrolment.kind == ENROL, f"{what}: the enrolment is another kind of entry")  # 5
    demand(enrolment.enrols(record.author), f"{what}: the enrolment is that of another device")  # 7
    demand(named.id == record.roster, f"{what}: it names another roster entry")  # 8
    demand(named.height >= enrolment.height, f"{what}: it names an entry before the enrolment")
    demand(opened.document == record.document, f"{what}: it is about another document")  # 9
    demand((record.kind, record.version) == (3, 1), f"{what}: it is no record")  # 10
    demand(is_well_formed(3, 1, record.body), f"{what}: its body breaks the table")


def verify(data):
    # 1
    proof = decode(data, "the file")
    PROOF(proof)
    demand(proof[1] == "creel/proof/1", "another format")
    # 2
    genesis = Statement(proof[2], GENESIS)
    enrolment = Statement(proof[3], ROSTER)
    named, opener = (Statement(proof[key], ROSTER) if key in proof else None for key in (4, 7))
    opened, record = Statement(proof[5], EDIT), Statement(proof[6], EDIT)
    signed = proof.get(8)
    signature = Statement(signed[1], EDIT) if signed else None
    signature_enrolment, signature_named = (Statement(signed[key], ROSTER) if signed and key in signed else None for key in (2, 3))
    between = [Statement(edit, EDIT) for edit in proof.get(9, [])]
    # 3
    root, issuer = genesis.payload[2], genesis.payload[3]
    organisation = genesis.verify(root, b"")
    # 4
    enrolment = Entry(enrolment, issuer, organisation)

    def entry(statement, otherwise, what):
        if statement is None:
            return otherwise
        found = Entry(statement, issuer, organisation)
        demand(found.id != otherwise.id, f"{what} repeats an entry")
        return found

    named = entry(named, enrolment, "named")
    opener = entry(opener, enrolment, "opener")
    signature_enrolment = entry(signature_enrolment, enrolment, "the signature's enrolment")
    signature_named = entry(signature_named, signature_enrolment, "the signature's named")
    # 6
    opened, record = Edit(opened, organisation), Edit(record, organisation)
    signature = Edit(signature, organisation) if signature else None
    between = [Edit(edit, organisation) for edit in between]
    # 5, 7 to 10
    check_record("the record", record, enrolment, named, opened)
    demand(opener.enrols(opened.author), "the opener's entry is not the enrolment of the Open's author")
    demand(opener.body[2] in ("admin", "dispatcher"), "the opener may not open shipments")
    demand(document_opened(opened.payload) == opened.document, "the document's id does not follow from its Open")
    demand((opened.kind, opened.version) == (1, 1) and is_well_formed(1, 1, opened.body), "the Open is none, or breaks its table")
    demand(not opened.after and opened.body[1] == "shipment", "the Open does not open a shipment")
    number = opened.body[3].get(1, "")
    demand(number != "", "the Open gives no number")
    shown = {
        "valid": True,
        "organisation": genesis.payload[1],
        "organisation-id": organisation.hex(),
        # 13: for a person to compare.
        "root-fingerprint": hashed(root).hex(),
        "author": enrolment.body[4],
        "device": enrolment.body[1].hex(),
        "by": record.by,
        "at": rfc3339(record.at),
        "number": number,
        "step": record.body[1],
        "receiver": record.body.get(3, ""),
        "edit": record.id.hex(),
    }
    # 11, 12
    if not signature:
        demand(not between, "edits lead to a signature that is not there")
        return shown
    check_record("the signature", signature, signature_enrolment, signature_named, opened)
    demand(3 in signature.body and signature.id != record.id, "what stands beside the record is no other signature")
    last = record
    for edit in between:
        demand(edit.document == record.document, "an edit between is about another document")
        demand(edit.id in last.after, "an edit between is not the next one back")
        last = edit
    known = signature.id in last.after
    demand(known or not between, "the edits between do not lead to the signature")
    return shown | {
        "signature-author": signature_enrolment.body[4],
        "signature-at": rfc3339(signature.at),
        "signature-step": signature.body[1],
        "signature-receiver": signature.body.get(3, ""),
        "signature-edit": signature.id.hex(),
        "signature-known": known,
    }


def attempt(data):
    try:
        return verify(data)
    except Invalid as why:
        return {"valid": False, "why": str(why)}


def vectors_in(path):
    """The vectors of a document whose names begin with `proof`: name -> values by key."""
    vectors, values, key = {}, None, None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("```vector name=proof"):
            values = vectors[line.removeprefix("```vector name=")] = {}
        elif line == "```":
            values = None
        elif values is not None and line.startswith("  "):
            values[key] += line[2:]
        elif values is not None:
            key, _, value = line.partition(":")
            values[key] = value.strip()
    if not vectors:
        raise SystemExit(f"{path} has no vector whose name begins with proof")
    return vectors


def differing(found, expected):
    """The first key that is not as the document says."""
    for key in [*expected, *(key for key in found if key.startswith("signature"))]:
        value = found.get(key)
        value = str(value).lower() if type(value) is bool else value
        if value != expected.get(key):
            return {"valid": False, "why": f"{key} is {value}, and the document says {expected.get(key)}"}
    return found


def is_harmless(shown, changed):
    """Section 12: the same is shown of the record, and of the signature the same, that its relation is unproven, or nothing."""
    without = {key: value for key, value in shown.items() if not key.startswith("signature")}
    return changed in (shown, shown | {"signature-known": False}, without)


def mutate(data, shown):
    """Every proof with one byte changed that still verifies: those that show something else, and the harmless ones."""
    survivors, harmless = [], []
    for place in range(len(data)):
        for flip in FLIPS:
            changed = bytearray(data)
            changed[place] ^= flip
            found = attempt(bytes(changed))
            if found["valid"]:
                (harmless if is_harmless(shown, found) else survivors).append({"byte": place, "xor": flip})
    return {
        "valid": not survivors,
        "bytes": len(data),
        "tried": len(FLIPS) * len(data),
        "survivors": survivors,
        "harmless": harmless,
    }


def judge(data, expected, options):
    found = attempt(data)
    if found["valid"] and expected:
        found = differing(found, expected)
    return mutate(data, found) if options.mutate and found["valid"] else found


def main():
    parser = argparse.ArgumentParser(description="Verifies a creel proof of delivery by docs/wire.md.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a proof, as `creel proof REF -o FILE` writes it")
    source.add_argument("--vector", type=Path, metavar="WIRE.md", help="take the proofs from the vectors in this document")
    parser.add_argument("--mutate", action="store_true", help="change every byte in turn and report what still verifies")
    options = parser.parse_args()
    if options.file:
        report = judge(options.file.read_bytes(), {}, options)
        valid = report["valid"]
    else:
        vectors = vectors_in(options.vector)
        report = {name: judge(bytes.fromhex(values.pop("bytes")), values, options) for name, values in vectors.items()}
        valid = all(found["valid"] for found in report.values())
    print(json.dumps(report, ensure_ascii=False, indent=2))
    return 0 if valid else 1


if __name__ == "__main__":
    sys.exit(main())
