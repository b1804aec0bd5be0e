"""Whether what a stream tells of its source means the topic as it is now."""

from __future__ import annotations

import pytest

from wmlclient.groups import same_topic

ID = "pvrv-DmvSrizBgp_XfxrUA"


@pytest.mark.parametrize("told", [ID, "pvrv+DmvSrizBgp/XfxrUA", "pvrv+DmvSrizBgp/XfxrUA\0", "", "\0", None])
def test_an_id_is_known_in_each_of_its_forms_and_none_says_nothing(told: str | None) -> None:
    assert same_topic(told, ID)


def test_another_id_is_another_topic() -> None:
    assert not same_topic("VOohsWmcRWq8kI5WCvmiQQ\0", ID)
    assert same_topic("VOohsWmcRWq8kI5WCvmiQQ", None)
