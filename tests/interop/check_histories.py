#!/usr/bin/env python3
"""Judges histories and compares with the views they come with, by the text of docs/status.md, workflow.md and wire.md alone.

    check_histories.py docs/vectors/histories.jsonl
    histories --seed 1 --count 1000 | check_histories.py -

Numbers in comments are sections of docs/status.md. Sections 1 to 7 of docs/wire.md are in wire.py, and docs/workflow.md is in
workflow.py.
"""

import argparse
import json
import re
import sys
from bisect import bisect_right
from collections import defaultdict
from datetime import date
from itertools import combinations

import unicodedata2

sys.dont_write_bytecode = True  # before the modules beside this one

from wire import (  # noqa: E402
    ACTIONS, ENROL, LINE, LINE_COUNT, PLAN_FIELDS, PUBLISH, ROLES, WHITE_SPACE, Invalid, Statement, derived, document_opened, encode,
    hashed, is_party, is_well_formed, rfc3339,
)
from workflow import read_workflow, workflow_id  # noqa: E402

OPEN, PLAN, RECORD, MEASURE, SAY, RESOLVE, RETRACT = range(1, 8)
EDITS_OF_AUTHOR_MAX, EDITS_OF_ONE_BY_MAX = 2000, 500
VOID_SHOWN, EXCEPTIONS_SHOWN = 16, 16
CANDIDATES_SHOWN, CANDIDATES_OF_ONE = 16, 2
CLOCK_APART = 300_000


