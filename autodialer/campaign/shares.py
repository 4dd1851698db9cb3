"""Fair shares of what the machine can do at once: no user takes all of it while another has calls to make. Pure."""

from collections.abc import Mapping


def fair_shares(wanted: Mapping[int, int], room: int) -> dict[int, int]:
    """How much of the room each user may have (max-min fairness).

    Nobody gets more than is wanted, and what one leaves goes to the others: a user who is alone has it all. Where the
    room does not divide, the users with the smaller keys have one more.
    """
    shares: dict[int, int] = {}
    left = room
    # The modest first: what they leave of an equal share is then divided among the others.
    rest = sorted(wanted, key=lambda user: (wanted[user], -user))
    while rest:
        user = rest.pop(0)
        shares[user] = min(wanted[user], left // (len(rest) + 1))
        left -= shares[user]
    return shares
