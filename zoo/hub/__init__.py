"""Models to a hub: their repository, with a card that says what they are."""

from zoo.hub.card import Score
from zoo.hub.pushing import push

__all__ = ["Score", "push"]