def bits(mask):
    """The places of the bits in a set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def size(mask):
    return bin(mask).count("1")


def place_in_roles(role):
    return ROLES.index(role) if role in ROLES else len(ROLES)


# The roster and the edits.


class Member:
    def __init__(self, height, role, name):
        self.enrolment, self.role, self.name = height, role, name


class Roster:
    def __init__(self, entries, verify):
        genesis = Statement(entries[0], "creel/genesis/1")
        self.organisation = genesis.verify(genesis.payload[2], b"") if verify else genesis.id(b"")
        self.hub = genesis.payload[4]
        self.heights = {self.organisation: 0}
        self.newest = self.organisation
        self.members = {}
        self.published = {}  # workflow id -> height, workflow
        issuer = genesis.payload[3]
        for height, data in enumerate(entries[1:], start=1):
            try:
                entry = Statement(data, "creel/roster/1")
                id = entry.verify(issuer, self.organisation) if verify else entry.id(self.organisation)
            except Invalid:
                break  # The roster can't go on past it.
            if (entry.payload[2], entry.payload[3]) != (height, self.newest):
                break
            self.newest, self.heights[id] = id, height
            kind, body = entry.payload[5]
            if kind == ENROL:
                self.members.setdefault(body[1], Member(height, body[2], body[4]))
            elif kind == PUBLISH:
                workflow = read_workflow(body[1])
                if workflow:
                    self.published.setdefault(workflow_id(body[1]), (height, workflow))

    def workflow(self, id, height):
        """The workflow of this id, if it was published no later than at this height."""
        at, workflow = self.published.get(id, (None, None))
        return workflow if workflow and at <= height else None


class Edit:
    def __init__(self, statement, id, roster):
        payload = statement.payload
        self.id = id
        self.document, self.author, self.by, self.after = payload[1], payload[2], payload.get(3), payload.get(4, [])
        self.named, self.tap, self.at = payload[5], payload[6], payload[7]
        self.kind, self.version, self.body = payload[8]
        self.action = encode(payload[8])
        self.payload = payload
        self.height = roster.heights.get(self.named)
        self.member = roster.members.get(self.author)
        self.is_known = (self.kind, self.version) in ACTIONS
        self.is_readable = self.is_known and is_well_formed(self.kind, self.version, self.body)
        # Of a judged edit:
        self.depth = self.place = self.bit = None
        self.knows = 0  # the bits of the edits it knows
        self.why = None
        self.step = None  # of a Record that counts: its step of the workflow

    @property
    def counts(self):
        return self.why is None

    @property
    def role(self):
        return self.member.role

    @property
    def role_shown(self):
        return self.role if self.role in ROLES else "unknown"

    def order(self):
        """How two edits stand to each other by role, then enrolment, then id."""
        return place_in_roles(self.role), self.member.enrolment, self.id

    def is_action(self, kind):
        return self.is_readable and self.kind == kind


def admitted(edits, roster, document, verify):
    """wire.md, section 7: the admitted edits of a document, in canonical order."""
    found = {}
    for data in edits:
        try:
            statement = Statement(data, "creel/edit/1")
            author = statement.payload[2]
            id = statement.verify(author, roster.organisation) if verify else statement.id(roster.organisation)
        except Invalid:
            continue
        edit = Edit(statement, id, roster)
        if edit.height is None or edit.member is None or edit.member.enrolment > edit.height:
            continue
        found.setdefault(id, edit)
    waiting = {id: set(edit.after) for id, edit in found.items()}
    named_by = defaultdict(list)
    for id, edit in found.items():
        for before in edit.after:
            named_by[before].append(id)
    ready = [id for id, missing in waiting.items() if not missing]
    for id in ready:
        found[id].depth = 0
    while ready:
        id = ready.pop()
        for later in named_by[id]:
            if found[later].document != found[id].document:
                continue
            waiting[later].discard(id)
            if not waiting[later]:
                found[later].depth = 1 + max(found[before].depth for before in found[later].after)
                ready.append(later)
    ordered = [edit for edit in found.values() if edit.depth is not None and edit.document == document]
    ordered.sort(key=lambda edit: (edit.depth, edit.id))
    places = {}
    for place, edit in enumerate(ordered):
        places[edit.id] = place
        edit.place, edit.bit = place, 1 << place
        for before in edit.after:
            other = ordered[places[before]]
            edit.knows |= other.knows | other.bit
    return ordered


# 3. Fields.


CONTROL = re.compile("[\u0000-\u001f\u007f-\u009f]")


def is_text(value, most=200, allowed="", may_be_empty=False):
    if value == "":
        return may_be_empty
    return (
        len(value) <= most
        and value[0] not in WHITE_SPACE
        and value[-1] not in WHITE_SPACE
        and all(character in allowed for character in CONTROL.findall(value))
    )


def is_note(value, may_be_empty=False):
    return is_text(value, most=4000, allowed="\n\t", may_be_empty=may_be_empty)


def is_date(value):
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_once(values):
    return len(values) == len(set(values))


def all_texts(body, keys, test):
    return all(test(body[key]) for key in keys if key in body)


def or_empty(value):
    return is_text(value, may_be_empty=True)


def or_empty_note(value):
    return is_note(value, may_be_empty=True)


CLEARABLE = ("place", "window", "stop", "amount_due", "service")
LINE_CLEARABLE = ("quantity", "weight", "volume", "price")


def is_cleared(body, key, table, names):
    """Whether the names in `cleared` may stand there."""
    keys = {name: number for number, (name, _) in table.items()}
    cleared = body.get(key, [])
    return is_once(cleared) and not any(name in names and keys[name] in body for name in cleared)


def is_line(line):
    return (
        is_text(line[1], most=64)
        and "/" not in line[1]
        and all_texts(line, (2, 3, 5, 6, 12), or_empty)
        and line.get(4, 0) >= 0
        and (line.get(7, "") == "" or is_date(line[7]))
        and is_cleared(line, 13, LINE, LINE_CLEARABLE)
    )


def is_plan(plan):
    parties = plan.get(9, {})
    lines = plan.get(13, [])
    return (
        all_texts(plan, (1,), lambda number: is_text(number, most=64))
        and all_texts(plan, (2, 7, 14, 15, 17, 18), or_empty)
        and all_texts(plan, (3, 11, 12), or_empty_note)
        and plan.get(8) != 0
        and all(re.fullmatch("[a-z]+", kind) for kind in parties)
        and all(party == "" or is_party(party) for party in (plan.get(6, ""), *parties.values()))
        and all(map(is_line, lines))
        and is_once([line[1] for line in lines])
        and is_cleared(plan, 19, PLAN_FIELDS, CLEARABLE)
    )


def is_line_count(count):
    return is_text(count[1], most=64) and all(count.get(key, 0) >= 0 for key in (2, 3, 4, 5)) and all_texts(count, (6,), is_text)


def is_record(body):
    lines, photos = body.get(13, []), body.get(7, [])
    return (
        all_texts(body, (2, 3, 5, 9, 15), is_text)
        and body.get(4, "proxy") in ("recipient", "proxy")
        and len(body.get(6, b"")) <= 12_288
        and is_once(photos)
        and len(photos) <= 20
        and all_texts(body, (8,), lambda scan: is_text(scan, allowed="\u001d"))
        and all_texts(body, (12,), is_note)
        and all(map(is_line_count, lines))
        and is_once([(line[1], line.get(6)) for line in lines])
        and all_texts(body, (16,), is_party)
    )


def is_say(body):
    files = body.get(3, [])
    return (
        all_texts(body, (1,), is_note)
        and is_once(files)
        and len(files) <= 20
        and all_texts(body, (4,), is_text)
        and (1 in body or bool(files))
    )


FIELDS = {
    OPEN: lambda body: 1 in body[3] and is_plan(body[3]),
    PLAN: lambda body: bool(body[1]) and is_plan(body[1]),
    RECORD: is_record,
    MEASURE: lambda body: all_texts(body, (1, 3, 4), is_text),
    SAY: is_say,
    RESOLVE: lambda body: bool(body.get(1)) and is_once(body[1]) and all_texts(body, (3,), is_note),
    RETRACT: lambda body: all_texts(body, (2,), is_note),
}


def is_by(by):
    return by is None or is_text(by, most=len(by))


# 4. The plan.

TEXT_FIELDS = (1, 2, 3, 6, 7, 11, 12, 14, 15, 17, 18)
NUMBER_FIELDS = (8, 10, 16)


def decimal_degrees(value):
    whole, rest = divmod(abs(value), 10**7)
    return f"{'-' if value < 0 else ''}{whole}.{rest:07}"


def writes(plan):
    """The registers that a PlanFields writes, with their values."""
    for key, value in plan.items():
        if key in TEXT_FIELDS or key in NUMBER_FIELDS:
            yield PLAN_FIELDS[key][0], value
        elif key == 4:
            yield "place", ",".join(map(decimal_degrees, value))
        elif key == 5:
            yield "window", "/".join(map(rfc3339, value))
        elif key == 9:
            for kind, party in value.items():
                yield f"parties/{kind}", party
        elif key == 19:
            for name in value:
                if name in CLEARABLE:
                    yield name, ""
        elif key == 13:
            for line in value:
                for line_key, line_value in line.items():
                    if line_key == 13:
                        for name in filter(LINE_CLEARABLE.__contains__, line_value):
                            yield f"lines/{line[1]}/{name}", ""
                    elif line_key in LINE:
                        yield f"lines/{line[1]}/{LINE[line_key][0]}", line_value


def line_order(name):
    if re.fullmatch(r"\+?[0-9]+", name) and int(name) < 2**64 - 1:
        return 0, int(name), name.encode()
    return 1, 0, name.encode()


# 5. Receivers.

# Case folding that came with Unicode 15 and 16; str.casefold is that of Unicode 14 or later.
FOLDED_LATER = {
    "\u1c89": "\u1c8a",
    "\ua7cb": "\u0264",
    "\ua7cc": "\ua7cd",
    "\ua7da": "\ua7db",
    "\ua7dc": "\u019b",
} | {chr(capital): chr(capital + 0x20) for capital in range(0x10D50, 0x10D66)}
DEFAULT_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
assert unicodedata2.unidata_version == "16.0.0"
mapped = {}


def folded(character):
    # What Unicode 16 does not assign maps to itself, whatever a later Python knows of it.
    return character if unicodedata2.category(character) == "Cn" else FOLDED_LATER.get(character) or character.casefold()


def nfkc_casefold(character):
    """The property NFKC_Casefold of one character (DerivedNormalizationProps.txt tells how it is made)."""
    if character not in mapped:
        before, text = None, character
        while text != before:
            before = text
            text = unicodedata2.normalize("NFKC", text)
            text = "".join(map(folded, text))
            text = DEFAULT_IGNORABLE.sub("", text)
        mapped[character] = unicodedata2.normalize("NFC", text)
    return mapped[character]


def form(receiver):
    """The form of a receiver's name."""
    text = unicodedata2.normalize("NFC", "".join(map(nfkc_casefold, receiver)))
    return re.sub(f"[{WHITE_SPACE}]+", " ", text).strip(" ")


