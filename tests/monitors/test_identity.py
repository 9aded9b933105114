"""Ids that derive from what they are about."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dataflow.monitors import identity


@given(st.text(max_size=12), st.integers(0, 2**40))
def test_guids_are_uuids_of_version_5(slug, project_id):
    guid = identity.monitor_id(project_id, slug)
    assert UUID(bytes=guid) == UUID(bytes=guid, version=5)
    assert guid == identity.monitor_id(project_id, slug) != identity.monitor_id(project_id + 1, slug)


def test_ids_stay_what_they_are():
    """They are in tables and messages that were sent."""
    assert UUID(bytes=identity.monitor_id(1, "nightly")) == UUID("3eed3f6a-7024-533c-bb36-70125f4bb735")
    assert identity.message_id("occurrence", "0" * 32, bytes(16)) == "e5d973e64aaf5f949b5de252634b2684"


@given(st.binary(min_size=16, max_size=16))
def test_a_guids_text_is_that_of_the_package(guid):
    assert identity.guid_text(guid) == str(UUID(bytes=guid))
