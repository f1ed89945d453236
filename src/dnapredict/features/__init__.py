"""From checked rows to the matrix of agreed factors, as known when an appointment is scored."""