# The judge.


class Judge:
    def __init__(self, edits, roster):
        self.edits, self.roster = edits, roster
        self.by_id = {edit.id: edit for edit in edits}
        self.count()
        self.settle()
        self.supersede()

    # 1. Which edits count.

    def count(self):
        self.counted = 0
        self.of_kind = defaultdict(int)  # kind -> those that count
        self.of_author, self.of_person, self.repeats = defaultdict(int), defaultdict(int), defaultdict(int)
        self.retracts_of = defaultdict(int)  # edit id -> the Retracts that count and take it back
        self.opened = self.workflow = None
        for edit in self.edits:
            edit.why = self.why_not(edit)
            if not edit.counts:
                continue
            self.counted |= edit.bit
            self.of_kind[edit.kind] |= edit.bit
            self.of_author[edit.author] |= edit.bit
            self.of_person[edit.author, edit.by] |= edit.bit
            self.repeats[edit.author, edit.tap, edit.action] |= edit.bit
            if edit.kind == OPEN and not self.opened:
                self.opened = edit
                self.workflow = self.roster.workflow(edit.body[2], edit.height)
            if edit.kind == RECORD:
                edit.step = self.workflow.steps[edit.body[1]]
            if edit.kind == RETRACT:
                self.retracts_of[edit.body[1]] |= edit.bit

    def why_not(self, edit):
        if not edit.is_known:
            return "unknown_action"
        if not edit.is_readable:
            return "malformed"
        why = self.why_not_open(edit) if edit.kind == OPEN else self.why_not_other(edit)
        if why:
            return why
        if edit.knows & self.repeats[edit.author, edit.tap, edit.action]:
            return "repeat"
        known = edit.knows & self.of_author[edit.author]
        known_own = edit.knows & self.of_person[edit.author, edit.by]
        if size(known) >= EDITS_OF_AUTHOR_MAX or (size(known_own) >= EDITS_OF_ONE_BY_MAX and known != known_own):
            return "limit"
        return None

    def why_not_open(self, edit):
        if edit.after or document_opened(edit.payload) != edit.document:
            return "not_its_id"
        if edit.body[1] != "shipment":
            return "unknown_kind"
        if edit.role not in ("admin", "dispatcher"):
            return "role"
        if not self.roster.workflow(edit.body.get(2), edit.height):
            return "unknown_workflow"
        if not is_by(edit.by) or not FIELDS[OPEN](edit.body):
            return "field"
        return None

    def why_not_other(self, edit):
        body = edit.body
        if not edit.knows & self.of_kind[OPEN]:
            return "no_open"
        step = None
        if edit.kind == RECORD:
            step = self.workflow.steps.get(body[1])
            if not step or step.key == "created":
                return "no_step"
        if not self.may(edit, step):
            return "role"
        if not is_by(edit.by) or not FIELDS[edit.kind](body):
            return "field"
        if not all(self.is_target(edit, id, kinds) for id, kinds in self.targets(edit)):
            return "target"
        if edit.kind == RETRACT and self.by_id[body[1]].author != edit.author:
            return "not_own"
        if edit.kind == RECORD and not all(self.has_evidence(edit, need) for need in step.needs):
            return "evidence"
        return None

    def may(self, edit, step):
        if edit.kind in (PLAN, RESOLVE):
            return edit.role in ("admin", "dispatcher")
        if edit.kind == RECORD:
            return edit.role in step.by
        return edit.role in ROLES and edit.role != "viewer"

    def targets(self, edit):
        """The edits that an action names, with the kinds that each may have."""
        body = edit.body
        if edit.kind == RESOLVE:
            yield from ((id, (RECORD, MEASURE)) for id in body[1])
            if 2 in body:
                yield body[2], (RECORD,)
        elif edit.kind == RETRACT:
            yield body[1], (RECORD, MEASURE, SAY)
        elif edit.kind == SAY and 2 in body:
            yield body[2], (SAY,)

    def is_target(self, edit, id, kinds):
        named = self.by_id.get(id)
        return named is not None and bool(edit.knows & named.bit) and named.kind in kinds

    def has_evidence(self, edit, need):
        if need == "measure":
            return any(True for _ in self.measures(edit))
        key = {"receiver": 3, "signature": 6, "photos": 7, "reason": 2, "place": 10, "scan": 8, "pin": 9, "lines": 13, "collected": 11}
        return key[need] in edit.body

    def measures(self, record):
        """The Measures that satisfy a record's need for one."""
        for place in bits(record.knows & self.of_kind[MEASURE]):
            measure = self.edits[place]
            if not self.retracts_of[measure.id] & record.knows:
                yield measure

    # 5. Facts.

    def settle(self):
        self.facts = [self.edits[place] for place in bits(self.of_kind[RECORD])]
        for fact in self.facts:
            fact.form = form(fact.body[3]) if 3 in fact.body else None
            fact.is_retracted = bool(self.retracts_of[fact.id])
            fact.latest = []
        self.resolves = [self.edits[place] for place in bits(self.of_kind[RESOLVE])]
        naming = defaultdict(list)  # edit id -> the Resolves that count and name it
        for resolve in self.resolves:
            resolve.upholds = resolve.body.get(2)
            resolve.names = {*resolve.body[1], resolve.upholds} - {None}
            resolve.is_latest = resolve.rejects_nothing = False
            for id in resolve.names:
                naming[id].append(resolve)
        self.naming = naming
        self.disagreeing = set()
        for fact in self.facts:
            known = 0
            for resolve in naming[fact.id]:
                known |= resolve.knows
            fact.latest = [resolve for resolve in naming[fact.id] if not resolve.bit & known]
            for resolve in fact.latest:
                resolve.is_latest = True
            for one, other in combinations(fact.latest, 2):
                if (one.upholds == fact.id) != (other.upholds == fact.id):
                    one.rejects_nothing = other.rejects_nothing = True
                    self.disagreeing.add((one, other))
        self.on_retracted = []
        for resolve in self.resolves:
            if resolve.upholds is None:
                continue
            upheld = self.by_id[resolve.upholds]
            if not upheld.counts or upheld.is_retracted:
                resolve.rejects_nothing = True
                if resolve.is_latest:
                    self.on_retracted.append((upheld, resolve))
        self.live = 0
        for fact in self.facts:
            fact.is_rejected = any(not latest.rejects_nothing and latest.upholds != fact.id for latest in fact.latest)
            fact.is_live = not fact.is_retracted and not fact.is_rejected
            if fact.is_live:
                self.live |= fact.bit

    def exclude(self, a, b):
        one, other = a.step.outcome, b.step.outcome
        if not one or not other:
            return False
        if one != other:
            return True
        return one == "signed" and a.form is not None and b.form is not None and (a.form != b.form or a.form == "")

    def way(self, a, b):
        """Whether there is a way from a to b, and whether it is a named one."""
        if b.step.key in a.step.ways:
            return True, True
        return (b.step.rank > a.step.rank or b.step is a.step) and not self.exclude(a, b), False

    def supersede(self):
        ways = {}
        next, next_named = defaultdict(int), defaultdict(int)
        for place in bits(self.live):
            b = self.edits[place]
            for before in bits(b.knows & self.live):
                a = self.edits[before]
                kinds = a.step.key, a.form, b.step.key, b.form
                if kinds not in ways:
                    ways[kinds] = self.way(a, b)
                there, named = ways[kinds]
                if there:
                    next[before] |= b.bit
                if named:
                    next_named[before] |= b.bit
        # What chains lead to: any chains, and those with a named way from a fact with this outcome.
        chained, chained_named = {}, {}
        outcomes = ("signed", "returned", "cancelled")
        for place in sorted(bits(self.live), reverse=True):
            reached, reached_named = 0, dict.fromkeys(outcomes, 0)
            for later in bits(next[place]):
                reached |= 1 << later | chained[later]
                for outcome in outcomes:
                    reached_named[outcome] |= chained_named[later][outcome]
            own = self.edits[place].step.outcome
            if own:
                for later in bits(next_named[place]):
                    reached_named[own] |= 1 << later | chained[later]
            chained[place], chained_named[place] = reached, reached_named
        self.superseders = {}
        self.superseding = 0
        for place in bits(self.live):
            fact = self.edits[place]
            found = chained[place]
            if fact.step.outcome:
                for later in bits(found & ~chained_named[place][fact.step.outcome]):
                    if self.exclude(fact, self.edits[later]):
                        found ^= 1 << later
            self.superseders[place] = found
            self.superseding |= found

    # 6. The status.

    def precedence(self, fact):
        """Lower is first."""
        evidence = sum(key in fact.body for key in (3, 6, 7, 8, 9, 10, 11))
        return -fact.step.rank, -fact.step.place, -evidence, *fact.order()

    def decide(self):
        ends = (self.edits[place] for place, superseders in self.superseders.items() if not superseders)
        self.decides = min(ends, key=self.precedence, default=None)

    def is_signature(self, fact):
        return fact.step.outcome == "signed" and 3 in fact.body

    def signed(self):
        """The time of signature."""
        fact = self.decides
        if not fact:
            return None
        if self.is_signature(fact):
            return rfc3339(fact.at)
        known = [self.edits[place] for place in bits(fact.knows & self.live)]
        signature = min(filter(self.is_signature, known), key=self.precedence, default=None)
        if signature:
            return rfc3339(signature.at)
        return rfc3339(fact.at) if fact.step.outcome == "signed" else None

    def standing(self, fact):
        if fact.is_retracted:
            return "retracted"
        if fact.is_rejected:
            return "rejected"
        if fact is self.decides:
            return "decides"
        if self.superseders[fact.place]:
            return "superseded"
        higher = any(self.edits[place].step.rank > fact.step.rank for place in bits(fact.knows & self.live))
        return "backfill" if higher and not fact.bit & self.superseding else "outranked"

    def skipped(self, fact):
        if fact.step.outcome in ("returned", "cancelled"):
            return []
        reached = max((self.edits[place].step.rank for place in bits(fact.knows & self.live)), default=0)
        return [
            step.key
            for step in self.workflow.steps.values()
            if reached < step.rank < fact.step.rank and not step.outcome and not step.ways and step.key != "created"
        ]

    # 7. Exceptions.

    def users(self, retract):
        taken = self.by_id[retract.body[1]]
        if not taken.counts or taken.kind not in (RECORD, MEASURE):
            return []
        kinds = self.of_kind[RECORD] | self.of_kind[RESOLVE] if taken.kind == RECORD else self.of_kind[RECORD]
        found = []
        for place in bits(kinds):
            user = self.edits[place]
            if not user.knows & taken.bit or user.knows & retract.bit:
                continue
            if (user.author, user.by) == (retract.author, retract.by):
                continue
            if taken.kind == MEASURE:
                if "measure" not in user.step.needs or not all(self.retracts_of[measure.id] for measure in self.measures(user)):
                    continue
            if any(resolve.knows & user.bit and resolve.knows & retract.bit for resolve in self.naming[taken.id]):
                continue
            found.append(user)
        return found

    def exceptions(self):
        """What is shown, and how many items of each kind are left out."""
        items = defaultdict(list)  # kind -> (pair of devices, group, edits)

        def between(one, other):
            return frozenset((one.author, other.author))

        def grouped(one, other, what):
            """A group that does not tell which edit comes first."""
            if one.author != other.author:
                return tuple(what(edit) for edit in sorted((one, other), key=lambda edit: edit.author))
            return frozenset((what(one), what(other)))

        live = [self.edits[place] for place in bits(self.live)]
        for a, b in combinations(live, 2):
            if self.exclude(a, b) and not self.superseders[a.place] & b.bit and not self.superseders[b.place] & a.bit:
                group = grouped(a, b, lambda fact: (fact.by, fact.form))
                items["contradiction"].append((between(a, b), group, sorted((a.id, b.id))))
        for one, other in self.disagreeing:
            group = grouped(one, other, lambda resolve: resolve.by)
            items["resolution_disputed"].append((between(one, other), group, sorted((one.id, other.id))))
        for record, resolve in self.on_retracted:
            items["resolution_on_retracted"].append((between(record, resolve), (record.by, resolve.by), [record.id, resolve.id]))
        for place in bits(self.of_kind[RETRACT]):
            retract = self.edits[place]
            for user in self.users(retract):
                edits = [retract.body[1], retract.id, user.id]
                items["retracted_after_use"].append((between(retract, user), (retract.by, user.by), edits))
        shown, more = [], {}
        for kind in ("contradiction", "resolution_disputed", "resolution_on_retracted", "retracted_after_use"):
            taken = taken_in_turns(items[kind])
            if len(taken) < len(items[kind]):
                more[kind] = len(items[kind]) - len(taken)
            if kind == "retracted_after_use":
                together = defaultdict(list)
                for record, retract, user in taken:
                    together[record, retract].append(user)
                taken = [[*taken_back, *sorted(users)] for taken_back, users in together.items()]
            shown += [{"kind": kind, "edits": [id.hex() for id in edits]} for edits in sorted(taken)]
        return shown, more

    # 8. Clocks.

    def clocks(self):
        behind = ahead = 0
        ordered = sorted((self.edits[place] for place in bits(self.counted)), key=lambda edit: edit.at)
        times = [edit.at for edit in ordered]
        later = [0] * (len(ordered) + 1)  # those from this place on
        for place in reversed(range(len(ordered))):
            later[place] = later[place + 1] | ordered[place].bit
        for edit in ordered:
            beyond = [self.edits[place] for place in bits(edit.knows & later[bisect_right(times, edit.at + CLOCK_APART)])]
            authors = {other.author for other in beyond}
            if self.roster.hub in authors or len(authors - {edit.author}) >= 2:
                behind |= edit.bit
            else:
                for other in beyond:
                    if other.author != edit.author:
                        ahead |= other.bit
        return behind, ahead

    # 10. The view.

    def registers(self):
        """Register -> its candidates, each an edit and a value."""
        written = defaultdict(list)
        for place in bits(self.of_kind[OPEN] | self.of_kind[PLAN]):
            edit = self.edits[place]
            for register, value in writes(edit.body[3] if edit.kind == OPEN else edit.body[1]):
                written[register].append((edit, value))
        found = {}
        for register, all_writes in written.items():
            known = 0
            for edit, _ in all_writes:
                known |= edit.knows
            found[register] = sorted((write for write in all_writes if not write[0].bit & known), key=lambda write: write[0].order())
        return found

    def plan(self, registers):
        plan, parties, lines = {}, {}, defaultdict(dict)
        for register, candidates in registers.items():
            value = candidates[0][1]
            if value == "":
                continue
            path = register.split("/")
            if path[0] == "parties":
                parties[path[1]] = value
            elif path[0] == "lines":
                lines[path[1]][path[2]] = value
            else:
                plan[register] = value
        if parties:
            plan["parties"] = parties
        if lines:
            plan["lines"] = [lines[name] for name in sorted(lines, key=line_order)]
        return plan

    def conflicts(self, registers):
        found = []
        for register in sorted(registers, key=str.encode):
            candidates = registers[register]
            different = {(type(value), value) for _, value in candidates}
            if len(different) < 2:
                continue
            values, of_author, told = [], defaultdict(int), set()
            for edit, value in candidates:
                if (type(value), value) in told:
                    continue
                if of_author[edit.author] < CANDIDATES_OF_ONE and len(values) < CANDIDATES_SHOWN:
                    of_author[edit.author] += 1
                    told.add((type(value), value))
                    values.append({"value": value, "edit": edit.id.hex(), "author": edit.member.name, "role": edit.role_shown})
            found.append({"field": register, "values": values, "more": len(different) - len(values)})
        return found

    def entry(self, edit, behind, ahead):
        is_fact = edit.counts and edit.kind == RECORD
        return {
            "edit": edit.id.hex(),
            "after": [id.hex() for id in edit.after],
            "device": edit.author.hex(),
            "action": ACTIONS[edit.kind, edit.version][0] if edit.is_readable else "unknown",
            "author": edit.member.name,
            "role": edit.role_shown,
            "by": edit.by,
            "at": rfc3339(edit.at),
            "clock_behind": bool(edit.bit & behind),
            "clock_ahead": bool(edit.bit & ahead),
            "counted": edit.counts,
            "why_not": edit.why,
            "step": edit.body[1] if edit.is_action(RECORD) else None,
            "standing": self.standing(edit) if is_fact else None,
            "skipped": self.skipped(edit) if is_fact else [],
            "detail": detail(edit) if edit.is_readable else None,
        }

    def view(self, document):
        self.decide()
        registers = self.registers()
        exceptions, exceptions_more = self.exceptions()
        behind, ahead = self.clocks()
        timeline, void = [], defaultdict(int)
        for edit in self.edits:
            if not edit.counts:
                void[edit.author] += 1
            if edit.counts or void[edit.author] <= VOID_SHOWN:
                timeline.append(self.entry(edit, behind, ahead))
        plan = self.plan(registers)
        return {
            "id": document.hex(),
            "number": plan.get("number", ""),
            "status": self.decides.step.key if self.decides else "created" if self.opened else "none",
            "signed": self.signed(),
            "workflow": self.workflow.name if self.workflow else "",
            "plan": plan,
            "conflicts": self.conflicts(registers),
            "timeline": timeline,
            "void_more": {author.hex(): number - VOID_SHOWN for author, number in void.items() if number > VOID_SHOWN},
            "exceptions": exceptions,
            "exceptions_more": exceptions_more,
        }


