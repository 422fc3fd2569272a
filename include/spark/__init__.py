"""Reports on Spark: accounts are spread over its tasks, and each books and reports its own with the code of every run.

An optional extra (docs/spark.md). `plan` says what is asked, `frame` gives the rows as a DataFrame. What runs in
Spark's Python workers is in `tasks`, and knows no Spark: Arrow batches in, Arrow batches out.
"""
