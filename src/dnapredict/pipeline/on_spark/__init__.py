"""The verbs on Apache Spark: the executors read, check and compute, and this process gets counts or finished tables."""
