"""The permitted use of a worklist and the prohibited uses, in the words of every page and answer."""

from typing import Final

USE: Final = "supportive contact"
NEVER_FOR: Final = (
    "book two patients into one appointment",
    "discharge a patient or take them off a waiting list",
    "delay, move back or withhold anyone's care",
    "judge a patient, or note on their record that they are likely to miss appointments",
)
