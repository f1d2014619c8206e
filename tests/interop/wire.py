"""Sections 1 to 7 of docs/wire.md: CBOR, names, statements, edits, actions and the roster. Made from that text alone.

Numbers in comments are its sections. CBOR is cbor2's, BLAKE3 the reference implementation's; COSE and Ed25519, where signatures are
verified, pycose's and OpenSSL's (through cryptography).
"""

import re
from datetime import datetime, timedelta, timezone

import cbor2
from blake3 import blake3

EDIT_BYTES_MAX = 16 * 1024
ENTRY_BYTES_MAX = 64 * 1024
LEVELS_MAX = 16
ROLES = ("admin", "dispatcher", "picker", "driver", "shop", "viewer")
# status.md: the 25 characters with Unicode's property White_Space.
WHITE_SPACE = (
    "\u0009\u000a\u000b\u000c\u000d\u0020\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


class Invalid(Exception):
    """Why something does not hold."""


def demand(holds, why):
    if not holds:
        raise Invalid(why)


def hashed(data):
    """H."""
    return blake3(data).digest()


def derived(context, data):
    """K."""
    return blake3(data, derive_key_context=context).digest()


# 1. CBOR.


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
        demand(value >= -(2**63), "an integer is below -2^63")
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
    try:
        again = encode(value)
    except RecursionError as error:
        raise Invalid(f"{what} is nested without end") from error
    demand(again == data, f"{what} is not in its one encoding")
    return value


def levels(value):
    if type(value) is list:
        return 1 + max(map(levels, value), default=0)
    if type(value) is dict:
        return 1 + max(map(levels, value.values()), default=0)
    return 1


# Types: functions that demand. Tables: key -> (type, whether it is required).


def anything(value):
    """A value whose shape is not known."""
    try:
        deep = levels(value)
    except RecursionError:
        deep = LEVELS_MAX + 1
    demand(deep <= LEVELS_MAX, "nested too deeply")


def integer(low, high):
    return lambda value: demand(type(value) is int and low <= value <= high, "an integer is missing or out of range")


def byte_string(length=None):
    return lambda value: demand(type(value) is bytes and length in (None, len(value)), "bytes are missing or of the wrong length")


def text(value):
    demand(type(value) is str, "a text is missing")


def short_text(value):
    demand(type(value) is str and 1 <= len(value.encode()) <= 128, "a text has not 1 to 128 bytes")


def boolean(value):
    demand(type(value) is bool, "a truth value is missing")


def array(item):
    def check(value):
        # An array that would be empty is left out.
        demand(type(value) is list and value, "an array is missing or empty")
        for each in value:
            item(each)

    return check


def ascending(value):
    array(byte_string(32))(value)
    demand(all(a < b for a, b in zip(value, value[1:])), "ids do not ascend, each once")


def pair(first, second):
    def check(value):
        demand(type(value) is list and len(value) == 2, "a pair is missing")
        first(value[0])
        second(value[1])

    return check


def table(fields, grows=False):
    def check(value):
        demand(type(value) is dict, "a map is missing")
        for key, item in value.items():
            if key in fields:
                fields[key][0](item)
            else:
                demand(grows and type(key) is int and key < 128, "an unknown key")
                anything(item)
        demand(all(key in value for key, (_, required) in fields.items() if required), "a required key is missing")

    return check


def required(kind):
    return kind, True


def optional(kind):
    return kind, False


def window(value):
    pair(UINT, UINT)(value)
    demand(value[0] <= value[1], "a window ends before it begins")


def parties(value):
    demand(type(value) is dict and value, "parties are missing or empty")
    for kind, named in value.items():
        text(kind)
        text(named)


PARTY = re.compile(r"[a-z]+:[a-z0-9.\u00a0-\U0010ffff-]+")


def is_party(value):
    """5: the form of a party."""
    return bool(PARTY.fullmatch(value)) and value[-1] not in WHITE_SPACE and len(value.encode()) <= 128


UINT, INT, UINT32 = integer(0, 2**64 - 1), integer(-(2**63), 2**63 - 1), integer(0, 2**32 - 1)
BYTES, KEY, TAP, DOCUMENT = byte_string(), byte_string(32), byte_string(16), byte_string(24)
PLACE = pair(integer(-900_000_000, 900_000_000), integer(-1_800_000_000, 1_800_000_000))

# 5. Actions: key -> (name, (type, whether it is required)). The view takes its names from here.

LINE = {
    1: ("line", required(text)),
    2: ("sku", optional(text)),
    3: ("name", optional(text)),
    4: ("quantity", optional(INT)),
    5: ("unit", optional(text)),
    6: ("lot", optional(text)),
    7: ("expiry", optional(text)),
    8: ("withdrawn", optional(boolean)),
    9: ("weight", optional(UINT32)),
    10: ("volume", optional(UINT32)),
    11: ("price", optional(INT)),
    12: ("gtin", optional(text)),
    13: ("cleared", optional(array(text))),
}


def growing(named):
    return table({key: field for key, (_, field) in named.items()}, grows=True)


PLAN_FIELDS = {
    1: ("number", optional(text)),
    2: ("consignee", optional(text)),
    3: ("address", optional(text)),
    4: ("place", optional(PLACE)),
    5: ("window", optional(window)),
    6: ("driver", optional(text)),
    7: ("run", optional(text)),
    8: ("stop", optional(UINT32)),
    9: ("parties", optional(parties)),
    10: ("amount_due", optional(INT)),
    11: ("handling", optional(text)),
    12: ("note", optional(text)),
    13: ("lines", optional(array(growing(LINE)))),
    14: ("phone", optional(text)),
    15: ("reference", optional(text)),
    16: ("service", optional(UINT32)),
    17: ("region", optional(text)),
    18: ("group", optional(text)),
    19: ("cleared", optional(array(text))),
}
OPEN = {
    1: ("kind", required(text)),
    2: ("workflow", optional(KEY)),
    3: ("plan", required(growing(PLAN_FIELDS))),
    4: ("import", optional(boolean)),
}
PLAN = {1: ("fields", required(growing(PLAN_FIELDS))), 2: ("import", optional(boolean))}
LINE_COUNT = {
    1: ("line", required(text)),
    2: ("received", optional(INT)),
    3: ("short", optional(INT)),
    4: ("damaged", optional(INT)),
    5: ("returned", optional(INT)),
    6: ("lot", optional(text)),
}
RECORD = {
    1: ("step", required(text)),
    2: ("reason", optional(text)),
    3: ("receiver", optional(text)),
    4: ("signed_as", optional(text)),
    5: ("relation", optional(text)),
    6: ("signature", optional(BYTES)),
    7: ("photos", optional(array(KEY))),
    8: ("scan", optional(text)),
    9: ("pin", optional(text)),
    10: ("place", optional(PLACE)),
    11: ("collected", optional(INT)),
    12: ("note", optional(text)),
    13: ("lines", optional(array(growing(LINE_COUNT)))),
    14: ("further", optional(boolean)),
    15: ("payment", optional(text)),
    16: ("handed_to", optional(text)),
}
MEASURE = {
    1: ("quantity", required(text)),
    2: ("value", required(INT)),
    3: ("unit", required(text)),
    4: ("sensor", optional(text)),
}
SAY = {
    1: ("text", optional(text)),
    2: ("reply_to", optional(KEY)),
    3: ("files", optional(array(KEY))),
    4: ("file_kind", optional(text)),
}
RESOLVE = {1: ("settle", optional(array(KEY))), 2: ("uphold", optional(KEY)), 3: ("note", optional(text))}
RETRACT = {1: ("edit", required(KEY)), 2: ("note", optional(text))}

# (kind, version) -> name, table.
ACTIONS = {
    (1, 1): ("open", OPEN),
    (2, 1): ("plan", PLAN),
    (3, 1): ("record", RECORD),
    (4, 1): ("measure", MEASURE),
    (5, 1): ("say", SAY),
    (6, 1): ("resolve", RESOLVE),
    (7, 1): ("retract", RETRACT),
}
BODIES = {action: growing(named) for action, (_, named) in ACTIONS.items()}


def is_well_formed(kind, version, body):
    """Whether the body of a known action keeps to its table."""
    try:
        BODIES[kind, version](body)
    except Invalid:
        return False
    return True


# 6. The roster.

CUTS = table({1: required(UINT), 2: required(KEY)})
GENESIS = table({1: required(short_text), 2: required(KEY), 3: required(KEY), 4: required(KEY), 5: required(UINT)})
CHANGES = {
    1: table({1: required(KEY), 2: required(text), 3: optional(text), 4: required(short_text)}),
    2: table({1: required(text)}),
    3: table({1: required(KEY), 2: required(CUTS)}),
    4: table({1: required(KEY), 2: required(text), 3: optional(text), 4: required(CUTS)}),
    5: table({1: optional(array(KEY))}),
}
ENROL, PUBLISH, SET_ROLE = 1, 2, 4


def change(value):
    demand(type(value) is list and len(value) == 2, "a change is missing")
    kind, body = value
    UINT(kind)
    CHANGES.get(kind, anything)(body)
    if kind in (ENROL, SET_ROLE) and body[2] in ROLES:
        demand(3 not in body or is_party(body[3]), "a party is not of its form")
        demand(kind != ENROL or 3 in body or body[2] not in ("driver", "shop"), "a driver or shop without a party")


ENTRY = table(
    {1: required(integer(0, 0)), 2: required(integer(1, 2**64 - 1)), 3: required(KEY), 4: required(UINT), 5: required(change)}
)

# 4. Edits.


def action(value):
    demand(type(value) is list and len(value) == 3, "an action is missing")
    UINT(value[0])
    UINT(value[1])
    demand(type(value[2]) is dict, "an action's body is not a map")
    anything(value[2])


def after(value):
    ascending(value)
    demand(len(value) <= 64, "after names more than 64 edits")


EDIT = table(
    {
        1: required(DOCUMENT),
        2: required(KEY),
        3: optional(short_text),
        4: optional(after),
        5: required(KEY),
        6: required(TAP),
        7: required(integer(0, 2**48 - 1)),
        8: required(action),
    }
)


def document_opened(payload):
    """The document id that an Open makes."""
    statement = encode({key: value for key, value in payload.items() if key != 1})
    return payload[7].to_bytes(6, "big") + derived("creel/document/1", statement)[:18]


# 3. Signed statements.

L = 2**252 + 27742317777372353535851937790883648493
# Without the sign bit.
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
FORMS = {"creel/genesis/1": (GENESIS, None), "creel/roster/1": (ENTRY, ENTRY_BYTES_MAX), "creel/edit/1": (EDIT, EDIT_BYTES_MAX)}
PROTECTED = {purpose: encode({1: -8, 16: "application/" + purpose.replace("/", "-")}) for purpose in FORMS}


class Statement:
    """A COSE_Sign1 in the one form, with a payload that follows its table; not verified yet."""

    def __init__(self, data, purpose):
        self.data, self.purpose, self.protected = data, purpose, PROTECTED[purpose]
        form, size = FORMS[purpose]
        demand(size is None or len(data) <= size, f"{purpose}: more than {size} bytes")
        try:
            tagged = cbor2.loads(data)
        except Exception as error:
            raise Invalid(f"{purpose}: not CBOR: {error}") from error
        demand(type(tagged) is cbor2.CBORTag and tagged.tag == 18, f"{purpose}: not a COSE_Sign1")
        parts = tagged.value
        demand(type(parts) is list and len(parts) == 4, f"{purpose}: wrong parts")
        payload, signature = parts[2], parts[3]
        demand(type(payload) is bytes and type(signature) is bytes and len(signature) == 64, f"{purpose}: wrong parts")
        one_form = b"\xd2\x84" + encode(self.protected) + b"\xa0" + encode(payload) + encode(signature)
        demand(one_form == data, f"{purpose}: not in the one form of COSE_Sign1")
        self.bytes, self.signature = payload, signature
        self.payload = decode(payload, purpose)
        form(self.payload)

    def id(self, organisation):
        aad = self.purpose.encode() + organisation
        return hashed(encode(["Signature1", self.protected, aad, self.bytes]))

    def verify(self, key, organisation):
        """Verifies the signature, strictly, and tells the statement's id."""
        from pycose.headers import Algorithm
        from pycose.keys import OKPKey
        from pycose.keys.curves import Ed25519
        from pycose.messages import Sign1Message

        for point in (key, self.signature[:32]):
            demand(point[:31] + bytes([point[31] & 0x7F]) not in SMALL_ORDER, f"{self.purpose}: a point of small order")
        demand(int.from_bytes(self.signature[32:], "little") < L, f"{self.purpose}: S is not below L")
        try:
            message = Sign1Message.decode(self.data)
            message.external_aad = self.purpose.encode() + organisation
            message.key = OKPKey(crv=Ed25519, x=key)
            demand(message.get_attr(Algorithm).fullname == "EDDSA", f"{self.purpose}: another algorithm")
            verified = message.verify_signature()
        except Invalid:
            raise
        except Exception as error:  # pycose raises many kinds; each means that this does not verify.
            raise Invalid(f"{self.purpose}: the signature could not be checked: {error}") from error
        demand(verified, f"{self.purpose}: the signature does not verify")
        return self.id(organisation)


def rfc3339(ms):
    """A time as status.md, section 10 writes it."""
    try:
        time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=ms)
    except OverflowError:
        return str(ms)
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"
