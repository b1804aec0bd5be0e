"""The client library of Machine Learning Server, by the names that programs of 2017 use.

Such a program runs with nothing but its import line changed::

    from wmlclient import deployrclient
    from wmlclient.deployrclient import models

    client = deployrclient.DeployRClient("http://localhost:12800")
    token = client.login(models.LoginRequest("admin", "Pass123!"))
    headers = {"Authorization": "Bearer " + token.access_token}
    session = client.create_session(models.CreateSessionRequest("Session 1", runtime_type="Python"), headers)

Operations and models are the generated ones, called as the generator of 2017 had it: members of models by place,
headers after the arguments of the operation.
"""

from __future__ import annotations

from . import models
from .client import DeployRClient
from .models import ErrorException

__all__ = ["DeployRClient", "ErrorException", "models"]
