"""Key groups: the fixed number of keys that monitors and organizations are hashed to.

The hash is part of what a recovery store means: changing it would send monitors to groups that do not know them.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b


def _bucket(text: str, count: int) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) % count


def monitor_group(project_id: int, slug: str, groups: int) -> int:
    """The key group of a monitor, 0 to `groups` - 1; the same in every process and release."""
    return _bucket(f"monitor/{project_id}/{slug}", groups)


@lru_cache(maxsize=100_000)
def organization_group(organization_id: int, groups: int) -> int:
    """The gate's key group of an organization, 0 to `groups` - 1; the same in every process and release."""
    return _bucket(f"organization/{organization_id}", groups)


@lru_cache(maxsize=64)
def group_keys(groups: int) -> tuple[str, ...]:
    """The engine's keys of this many key groups. A key names their number, so that a store made with another one
    is recognized."""
    return tuple(f"{group:04d}/{groups}" for group in range(groups))
