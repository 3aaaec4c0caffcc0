"""Every way on which a run can go through a row of steps."""

from beforehand.engine.playbooks.language import IfStep, SkipStep, Step

Way = tuple[Step, ...]


def paths(steps: Way) -> tuple[Way, ...]:
    """The ways through these steps: two for each `if`, so at most 2 to the power of `MAX_IFS`. Skips are left out."""
    return tuple(_from(steps, 0))


def _from(steps: Way, index: int) -> list[Way]:
    if index >= len(steps):
        return [()]
    match steps[index]:
        case SkipStep() as skip:
            return _from(steps, index + skip.count + 1)
        case IfStep() as step:
            ways = [*_from(steps, index + 1), *_from(steps, index + step.then_count + 2)]
            return [(step, *way) for way in ways]
        case step:
            return [(step, *way) for way in _from(steps, index + 1)]
