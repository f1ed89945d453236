"""The registered model as MLflow loads it: rows of the contract in, one risk for each row out."""
