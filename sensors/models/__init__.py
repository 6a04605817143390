from sensors.models.event import Event, EventStatus
from sensors.models.sensor import Sensor
from sensors.models.timer import Timer
from sensors.models.timer_slot import SlotOutcome, TimerSlot
from sensors.models.trigger import Trigger

__all__ = ["Event", "EventStatus", "Sensor", "SlotOutcome", "Timer", "TimerSlot", "Trigger"]
