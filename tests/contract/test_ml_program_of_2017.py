"""A program as one wrote it in 2017, with its import line changed: log in, a session, an SVM, snapshots, objects."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract_service import PASSWORD, USER, Service

from wmlclient import deployrclient
from wmlclient.deployrclient import models

TRAIN = """
import math
rows = [[7, 3.2, 4.7, 1.4], [6.3, 3.3, 6, 2.5], [5.1, 3.5, 1.4, 0.2]]
names = ["I. versicolor", "I. virginica", "I. setosa"]

class Nearest:
    def predict(self, row):
        return [min(range(3), key=lambda i: math.dist(rows[i], row))]

clf = Nearest()
"""


@pytest.fixture
def client(shared: Service) -> deployrclient.DeployRClient:
    return deployrclient.DeployRClient(shared.url)


@pytest.fixture
def headers(client: deployrclient.DeployRClient) -> dict[str, str]:
    token_response = client.login(models.LoginRequest(USER, PASSWORD))
    return {"Authorization": f"Bearer {token_response.access_token}"}


def test_the_story(client: deployrclient.DeployRClient, headers: dict[str, str], tmp_path: Path) -> None:
    assert client.status(headers).status_code == "pass"

    create_session_request = models.CreateSessionRequest("Session 1", runtime_type="Python")
    session_id = client.create_session(create_session_request, headers).session_id
    trained = client.execute_code(session_id, models.ExecuteRequest(TRAIN), headers)
    assert (trained.success, trained.error_message) == (True, "")

    species_1 = models.WorkspaceObject("species_1", [7, 3.2, 4.7, 1.4])
    species_2 = models.WorkspaceObject("species_2", [5, 3.6, 1.3, 0.25])
    request = models.ExecuteRequest(
        "result = clf.predict(species_1)\nother_result = clf.predict(species_2)",
        [species_1, species_2],
        ["result", "other_result"],
    )
    done = client.execute_code(session_id, request, headers)
    assert [(each.name, each.value) for each in done.output_parameters] == [
        ("result", [0]),
        ("other_result", [2]),
    ]

    snapshot_request = models.CreateSnapshotRequest("Iris Snapshot")
    snapshot_id = client.create_snapshot(session_id, snapshot_request, headers).snapshot_id
    (snapshot,) = (each for each in client.list_snapshots(headers) if each.id == snapshot_id)
    assert (snapshot.name, snapshot.owner) == ("Iris Snapshot", USER)
    assert b"".join(client.get_snapshot_content(snapshot_id, custom_headers=headers))[:2] == b"PK"

    assert "clf" in client.list_workspace_objects(session_id, headers)
    client.delete_workspace_object(session_id, "clf", headers)
    assert "clf" not in client.list_workspace_objects(session_id, headers)
    client.load_snapshot(session_id, snapshot_id, headers)
    assert "clf" in client.list_workspace_objects(session_id, headers)

    path = tmp_path / "iris.csv"
    path.write_text("7,3.2,4.7,1.4\n")
    with open(path, "rb") as file:
        client.upload_session_file(session_id, file, headers)
    assert client.list_session_files(session_id, headers) == ["iris.csv"]
    assert b"".join(client.get_session_file(session_id, "iris.csv", None, headers)) == path.read_bytes()
    client.delete_session_file(session_id, "iris.csv", headers)

    client.set_workspace_object(session_id, "five", b"\x80\x04K\x05.", headers)
    assert b"".join(client.get_workspace_object(session_id, "five", None, headers)).endswith(b"K\x05.")
    assert client.list_session_history(session_id, headers)[0] == TRAIN
    assert client.get_session_console_output(session_id, headers).console_output == ""
    assert [each.id for each in client.list_sessions(headers)].count(session_id) == 1

    client.delete_snapshot(snapshot_id, headers)
    client.close_session(session_id, headers)
    with pytest.raises(models.ErrorException, match="no such session") as caught:
        client.list_session_files(session_id, headers)
    assert caught.value.response.status_code == 404
    assert caught.value.error.exception_type == "SessionNotFoundException"


def test_tokens(client: deployrclient.DeployRClient) -> None:
    first = client.login(models.LoginRequest(USER, PASSWORD))
    second = client.renew_token(models.RenewTokenRequest(first.refresh_token))
    assert int(second.expires_on) > 1_500_000_000
    client.revoke_refresh_token(second.refresh_token)
    with pytest.raises(models.ErrorException, match="invalid or expired refresh token"):
        client.renew_token(models.RenewTokenRequest(second.refresh_token))
    with pytest.raises(models.ErrorException, match="invalid credentials"):
        client.login(models.LoginRequest(USER, "wrong"))
    with pytest.raises(models.ErrorException, match="missing access token"):
        client.list_sessions()
