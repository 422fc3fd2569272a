"""From a model's rows to the rows of a file: filters, order, aggregation, chosen columns, privacy."""
