"""The part of Spark's SQL that is scored without Spark: expressions over the columns of one row."""
