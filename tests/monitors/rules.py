"""Strategies of conditions and check-ins, and what a condition means, read off the words alone."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hypothesis import strategies as st

from dataflow.sampling.conditions import Subject

SLUGS = ("a", "b", "nightly")
ENVIRONMENTS = ("production", "dev")
STATUSES = ("ok", "error", "in_progress")
TRACES = ("0" * 31 + "1", "f" * 32)
SDKS = ("sentry.python/2.20", "sentry.go/0.28")
TEXTS = {
    "monitor.slug": SLUGS,
    "environment": ENVIRONMENTS,
    "status": STATUSES,
    "trace_id": TRACES,
    "sdk": SDKS,
}
NUMBERS = {
    "project_id": st.integers(1, 3),
    "duration": st.sampled_from([0, 0.1, 0.5, 1, 1.0, 1.5, 2]),
}


def subjects():
    """Check-ins of few kinds, so that conditions meet them."""
    return st.builds(
        Subject,
        st.integers(1, 3),
        st.sampled_from(SLUGS),
        st.sampled_from(ENVIRONMENTS),
        st.sampled_from(STATUSES),
        st.none() | st.sampled_from([0, 100, 500, 1000, 1500, 2000]),
        st.none() | st.sampled_from(TRACES),
        st.none() | st.sampled_from(SDKS),
    )


def _comparisons():
    texts = st.sampled_from(sorted(TEXTS)).flatmap(
        lambda name: st.fixed_dictionaries(
            {"op": st.just("eq"), "name": st.just(name), "value": st.sampled_from(TEXTS[name])}
        )
    )
    patterns = st.fixed_dictionaries(
        {
            "op": st.just("glob"),
            "name": st.sampled_from(sorted(TEXTS)),
            "value": st.sampled_from(["*", "?", "*o*", "sentry.*", "*r", "nightl?", "a", "", "0**1"]),
        }
    )
    numbers = st.sampled_from(sorted(NUMBERS)).flatmap(
        lambda name: st.fixed_dictionaries(
            {
                "op": st.sampled_from(["eq", "gt", "gte", "lt", "lte"]),
                "name": st.just(name),
                "value": NUMBERS[name],
            }
        )
    )
    return texts | patterns | numbers


def _nested(inner):
    lists = st.fixed_dictionaries(
        {"op": st.sampled_from(["and", "or"]), "inner": st.lists(inner, max_size=3)}
    )
    return lists | st.fixed_dictionaries({"op": st.just("not"), "inner": inner})


def conditions():
    """Valid conditions."""
    return st.recursive(_comparisons(), _nested, max_leaves=6)


def any_json():
    """JSON values, many of them nearly conditions."""
    texts = st.sampled_from(
        ["and", "not", "eq", "glob", "gt", "sdk", "duration", "project_id", "x"]
    ) | st.text(max_size=5)
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
    keys = st.sampled_from(["op", "inner", "name", "value"]) | st.text(max_size=3)
    return st.recursive(
        scalars | conditions(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner | texts, max_size=4),
        max_leaves=10,
    )


def shuffled(value, random):
    """The same condition, its keys and lists in another order, some parts of it twice."""
    items = list(value.items())
    random.shuffle(items)
    copy = dict(items)
    if value["op"] == "not":
        copy["inner"] = shuffled(value["inner"], random)
    elif "inner" in value:
        inner = [shuffled(one, random) for one in value["inner"]]
        inner += random.sample(inner, random.randint(0, len(inner)))
        random.shuffle(inner)
        copy["inner"] = inner
    return copy


def holds(value, subject):
    """Whether the condition, as it is written, is true of the check-in."""
    op = value["op"]
    if op == "and":
        return all(holds(one, subject) for one in value["inner"])
    if op == "or":
        return any(holds(one, subject) for one in value["inner"])
    if op == "not":
        return not holds(value["inner"], subject)
    found = {
        "project_id": subject.project_id,
        "monitor.slug": subject.slug,
        "environment": subject.environment,
        "status": subject.status,
        "duration": None if subject.duration_ms is None else subject.duration_ms / 1000,
        "trace_id": subject.trace_id,
        "sdk": subject.sdk,
    }[value["name"]]
    wanted = value["value"]
    if found is None:
        return False
    if op == "glob":
        return fnmatchcase(found, wanted)
    if op == "eq":
        return found == wanted
    if op in ("gt", "gte"):
        return found > wanted or (op == "gte" and found == wanted)
    return found < wanted or (op == "lte" and found == wanted)
