"""Models: published once, then deployed as often as wanted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wmlclient.certificate import Certificate
from wmlclient.errors import NotFoundError
from wmlclient.model import Model
from wmlclient.pages import Pages
from wmlclient.translate import translate

if TYPE_CHECKING:
    from wmlclient.service import Service

__all__ = ["Model", "Models"]

COLUMNS = (
    ("name", "name"),
    ("type", "model_type"),
    ("label", "label_col"),
    ("created", "created_at"),
    ("id", "id"),
)


class Models:
    """``client.models``: all published models of the instance."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def publish(
        self,
        pipeline_model: Any,
        name: str,
        *,
        sample: Any = None,
        label_col: str | None = None,
        pipeline: Any = None,
        training_schema: Any = None,
        description: str | None = None,
        author: str | Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        certificate: Certificate | str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> Model:
        """Publishes a fitted Spark ML pipeline.

        Saves it in the session it lives in, without setting anything there, and uploads it. The service then checks
        its own scorer against Spark; see :attr:`Model.parity`.

        Args:
            pipeline_model: a fitted ``PipelineModel``; or any other fitted stage; or the path of a saved one, its
                folder or its ``.tar.gz``.
            name: a name for the model.
            sample: rows like those it was trained on, as Spark or pandas DataFrame or as list of dicts. The first
                1,000 go into the check, and their columns tell what the model reads.
            label_col: the column it predicts; by default found in the pipeline.
            pipeline: the unfitted ``Pipeline``; it is published as training definition first.
            training_schema: the columns and their types, instead of what the sample says: a ``StructType``, its
                JSON, or DDL such as ``"id int, text string"``. Needed without a sample.
            description: what it is for.
            author: a name, or a dict with ``name`` and ``email``.
            metrics: what it was found to be worth, such as ``{"areaUnderROC": 0.76}``; kept with it, see
                :attr:`Model.evaluations`.
            certificate: a parity certificate that was made elsewhere, or its file, for a service without Java;
                ``"local"`` makes it in the Spark session of this process first. One that does not fit is not
                accepted, and :attr:`Model.parity` says why.
            progress: True shows a progress bar, False does not, None shows it on a terminal or in a notebook.

        Raises:
            NotAModelError: it is no fitted Spark ML pipeline.
            PayloadError: sample, schema or label do not go with it.
            ApiError: the service refuses it. Nothing of it is left there.

        Example:
            >>> model = client.models.publish(fitted, name="Sentiment", sample=train)    # doctest: +SKIP
            >>> model.parity.engine                                                      # doctest: +SKIP
            'native'
        """
        from wmlclient.publishing import publish

        resource = publish(
            self._service,
            pipeline_model,
            name,
            sample=sample,
            label_col=label_col,
            pipeline=pipeline,
            training_schema=training_schema,
            description=description,
            author=author,
            metrics=metrics,
            certificate=certificate,
            progress=progress,
        )
        return Model(self._service, resource)

    def get(self, model_id: str) -> Model:
        """One model, by its id.

        Raises:
            NotFoundError: there is none.
        """
        service = self._service
        with translate():
            return Model(service, service.api.published_models.get(service.instance_id, model_id))

    def find(self, name: str) -> Model:
        """The newest model of that name.

        Raises:
            NotFoundError: there is none.
        """
        found = [model for model in self.list() if model.name == name]
        if not found:
            raise NotFoundError(f"There is no model named {name!r}. client.models.list() lists all.")
        return max(found, key=lambda model: model.created_at)

    def list(self) -> Pages[Model]:
        """All models, fetched as they are walked."""
        service = self._service
        return Pages(
            lambda start: service.api.published_models.list(service.instance_id, start=start),
            lambda resource: Model(service, resource),
            "models",
            COLUMNS,
        )

    def __repr__(self) -> str:
        return "<models: .publish(fitted, name=..., sample=...), .list(), .get(id), .find(name)>"
