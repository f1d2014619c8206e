"""A firm's steps, by docs/workflow.md. Numbers in comments are its sections."""

import re

import tomli

from wire import ROLES, derived

TEXT_BYTES_MAX, STEPS_MAX, RANK_MAX, DEPTH_MAX = 48 * 1024, 100, 2**32 - 1, 15
OUTCOMES = ("signed", "returned", "cancelled")
NEEDS = ("receiver", "signature", "photos", "reason", "place", "scan", "pin", "lines", "collected", "measure")


class Step:
    def __init__(self, place, step):
        self.place = place  # in the text
        self.key, self.rank = step["key"], step["rank"]
        self.equal = step.get("equal", False)
        self.outcome = step.get("outcome") if step.get("outcome") in OUTCOMES else None
        self.by = {word for word in step["by"] if word in ROLES} if "by" in step else set(ROLES) - {"viewer"}
        self.needs = {word for word in step.get("needs", []) if word in NEEDS}
        self.ways = set(step.get("ways", []))


class Workflow:
    def __init__(self, name, steps):
        self.name = name
        self.steps = {step.key: step for step in steps}  # in the order of the text


def workflow_id(text):
    return derived("creel/workflow/1", text.encode())


# 1. The text. Types are functions that tell whether a value is of them; a table is key -> (type, whether it is required).


def is_string(value):
    return type(value) is str


def is_filled(value):
    return is_string(value) and value != ""


def is_rank(value):
    return type(value) is int and 0 <= value <= RANK_MAX


def is_boolean(value):
    return type(value) is bool


def is_strings(value):
    return type(value) is list and all(map(is_string, value))


def is_table(fields):
    def test(value):
        return type(value) is dict and all(
            kind(value[key]) if key in value else not required for key, (kind, required) in fields.items()
        )

    return test


LABEL = is_table({"zh": (is_filled, True), "en": (is_filled, True)})
EPCIS = is_table({"bizStep": (is_string, True), "disposition": (is_string, True)})
STEP = is_table(
    {
        "key": (lambda value: is_string(value) and bool(re.fullmatch("[a-z0-9_]{1,64}", value)), True),
        "label": (LABEL, True),
        "colour": (lambda value: is_string(value) and bool(re.fullmatch("#[0-9a-fA-F]{6}", value)), True),
        "rank": (is_rank, True),
        "equal": (is_boolean, False),
        "outcome": (is_string, False),
        "by": (is_strings, False),
        "needs": (is_strings, False),
        "ways": (is_strings, False),
        "epcis": (EPCIS, False),
    }
)
TOP = is_table(
    {
        "name": (is_filled, True),
        "label": (LABEL, True),
        "step": (lambda value: type(value) is list and all(map(STEP, value)), True),
    }
)


def is_plain(value, within=0):
    """3: no values that readers of TOML differ in."""
    if within > DEPTH_MAX:
        return False
    if type(value) is dict:
        return all(is_plain(inner, within + 1) for inner in value.values())
    if type(value) is list:
        return all(is_plain(inner, within + 1) for inner in value)
    return type(value) in (str, bool) or type(value) is int and -(2**63) <= value < 2**63


def read_workflow(text):
    """3: the workflow that a text is, or None."""
    if len(text.encode()) > TEXT_BYTES_MAX:
        return None
    try:
        top = tomli.loads(text)
        if text.startswith("\ufeff") or not all(map(is_plain, top.values())):
            return None
    except (tomli.TOMLDecodeError, RecursionError):
        return None
    if not TOP(top) or len(top["step"]) > STEPS_MAX:
        return None
    steps = [Step(place, step) for place, step in enumerate(top["step"])]
    workflow = Workflow(top["name"], steps)
    if len(workflow.steps) < len(steps) or "created" not in workflow.steps or workflow.steps["created"].outcome:
        return None
    if any(way not in workflow.steps for step in steps for way in step.ways):
        return None
    ranks = [step.rank for step in steps]
    if any(ranks.count(step.rank) > 1 and not step.equal for step in steps):
        return None
    return workflow
