"""Why a registry gave no usable answer.

    Unanswered
    ├── NoAnswer            nothing whole came in time: the customer sees 504
    │   ├── ConnectFailed   refused, unreachable, unresolved, not verified, or too slow to connect
    │   ├── TimedOut        the try's deadline passed
    │   ├── Reset           the connection was lost before the reply was whole
    │   └── PoolExhausted   our own bound on open connections: says nothing about the registry
    └── BadAnswer           an answer came and cannot be used: the customer sees 502
        ├── BodyTooLarge
        ├── HeadersTooLarge
        └── BadReply        not HTTP/1.x

Their texts are for operators' logs: they name no header's value and never reach a customer.
"""


class Unanswered(Exception):  # noqa: N818  # what happened, not that something is wrong with us
    """A registry was asked and gave no usable answer."""


class NoAnswer(Unanswered):
    """Nothing whole came in time."""


class ConnectFailed(NoAnswer):
    """No connection: refused, unreachable, unresolved, not verified, or slower than the connect time-out."""


class TimedOut(NoAnswer):
    """The try's deadline passed."""


class Reset(NoAnswer):
    """The connection was lost before the reply was whole."""


class PoolExhausted(NoAnswer):
    """Our own bound on open connections is reached: says nothing about the registry."""


class BadAnswer(Unanswered):
    """An answer came and cannot be used."""


class BodyTooLarge(BadAnswer):
    """The body is longer than its bound; refused while it was read."""


class HeadersTooLarge(BadAnswer):
    """The headers are longer than their bound; refused while they were read."""


class BadReply(BadAnswer):
    """What came is not HTTP/1.x."""