def taken_in_turns(items):
    """7: of each pair of devices as many as are shown, the groups of the pair by turns."""
    pairs = defaultdict(lambda: defaultdict(list))
    for pair, group, edits in sorted(items, key=lambda item: item[2]):
        pairs[pair][group].append(edits)
    taken = []
    for groups in pairs.values():
        of_pair = []
        longest = max(map(len, groups.values()))
        for turn in range(longest):
            of_pair += [group[turn] for group in groups.values() if turn < len(group)]
        taken += of_pair[:EXCEPTIONS_SHOWN]
    return taken


def detail(edit):
    """10: what an edit states."""
    if edit.kind == OPEN:
        return named(PLAN_FIELDS, edit.body[3])
    if edit.kind == PLAN:
        return named(PLAN_FIELDS, edit.body[1])
    return named(ACTIONS[edit.kind, edit.version][1], edit.body)


def named(table, body):
    return {table[key][0]: stated(table, table[key][0], value) for key, value in body.items() if key in table}


def stated(table, name, value):
    if name == "signature":
        return hashed(value).hex()
    if name == "lines":
        return [named(LINE if table is PLAN_FIELDS else LINE_COUNT, line) for line in value]
    if type(value) is bytes:
        return value.hex()
    if type(value) is list:
        return [item.hex() if type(item) is bytes else item for item in value]
    return value


