"""`load` under the name by which the scripts of earlier releases import it."""

from dnapredict.model.artefact import load as load
