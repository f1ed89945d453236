"""An endpoint of the same framework that reads a request and answers: what costs more is ours."""

from typing import Any

import bentoml


@bentoml.service(name="echo", workers=2, threads=4, logging={"access": {"enabled": False}})
class Echo:
    """Answers with how many appointments it was sent."""

    @bentoml.api(route="/v1/score")
    def score(self, appointments: list[dict[str, Any]], reasons: bool = True) -> dict[str, Any]:
        """Count the appointments."""
        return {"results": len(appointments), "reasons": reasons}
