"""What a worklist is for and what it is never for, in the words that every page and answer uses."""

from typing import Final

USE: Final = "supportive contact"
NEVER_FOR: Final = (
    "book two patients into one appointment",
    "discharge a patient or take them off a waiting list",
    "delay, move back or withhold anyone's care",
    "judge a patient, or note on their record that they are likely to miss appointments",
)
