"""A program by Microsoft's own Python SDK for Machine Learning Server: deploy, consume, batch, redeploy, delete.

Run by an old Python with ``azureml-model-management-sdk``, and so without this project. Needs the
``credentials.json`` of a service as its argument.
"""

import json
import sys
import time

import numpy as np
import pandas as pd
from azureml.deploy import DeployClient
from azureml.deploy.server import MLServer

factor = 2.0


def transmission(hp, wt):
    return hp * factor + wt


def init():
    import math  # noqa: F401 - something for it to do


def described(client, factor):
    described = client.service("transmission").version("v1.0").code_fn(transmission, init)
    described = described.inputs(hp=float, wt=float).outputs(answer=float)
    return described.models(factor=factor).alias("manual").description("d")


def main(path):
    with open(path) as file:
        given = json.load(file)
    client = DeployClient(given["url"], use=MLServer, auth=(given["username"], given["password"]))

    described(client, 2.0).deploy()
    assert [each["name"] for each in client.list_services("transmission")] == ["transmission"]
    service = client.get_service("transmission", version="v1.0")
    assert service.manual(120.0, 2.5).output("answer") == 242.5
    assert json.loads(service.swagger())["swagger"] == "2.0"
    assert service.capabilities()["runtime"] == "Python"

    tables = client.service("tables").version("1").code_str("out = x * 2\nframe = df")
    tables = tables.inputs(x=np.array, df=pd.DataFrame).outputs(out=np.array, frame=pd.DataFrame).deploy()
    answer = tables.consume(np.array([1.0, 2.0]), pd.DataFrame({"a": [1, 2]}))
    assert answer.output("out").tolist() == [2.0, 4.0]
    assert answer.output("frame")["a"].tolist() == [1, 2]

    batch = service.batch([{"hp": 1.0, "wt": 2.0}, {"hp": 3.0, "wt": 4.0}], parallel_count=2).start()
    deadline = time.time() + 60
    while batch.results().state.lower() != "complete":
        assert time.time() < deadline
        time.sleep(0.2)
    results = batch.results()
    assert [results.execution(n).outputs for n in range(2)] == [{"answer": 4.0}, {"answer": 10.0}]
    assert len(service.list_batch_executions()) == 1

    again = described(client, 3.0).redeploy()
    assert again.manual(1.0, 2.0).output("answer") == 5.0
    assert client.delete_service("transmission", version="v1.0")
    assert client.delete_service("tables", version="1")
    assert "transmission" not in [each["name"] for each in client.list_services()]
    print("the program has done all of its work")  # noqa: T201 - a script


if __name__ == "__main__":
    main(sys.argv[1])
