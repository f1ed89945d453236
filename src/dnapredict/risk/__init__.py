"""Names that models of earlier releases import; everything else is in `dnapredict.model`.

MLflow keeps a script with each registered model, and those registered before the package was renamed import
`load` from `dnapredict.risk.artefact`.
"""
