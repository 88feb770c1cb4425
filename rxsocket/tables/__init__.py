"""Messages as rows of a table, for pandas, polars, Arrow and Parquet."""
