"""A hundred clients at once: no error, and every answer has its own request's rows, in their order."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from contract_service import INSTANCE, Service

from wmlclient.runner.engine import native
from wmlclient.runner.engine.scorers import Live

CLIENTS = 100
REQUESTS = 12
PATH = f"/v3/wml_instances/{INSTANCE}/deployments/d-3/online"


@pytest.fixture
def deployed(service: Service, scorer: native.NativeScorer) -> Iterator[Service]:
    slot, wish = service.engine.scorers.open("d-3", "m-3")
    service.engine.scorers.loaded("d-3", slot, wish, Live(scorer, "v-3"), lambda: None)
    yield service
    service.engine.scorers.drop("d-3")


def test_a_hundred_clients(deployed: Service, scorer: native.NativeScorer) -> None:
    address = urlsplit(deployed.url)
    headers = {"Authorization": f"Bearer {deployed.auth.issue()}", "Content-Type": "application/json"}

    def client(number: int) -> list[tuple[list[list[Any]], int, Any]]:
        chance = random.Random(number)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        found = []
        for request in range(REQUESTS):
            first = (number * REQUESTS + request) * 100
            rows: list[list[Any]] = [
                [first + row, f"client {number} says {chance.choice('abcdefgh')} and {row}"]
                for row in range(chance.choice([2, 5, 9, 40]))
            ]
            if request % 4 == 3:
                rows[chance.randrange(len(rows))][1] = None
            connection.request("POST", PATH, json.dumps({"fields": ["id", "text"], "values": rows}), headers)
            answer = connection.getresponse()
            found.append((rows, answer.status, json.loads(answer.read())))
        connection.close()
        return found

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [answer for some in pool.map(client, range(CLIENTS)) for answer in some]

    assert len(answers) == CLIENTS * REQUESTS
    assert {status for _, status, _ in answers} == {200}
    for rows, _, answer in answers:
        bad = [number for number, row in enumerate(rows) if row[1] is None]
        assert [row[:2] for row in answer["values"]] == rows
        assert [error["row"] for error in answer.get("errors", ())] == bad
        good = [row for row in rows if row[1] is not None]
        expected = scorer.score(["id", "text"], good).values
        assert [row for row in answer["values"] if row[1] is not None] == expected
