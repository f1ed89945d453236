"""The risk of a missed appointment: figures, calibration, training, the stored model and its reasons."""
