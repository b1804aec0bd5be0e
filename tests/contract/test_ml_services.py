"""Web services: published, listed, changed and deleted, with the exact codes and bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from contract_service import USER, Service
from ml_service import OPERATIONS, UNKNOWN, MlUser, other_user

ADD = {
    "code": "answer = x + y",
    "description": "adds two numbers",
    "operationId": "add",
    "inputParameterDefinitions": [{"name": "x", "type": "numeric"}, {"name": "y", "type": "numeric"}],
    "outputParameterDefinitions": [{"name": "answer", "type": "numeric"}],
    "runtimeType": "Python",
    "initCode": "import math",
    "outputFileNames": ["answer.csv"],
}
GUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def name(user: MlUser, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name of a test's own."""
    name = f"of {request.node.name}"
    yield name
    for each in user.operation("getAllWebServices").body:
        if each["name"] == name:
            user.operation("deleteWebServiceVersion", name, each["version"])


@pytest.fixture(scope="module")
def reader(shared: Service) -> MlUser:
    return other_user(shared, "reader of services", "reader")


def publish(user: MlUser, name: str, version: str | None = "1.0", **changes: Any) -> Any:
    ids = [name] if version is None else [name, version]
    id = "publishWebService" if version is None else "publishWebServiceVersion"
    return user.operation(id, *ids, json={**ADD, **changes})


def snapshot(user: MlUser, code: str) -> str:
    session = user.start()
    try:
        assert user.run(session, code)["success"]
        made = user.operation("CreateSnapshot", session, json={"name": "of a service"})
        return str(made.body["snapshotId"])
    finally:
        user.operation("closeSession", session)


def test_what_is_published_is_listed(user: MlUser, name: str) -> None:
    made = publish(user, name)
    assert (made.status, made.body) == (201, "1.0")
    (found,) = user.operation("getWebServiceVersion", name, "1.0").body
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}", found.pop("creationTime"))
    assert found == {
        **ADD,
        "name": name,
        "version": "1.0",
        "versionPublishedBy": USER,
        "myPermissionOnService": "read/write",
        "snapshotId": None,
    }
    assert [each["name"] for each in user.operation("getAllWebServices").body].count(name) == 1


def test_the_least_that_can_be_published(user: MlUser, name: str) -> None:
    request = {"code": "pass", "runtimeType": "Python", "inputParameterDefinitions": None}
    assert user.operation("publishWebServiceVersion", name, "v1.0.0-alpha", json=request).status == 201
    (found,) = user.operation("getWebServiceVersion", name, "v1.0.0-alpha").body
    lists = ("inputParameterDefinitions", "outputParameterDefinitions", "outputFileNames")
    assert [found[each] for each in lists] == [[], [], []]
    assert (found["description"], found["operationId"], found["initCode"]) == (None, None, None)


def test_a_version_is_made_up_and_versions_are_oldest_first(user: MlUser, name: str) -> None:
    publish(user, name, "2.0")
    made = publish(user, name, None)
    assert re.fullmatch(GUID, made.body)
    publish(user, name, "1.0")
    versions = [each["version"] for each in user.operation("getAllWebServiceVersionsByName", name).body]
    assert versions == ["2.0", made.body, "1.0"]


def test_names_are_free_and_have_a_case(user: MlUser, name: str) -> None:
    assert publish(user, f"{name}", "ü 1").status == 201
    assert user.operation("getWebServiceVersion", name, "ü 1").status == 200
    assert user.operation("getWebServiceVersion", name.upper(), "ü 1").status == 404


def test_types_by_other_names_are_kept_as_the_seven(user: MlUser, name: str) -> None:
    given = ["bool", "float", "int", "string", "numpy.array", "numpy.matrix", "pandas.DataFrame"]
    inputs = [{"name": f"p{i}", "type": each} for i, each in enumerate(given)]
    publish(user, name, inputParameterDefinitions=inputs)
    (found,) = user.operation("getWebServiceVersion", name, "1.0").body
    kept = ["logical", "numeric", "integer", "character", "vector", "matrix", "data.frame"]
    assert [each["type"] for each in found["inputParameterDefinitions"]] == kept


def test_a_version_is_published_once(user: MlUser, name: str) -> None:
    publish(user, name)
    assert publish(user, name).failure == (
        409,
        "ServiceExistsException",
        f"The web service {name!r} has a version '1.0' already: change it by PATCH, or publish another version.",
    )


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"code": None}, "InvalidRequestPayloadException"),
        ({"code": " \n"}, "InvalidRequestPayloadException"),
        ({"code": 7}, "InvalidRequestPayloadException"),
        ({"runtimeType": None}, "RuntimeNotAvailableException"),
        ({"runtimeType": "R"}, "RuntimeNotAvailableException"),
        ({"runtimeType": "Ruby"}, "InvalidRequestPayloadException"),
        ({"runtimeType": "Realtime"}, "InvalidRequestPayloadException"),
        ({"inputParameterDefinitions": [{"name": "x", "type": "date"}]}, "InvalidRequestPayloadException"),
        (
            {"inputParameterDefinitions": [{"name": "x y", "type": "vector"}]},
            "InvalidRequestPayloadException",
        ),
        ({"inputParameterDefinitions": [{"type": "vector"}]}, "InvalidRequestPayloadException"),
        (
            {"outputParameterDefinitions": [{"name": "x", "type": "vector"}] * 2},
            "InvalidRequestPayloadException",
        ),
        ({"outputFileNames": ["../x"]}, "InvalidFileNameException"),
    ],
)
def test_what_cannot_be_published(user: MlUser, name: str, changes: dict[str, Any], kind: str) -> None:
    assert publish(user, name, **changes).failure[:2] == (400, kind)
    assert user.operation("getAllWebServiceVersionsByName", name).status == 404


