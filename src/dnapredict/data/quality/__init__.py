"""How good an extract is, counted: exact figures, for `check_report` to round before anybody reads them."""
