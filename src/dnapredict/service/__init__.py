"""The scoring service and the booking team's page."""
