"""A run told over time: its clock, its timers, what it hears and what it says."""

from datetime import timedelta

from tests.engine.playbooks.playbook_samples import NOON, STEADY, minutes, sample

from beforehand.engine.playbooks.moves import Reach, Tell
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.run import advance, on_event, start

OUTAGE_PLAYBOOK = parse_playbook(STEADY)
FEW = Reach(count=5_000)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Story:
    """One run and its clock; remembers every tell."""

    def __init__(self, playbook=OUTAGE_PLAYBOOK, *, began_at=None, reach=FEW, lead=timedelta(0), now=NOON):
        self.playbook, self.reach, self.lead, self.now = playbook, reach, lead, now
        self.tells: list[Tell] = []
        self.take(start(playbook, now=now, reach=reach, began_at=began_at, lead=lead))

    def take(self, result):
        self.last = result
        self.position = result.position
        self.tells.extend(result.tells)
        return result

    def timer(self, after=timedelta(0), told=False):
        self.now += after
        return self.take(
            advance(self.playbook, self.position, now=self.now, told=told, reach=self.reach, lead=self.lead)
        )

    def all_told(self, after=timedelta(0)):
        return self.timer(after, told=True)

    def hears(self, event_type, after=timedelta(0)):
        self.now += after
        result = on_event(
            self.playbook, self.position, event_type=event_type, now=self.now, reach=self.reach, lead=self.lead
        )
        if result is not None:
            self.take(result)
        return result

    @property
    def keys(self):
        return [(tell.step, tell.turn) for tell in self.tells]


def playing(steps, **options):
    return Story(parse_playbook(sample(steps)), **options)


def after_first_notice(**options):
    story = Story(**options)
    story.timer(minutes(3))
    story.all_told(timedelta(seconds=20))
    return story