# Comparison.


def canonical(value):
    """RFC 8785, but integers with all their digits."""
    if type(value) is dict:
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(json.dumps(key, ensure_ascii=False) + ":" + canonical(value[key]) for key in keys) + "}"
    if type(value) is list:
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def differing(found, expected, path):
    """The first path at which two values differ, and both values there; None where they don't."""
    if type(found) is dict and type(expected) is dict:
        for key in sorted({*found, *expected}):
            here = f"{path}.{key}"
            if key not in found:
                return here, "absent", expected[key]
            if key not in expected:
                return here, found[key], "absent"
            difference = differing(found[key], expected[key], here)
            if difference:
                return difference
        return None
    if type(found) is list and type(expected) is list:
        for place, (one, other) in enumerate(zip(found, expected)):
            difference = differing(one, other, f"{path}[{place}]")
            if difference:
                return difference
        return (f"{path}.length", len(found), len(expected)) if len(found) != len(expected) else None
    return None if type(found) is type(expected) and found == expected else (path, found, expected)


def check(history, roster, verify):
    """What is wrong with a history: None, or a path and both values."""
    document = bytes.fromhex(history["view"]["id"])
    edits = admitted(map(bytes.fromhex, history["edits"]), roster, document, verify)
    view = Judge(edits, roster).view(document)
    found = {
        "view": view,
        "view_hash": derived("creel/view/1", canonical(view).encode()).hex(),
        "edits_hash": derived("creel/edits/1", roster.newest + b"".join(sorted(edit.id for edit in edits))).hex(),
    }
    return differing(found, {key: history[key] for key in found}, "")


def main():
    parser = argparse.ArgumentParser(description="Checks histories and their views by docs/status.md.")
    parser.add_argument("files", nargs="*", default=["-"], metavar="FILE", help="JSON lines; - is standard input")
    parser.add_argument("--verify", action="store_true", help="verify all signatures too")
    options = parser.parse_args()
    passed = failed = 0
    for file in options.files:
        rosters = {}
        with sys.stdin if file == "-" else open(file, encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                line = json.loads(line)
                if "entries" in line:
                    rosters[line["roster"]] = Roster([bytes.fromhex(entry) for entry in line["entries"]], options.verify)
                    continue
                wrong = check(line, rosters[line["roster"]], options.verify)
                if wrong:
                    failed += 1
                    path, found, expected = wrong
                    print(f"{file}:{number} {line['name']}: {path.lstrip('.')}")
                    print(f"    here:      {json.dumps(found, ensure_ascii=False)[:500]}")
                    print(f"    the line:  {json.dumps(expected, ensure_ascii=False)[:500]}")
                else:
                    passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