def test_what_is_not_there(user: MlUser) -> None:
    no_name = (404, "ServiceNotFoundException", "There is no web service 'none'.")
    assert user.operation("getAllWebServiceVersionsByName", "none").failure == no_name
    no_version = (404, "ServiceNotFoundException", "There is no web service 'none' with the version '1'.")
    assert user.operation("getWebServiceVersion", "none", "1").failure == no_version
    assert user.operation("patchWebServiceVersion", "none", "1", json=ADD).failure == no_version
    assert user.operation("deleteWebServiceVersion", "none", "1").failure == no_version


class TestPatch:
    def test_changes_what_is_given(self, user: MlUser, name: str) -> None:
        publish(user, name)
        change = {"description": "new", "runtimeType": "Python", "outputFileNames": [], "code": None}
        changed = user.operation("patchWebServiceVersion", name, "1.0", json=change)
        assert (changed.status, changed.body) == (200, "1.0")
        (found,) = user.operation("getWebServiceVersion", name, "1.0").body
        assert (found["description"], found["outputFileNames"], found["code"]) == ("new", [], ADD["code"])

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"runtimeType": "R"}, 400),
            ({"code": ""}, 400),
            ({"inputParameterDefinitions": [{"name": "x", "type": ""}]}, 400),
            ({"snapshotId": UNKNOWN}, 404),
        ],
    )
    def test_refuses(self, user: MlUser, name: str, change: dict[str, Any], status: int) -> None:
        publish(user, name)
        before = user.operation("getWebServiceVersion", name, "1.0").body
        assert user.operation("patchWebServiceVersion", name, "1.0", json=change).status == status
        assert user.operation("getWebServiceVersion", name, "1.0").body == before


def test_deleted_is_gone(user: MlUser, name: str) -> None:
    publish(user, name)
    publish(user, name, "2.0")
    answer = user.operation("deleteWebServiceVersion", name, "1.0")
    assert (answer.status, answer.response.content) == (200, b"")
    assert user.operation("getWebServiceVersion", name, "1.0").status == 404
    assert user.operation("getWebServiceVersion", name, "2.0").status == 200
    assert publish(user, name).status == 201


class TestSnapshots:
    def test_a_service_keeps_its_own_copy(self, user: MlUser, name: str) -> None:
        archives = user.service.engine.web_services._archives
        taken = snapshot(user, "kept = 1")
        publish(user, name, snapshotId=taken)
        publish(user, name, "2.0", snapshotId=taken)
        digest = user.service.engine.web_services.get(name, "1.0").digest
        user.operation("DeleteSnapshot", taken)
        user.service.engine.snapshots.sweep()
        assert archives.path(digest).is_file()
        (found,) = user.operation("getWebServiceVersion", name, "1.0").body
        assert found["snapshotId"] == taken

        other = snapshot(user, "kept = 2")
        user.operation("patchWebServiceVersion", name, "1.0", json={"snapshotId": other})
        assert archives.path(digest).is_file()
        user.operation("deleteWebServiceVersion", name, "2.0")
        assert not archives.path(digest).exists()
        user.operation("DeleteSnapshot", other)
        assert archives.path(user.service.engine.web_services.get(name, "1.0").digest).is_file()

    def test_is_the_callers_own(self, user: MlUser, stranger: MlUser, name: str) -> None:
        failure = (404, "SnapshotNotFoundException", "There is no such snapshot.")
        assert publish(user, name, snapshotId=UNKNOWN).failure == failure
        taken = snapshot(user, "kept = 1")
        assert publish(stranger, name, snapshotId=taken).failure == failure
        user.operation("DeleteSnapshot", taken)


class TestPermissions:
    def test_code_is_for_its_publisher_and_owners(
        self, user: MlUser, stranger: MlUser, reader: MlUser, name: str
    ) -> None:
        publish(stranger, name)
        for who, permission in ((user, "read/write"), (stranger, "read/write"), (reader, "read only")):
            (found,) = who.operation("getWebServiceVersion", name, "1.0").body
            assert found["myPermissionOnService"] == permission
            assert ("code" in found, "initCode" in found) == ((permission == "read/write"),) * 2

    def test_contributors_change_their_own(self, user: MlUser, stranger: MlUser, name: str) -> None:
        publish(user, name)
        refused = (
            403,
            "NotYourServiceException",
            "Only its publisher and Owners change a web service.",
        )
        for id in ("patchWebServiceVersion", "deleteWebServiceVersion"):
            more = {"json": {}} if OPERATIONS[id].validator is not None else {}
            assert stranger.operation(id, name, "1.0", **more).failure == refused
        taken = f"The web service {name!r} is another user's: take another name."
        assert publish(stranger, name, None).failure == (409, "NameIsTakenException", taken)
        assert publish(stranger, name, "9").failure == (403, "NameIsTakenException", taken)

    def test_owners_change_all(self, user: MlUser, stranger: MlUser, name: str) -> None:
        publish(stranger, name)
        assert publish(user, name, "2.0").status == 201
        assert user.operation("patchWebServiceVersion", name, "1.0", json={}).status == 200
        assert user.operation("deleteWebServiceVersion", name, "1.0").status == 200

    @pytest.mark.parametrize("id", ["publishWebService", "publishWebServiceVersion"])
    def test_readers_publish_nothing(self, reader: MlUser, name: str, id: str) -> None:
        failure = reader.operation(id, name, "1.0", json=ADD).failure
        assert failure[:2] == (403, "RoleRequiredException")
