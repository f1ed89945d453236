"""The service as it is, with the double for a scorer: what BentoML serves in the browser tests."""

from tests.service.double import AgeScorer

from dnapredict.service.app import build
from dnapredict.service.champion import Champion, Standing
from dnapredict.service.start import served_home

service = build(
    served_home(),
    Champion(standing=lambda: Standing("7"), open_scorer=lambda version: AgeScorer(model_version=version)),
)
