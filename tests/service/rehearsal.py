"""The service as it is, with the double for a scorer: what BentoML serves in the browser tests."""

from tests.service.double import steady_champion

from dnapredict.service.app import build
from dnapredict.service.start import served_config, served_home

service = build(served_home(), steady_champion(), config=served_config())
