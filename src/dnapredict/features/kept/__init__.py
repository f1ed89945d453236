"""The files of a history store: appointments found by patient, counts found by key and day."""
