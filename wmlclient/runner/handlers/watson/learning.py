"""How models learn: configuration, feedback, iterations."""

from __future__ import annotations

from ..registry import Answer, Call, Services
from . import operation
from .common import start_of, views
from .learning_views import LearningViews
from .views import page


@operation("Learning_PutConfiguration")
def put_configuration(services: Services, call: Call) -> Answer:
    """Say how a model learns."""
    header = call.given["X-Spark-Service-Instance"]
    made = services.engine.learning.configure(call.path["model_id"], call.body, header)
    return Answer(body=_view(services, call).configuration(made))


@operation("Learning_GetConfiguration")
def get_configuration(services: Services, call: Call) -> Answer:
    """Tell it."""
    found = services.engine.learning.configuration(call.path["model_id"])
    return Answer(body=_view(services, call).configuration(found))


@operation("Learning_UpdateConfiguration")
def update_configuration(services: Services, call: Call) -> Answer:
    """Change it."""
    header = call.given["X-Spark-Service-Instance"]
    changed = services.engine.learning.change(call.path["model_id"], call.body, header)
    return Answer(body=_view(services, call).configuration(changed))


@operation("Learning_StoreFeedback")
def store_feedback(services: Services, call: Call) -> Answer:
    """Take rows."""
    return Answer(body={"count": services.engine.learning.store_feedback(call.path["model_id"], call.body)})


@operation("Learning_CreateIteration")
def create_iteration(services: Services, call: Call) -> Answer:
    """Start one."""
    model_id = call.path["model_id"]
    started = services.engine.learning.iterate(model_id)
    model, _ = services.engine.learning.iteration(model_id, started.id)
    shown = _view(services, call).iteration(model, started)
    return Answer(201, shown, {"location": shown["metadata"]["url"]})


@operation("Learning_ListIterations")
def list_iterations(services: Services, call: Call) -> Answer:
    """All of a model."""
    view, limit, state = _view(services, call), call.given["limit"], call.given["status"]
    model, found = services.engine.learning.page(call.path["model_id"], limit, start_of(call), state)
    url = view.iterations_url(model.id)
    return Answer(body=page(found, url, limit, lambda each: view.iteration(model, each), {"status": state}))


@operation("Learning_GetIteration")
def get_iteration(services: Services, call: Call) -> Answer:
    """One of them."""
    model, found = services.engine.learning.iteration(call.path["model_id"], call.path["iteration_id"])
    return Answer(body=_view(services, call).iteration(model, found))


def _view(services: Services, call: Call) -> LearningViews:
    return LearningViews(views(services, call), services.engine.store.models.version)
