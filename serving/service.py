"""The service for BentoML's own tools: `bentoml serve serving.service:service`, `bentoml build`.

It serves the home that DNAPREDICT_HOME names. `dnapredict serve` needs no more than this does.
"""

from dnapredict.service.app import service

__all__ = ["service"]
