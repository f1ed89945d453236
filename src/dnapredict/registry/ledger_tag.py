"""MLflow is told how far the ledger of decisions went, so that a ledger that was removed or put back is noticed."""

from typing import Final

from dnapredict.errors import ModelError
from dnapredict.registry.mlflow_store import MODEL_NAME, Store

_TAG: Final = "decisions"


class LedgerTag:
    """Number and seal of the ledger's last entry, as a tag of the registered model.

    Parameters
    ----------
    store
        The MLflow store of the home that the ledger is of.
    """

    def __init__(self, store: Store) -> None:
        """Name the store; nothing is read yet."""
        self._store = store

    def read(self) -> str:
        """What was told last; "" where nothing was, such as in a home without a model."""
        if not self._store.has_database():
            return ""
        try:
            with self._store.sentences(otherwise=ModelError("no model is registered")):
                return str(self._store.client.get_registered_model(MODEL_NAME).tags.get(_TAG, ""))
        except ModelError:
            return ""

    def write(self, head: str) -> None:
        """Keep it; nothing is kept in a home without a model."""
        with self._store.sentences():
            self._store.client.set_registered_model_tag(MODEL_NAME, _TAG, head)
