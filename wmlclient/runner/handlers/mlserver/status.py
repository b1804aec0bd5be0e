"""Health."""

from __future__ import annotations

from ..registry import Answer, Call, Services
from . import operation


@operation("status")
def status(services: Services, call: Call) -> Answer:
    """The parts and how they are. What cannot be asked for is not reported as well."""
    services.engine.store.setting("instance_id")
    count, most = services.engine.sessions.counts()
    return Answer(
        body={
            "statusCode": "pass" if count < most else "warn",
            "components": {
                "backends": {
                    "statusCode": "pass",
                    "components": {
                        call.base: {
                            "statusCode": "pass" if count < most else "warn",
                            "components": None,
                            "details": {
                                "pythonMaxPoolSize": most,
                                "pythonActiveShellCount": count,
                                "pythonCanOpenShell": str(count < most),
                            },
                        }
                    },
                    "details": {},
                },
                "authentication": {"statusCode": "pass", "components": None, "details": {}},
                "database": {
                    "statusCode": "pass",
                    "components": None,
                    "details": {"type": "sqlite", "name": "main", "state": "Open"},
                },
            },
            "details": {},
        }
    )
