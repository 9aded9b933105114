"""Mutated messages and controls for the fuzzer: the same for the same seed, and never of another's monitors.

Each begins as one that a job or a person might send, of monitors called `wild-...` in projects and organizations of
their own; then something of it is changed, on one of four levels: its bytes, the fields around the payload, the
payload, the config.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import msgpack

PROJECTS = tuple(range(0xA5A5_0001, 0xA5A5_0009))
"""Projects of mutated messages: no single flipped bit, and no digits left out, makes one of another project of them."""
ORGANIZATIONS = tuple(range(888_777_001, 888_777_005))
SLUGS = 40
BUSY_SLUGS = 6
"""Monitors that expect a check-in each minute: their names and bytes are left as they are, so that they stay few."""
LARGEST_BYTES = 10_000_000
_GUIDS = 400
_ODD_KINDS = 24
_BROKEN_TEXTS = (
    b"\\ud800",
    b"\\udfff\\ud800",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\x00",
    b"\\u0000",
    b"\xc0\x80",
)
_NUMBERS = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-0",
    b"1" * 5_000,
    b"0x10",
    b"01",
    b"1E-400",
    b"9" * 19,
)
_CRONTABS = (
    "* * 31 2 *", "0 0 29 2 *", "0 0 L * *", "0 0 * * 5#5", "0 0 * * 1L", "@yearly", "@reboot", "*/0 * * * *",
    "61 * * * *", "0 0 * *", "0 0 1 1 * 2030", "", " ", "0\t0 1\n1 *", "0 0 1,1,1 1 *", "0-0 0-0 1-1 1-1 *",
    "0 0 1 JANUARY *", "0 0 1 jan sunday", "0 0 LW * *", "H H * * *", "٣ * * * *",
)  # fmt: skip
_ZONES = (
    "Europe/Vienna", "Mars/Base", "../../../etc/passwd", "/etc/localtime", "", "utc", "Factory", "US/Pacific-New",
    "Europe", "America/Argentina/ComodRivadavia", "Europe/Vienna\x00", "GMT+25",
)  # fmt: skip


class Mutator:
    """Makes mutated messages and controls, one after the other."""

    def __init__(self, seed: int, large_one_in: int) -> None:
        """About one in so many messages is larger than 64 KiB, a third of those as large as they come."""
        self._chance = Random(seed)
        self._is_large = min(1.0, 2 * _ODD_KINDS / large_one_in)
        self._levels: tuple[Callable[[float], bytes], ...] = (
            self._bytes,
            self._wrapper,
            self._payload,
            self._config,
        )

    def message(self, at_s: float) -> bytes:
        """A message of `ingest-monitors`, received about then (seconds since the epoch)."""
        return self._chance.choice(self._levels)(at_s)

    def control(self, at_s: float) -> bytes:
        """A control for `monitor-controls`."""
        control = self._a_control(at_s)
        chance = self._chance
        if chance.random() < 0.3:
            return json.dumps(control).encode()
        if chance.random() < 0.4:
            return self._damaged(json.dumps(control).encode())
        place: Any = control
        if isinstance(control.get("monitor_config"), dict) and chance.random() < 0.3:
            place = control["monitor_config"]
        place[chance.choice(list(place))] = self._odd()
        return self._text(control)

    def time_ms(self, at_ms: int) -> int:
        """A broker's timestamp that cannot be true."""
        return self._chance.choice((1, at_ms // 1000, at_ms - 40 * 86_400_000, 253_402_300_799_000, 2**61))

    def _bytes(self, at_s: float) -> bytes:
        return self._damaged(_packed(self._a_wrapper(at_s, self._a_payload())))

    def _wrapper(self, at_s: float) -> bytes:
        chance = self._chance
        wrapper = self._a_wrapper(at_s, self._a_payload(busy=chance.random() < 0.1))
        kind = chance.randrange(6)
        if kind == 0:
            del wrapper[chance.choice(list(wrapper))]
        elif kind == 1:
            return _map([*wrapper.items(), (self._odd(), self._odd())])
        elif kind == 2:
            return _map([*wrapper.items(), (chance.choice(list(wrapper)), self._odd())])
        elif kind == 3:
            times = (
                0.0,
                at_s * 1000,
                at_s + 1e9,
                1e300,
                float("nan"),
                float("inf"),
                -1.0,
                at_s - 5e6,
                2**63,
                1,
            )
            wrapper["start_time"] = chance.choice(times)
        elif kind == 4:
            return _packed(
                chance.choice((self._odd(), list(wrapper.items()), {"message_type": "clock_pulse"}))
            )
        else:
            wrapper[chance.choice(list(wrapper))] = self._odd()
        return _packed(wrapper)

    def _payload(self, at_s: float) -> bytes:
        chance, body = self._chance, self._a_payload(busy=self._chance.random() < 0.1)
        kind = chance.randrange(8)
        if kind == 0:
            del body[chance.choice(list(body))]
        elif kind == 1:
            body["check_in_id"] = self._odd_guid()
        elif kind == 2:
            body["contexts"] = chance.choice(
                ({"trace": self._odd()}, {"trace": {"trace_id": self._odd_guid()}})
            )
        elif kind == 3:
            text = json.dumps(body).encode()
            value = chance.choice(_NUMBERS)
            return self._around(
                at_s, text[:-1] + b', "%b": %b}' % (chance.choice((b"duration", b"more")), value)
            )
        elif kind == 4:
            key = chance.choice((b"environment", b"monitor_slug", b"status", b"other"))
            text = json.dumps(body).encode()[:-1] + b', "%b": "%b"}' % (key, chance.choice(_BROKEN_TEXTS))
            return self._around(at_s, text)
        elif kind == 5:
            whole = (b"[]", b"null", b"0", b'"x"', b"\xef\xbb\xbf{}", b"{}", b" ", b"{} {}", b"[" * 100_000)
            return self._around(at_s, chance.choice(whole))
        elif kind == 6:
            body["environment"] = self._odd_environment()
        else:
            body[chance.choice(list(body))] = self._odd()
        return self._around(at_s, self._text(body))

    def _config(self, at_s: float) -> bytes:
        chance, body = self._chance, self._a_payload()
        config = self._a_config(yearly=True)
        kind = chance.randrange(6)
        if kind == 0:
            config["schedule"] = {"type": "crontab", "value": chance.choice(_CRONTABS)}
        elif kind == 1:
            unit = chance.choice(("year", "month", "week", "day", "hour", "", None, 7))
            config["schedule"] = {
                "type": "interval",
                "value": chance.choice((self._odd(), 700)),
                "unit": unit,
            }
        elif kind == 2:
            config["timezone"] = chance.choice(_ZONES)
        elif kind == 3:
            config["schedule_type"], config["schedule"] = chance.choice(
                (
                    ("interval", [400, "day"]),
                    ("interval", self._odd()),
                    ("crontab", "0 0 1 1 *"),
                    (self._odd(), []),
                )
            )
        elif kind == 4:
            config = self._odd()
        else:
            config[chance.choice((*config, "owner", "checkin_margin", "recovery_threshold"))] = self._odd()
        body["monitor_config"] = config
        return self._around(at_s, self._text(body))

    def _a_payload(self, busy: bool = False) -> dict[str, Any]:
        chance = self._chance
        slug = f"busy-wild-{chance.randrange(BUSY_SLUGS)}" if busy else f"wild-{chance.randrange(SLUGS)}"
        body: dict[str, Any] = {
            "check_in_id": f"{chance.randrange(_GUIDS):032x}",
            "status": chance.choice(("ok", "error", "in_progress")),
            "environment": chance.choice(("production", "staging", "")),
            "duration": chance.choice((1, 2.5, None)),
            "monitor_slug": slug,
        }
        if chance.random() < 0.5:
            body["monitor_config"] = self._a_config(yearly=not busy)
        return body

    def _a_config(self, yearly: bool) -> dict[str, Any]:
        value = "0 0 1 1 *" if yearly else "* * * * *"
        return {
            "schedule": {"type": "crontab", "value": value},
            "timezone": self._chance.choice(("UTC", "Europe/Vienna")),
            "max_runtime": self._chance.choice((1, 30, None)),
            "failure_issue_threshold": self._chance.choice((1, 2)),
        }

    def _a_wrapper(self, at_s: float, payload: dict[str, Any]) -> dict[Any, Any]:
        return {
            "message_type": "check_in",
            "payload": json.dumps(payload).encode(),
            "start_time": at_s,
            "project_id": self._chance.choice(PROJECTS),
            "sdk": self._chance.choice(("sentry.python", None)),
            "retention_days": 90,
        }

    def _around(self, at_s: float, payload: bytes) -> bytes:
        return _packed(self._a_wrapper(at_s, {}) | {"payload": payload})

    def _a_control(self, at_s: float) -> dict[str, Any]:
        chance = self._chance
        named = {"project_id": chance.choice(PROJECTS), "monitor_slug": f"wild-{chance.randrange(SLUGS)}"}
        of = {"organization_id": chance.choice(ORGANIZATIONS)}
        rule = {
            "project_ids": [chance.choice(PROJECTS)],
            "condition": self._a_condition(),
            "start": at_s,
            "end": at_s + chance.choice((0, 60, 3600)),
            "num_samples": 10,
            "sample_rate": 0.5,
            "query": "wild",
        }
        controls: tuple[dict[str, Any], ...] = (
            {
                "type": "upsert_monitor",
                **named,
                "monitor_config": self._a_config(yearly=True),
                "name": "Wild",
            },
            {"type": "set_monitor_status", **named, "status": chance.choice(("active", "disabled"))},
            {"type": "mute", **named, "environment": chance.choice(("staging", None)), "muted": True},
            {"type": "delete_monitor", **named},
            {"type": "reset", **named},
            {"type": "set_killswitch", **of, "enabled": False},
            {"type": "set_seats", **of, "seats": chance.choice((None, 60))},
            {"type": "upsert_sampling_rule", **of, **rule},
        )
        return chance.choice(controls)

    def _a_condition(self) -> dict[str, Any]:
        chance = self._chance
        condition: dict[str, Any] = {"op": "eq", "name": "environment", "value": f"e{chance.randrange(50)}"}
        for _ in range(chance.choice((0, 1, 3, 40))):
            inner: Any = condition if chance.random() < 0.2 else [condition]
            condition = {
                "op": "not" if isinstance(inner, dict) else chance.choice(("and", "or")),
                "inner": inner,
            }
        return condition

    def _damaged(self, data: bytes) -> bytes:
        chance, found = self._chance, bytearray(data)
        kind = chance.randrange(7)
        at = chance.randrange(len(found))
        if kind <= 1:
            for _ in range(chance.choice((1, 1, 2, 8))):
                found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del found[at:]
        elif kind == 3:
            found[at:at] = chance.randbytes(chance.choice((1, 4, 64)))
        elif kind == 4:
            del found[at : at + chance.choice((1, 5))]
        elif kind == 5:
            found += found[at:]
        else:
            found[:] = chance.randbytes(chance.choice((0, 1, 30)))
        return bytes(found)

    def _odd(self) -> Any:
        """Something that is hardly ever right."""
        chance = self._chance
        kind = chance.randrange(_ODD_KINDS)
        if kind == 0:
            return self._large()
        if kind == 1:
            return chance.choice(
                (msgpack.ExtType(0, bytes(4)), msgpack.ExtType(5, b"x"), msgpack.Timestamp(2**33, 7))
            )
        if kind == 2:
            return _nested(chance.choice((10, 100, 500)), chance.random() < 0.5)
        if kind == 3:
            return list(range(chance.choice((0, 3, 2_000))))
        return chance.choice(
            (
                None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1.5, -1.5, 1e308,
                float("nan"), float("inf"), float("-inf"), 5e-324, b"", b"\xff\xfe", "", " ", "\u2028", "\x00",
                "\u202e",
                "é" * 100, "a" * 100, "😀" * 70, "1", "0" * 32, "-" * 60, {}, {"": None}, [], [[]], "true", "ok",
            )
        )  # fmt: skip

    def _large(self) -> Any:
        """A large text, and now and then a very large one: of one letter, which is small on the wire, or not."""
        chance = self._chance
        size = 3_000 if chance.random() > self._is_large else chance.choice((70_000, 300_000, LARGEST_BYTES))
        return chance.choice(
            ("x" * size, "é" * (size // 2), chance.randbytes(size // 2).hex(), ["y"] * (size // 5))
        )

    def _odd_guid(self) -> Any:
        guid = f"{self._chance.getrandbits(128):032x}"
        dashed = f"{guid[:8]}-{guid[8:12]}-{guid[12:16]}-{guid[16:20]}-{guid[20:]}"
        odd = (
            "0" * 32,
            guid.upper(),
            dashed,
            "{" + dashed + "}",
            "urn:uuid:" + dashed,
            guid[:-1],
            guid + "0",
            " " * 32,
        )
        return self._chance.choice((*odd, dashed.replace("-", " "), "f" * 32, self._odd()))

    def _odd_environment(self) -> Any:
        odd = (
            "a/b",
            "a\nb",
            "x" * 64,
            "x" * 65,
            " ",
            "é" * 64,
            "😀" * 64,
            "\x1b[31m",
            "\u202eabc",
            "%00",
            "a\x00b",
        )
        return self._chance.choice((*odd, self._odd()))

    def _text(self, body: Any) -> bytes:
        """JSON as Python writes it, NaN and Infinity included; bytes and extensions become a list of numbers."""
        return json.dumps(
            body, default=lambda value: list(str(value).encode()[:20]), ensure_ascii=False
        ).encode()


def _nested(depth: int, is_map: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if is_map else [value]
    return value


def _packed(value: Any) -> bytes:
    """msgpack; as text what it cannot hold."""
    try:
        return bytes(msgpack.packb(value, datetime=False))
    except (OverflowError, ValueError, TypeError):
        return bytes(msgpack.packb(str(value)))


def _map(items: list[tuple[Any, Any]]) -> bytes:
    """A map as msgpack, with the keys given, also those given twice."""
    packer = msgpack.Packer()
    return bytes(packer.pack_map_header(len(items))) + b"".join(
        _packed(key) + _packed(value) for key, value in items
    )
