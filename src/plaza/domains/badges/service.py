"""Use cases of badges, in the order of the documentation: what members see, what staff make and give."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from plaza.domains.badges import awarding, queries
from plaza.domains.badges.awarding import Given
from plaza.domains.badges.schemas import Award, Badge, BadgeChanges, EarnedBadge, NewBadge, Recipient, Which
from plaza.domains.people import NoSuchPerson, meet, naming
from plaza.kernel import ids
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context
from plaza.kernel.errors import Conflict, Invalid, Missing, Refusal, StaffOnly
from plaza.kernel.paging import Listing, Paging, listing
from plaza.kernel.routes import Made
from plaza.kernel.wire import Ok

MOST_TRIES = 10


class NoSuchBadge(Missing):
    """No badge of this id in this organisation."""

    reason = "badge.not_found"
    message = "There is no such badge."


class NameTaken(Conflict):
    """A badge of the organisation, perhaps a retired one, has this name."""

    reason = "badge.name_taken"
    message = "There is a badge of this name."


class NoCriterion(Invalid):
    """Half a criterion, or an automatic badge without one."""

    reason = "badge.criterion"
    message = "A criterion has a type and a value; a badge without one is given by staff (autoAward is false)."


class BadgeChanged(Conflict):
    """The badge is not at the version that the change was made for."""

    reason = "badge.version"
    message = "The badge has been changed meanwhile; read it again."


class BadgeRetired(Conflict):
    """Nobody gets a retired badge any more."""

    reason = "badge.retired"
    message = "This badge is retired; make it active to give it again."


_REFUSALS: dict[str, type[Refusal]] = {"no badge": NoSuchBadge, "nobody": NoSuchPerson, "retired": BadgeRetired}


async def badges(ctx: Context, which: Which) -> Listing[Badge]:
    """The badges that can be earned here, the newest first; staff may ask for the retired ones instead."""
    if which.status == "retired" and not ctx.me.is_staff:
        raise StaffOnly
    rows = await ctx.db.all(queries.LIST, **which.place, org=ctx.org.id, status=which.status)
    return listing(rows, which)


async def mine(ctx: Context, paging: Paging) -> Listing[EarnedBadge]:
    """The badges that you have earned, the newest first; those retired since are among them."""
    rows = await ctx.db.all(queries.MINE, **ctx.viewer, **paging.place)
    return listing(rows, paging)


async def badge(ctx: Context, badge_id: str) -> Badge:
    """A badge by its id, also a retired one."""
    found = await ctx.db.maybe(queries.FIND, org=ctx.org.id, id=ids.parse(badge_id))
    if found is None:
        raise NoSuchBadge
    return found


async def create(ctx: Context, new: NewBadge) -> Badge:
    """Make a badge; left out, `autoAward` is whether there is a criterion.

    Who meets the criterion already gets the badge within a day.
    """
    given = msgspec.structs.asdict(new)
    if new.auto_award is None:
        given["auto_award"] = new.criteria_type is not None
    _check_criterion(given)
    made = await ctx.db.maybe(queries.CREATE, org=ctx.org.id, id=ctx.new_id(), now=ctx.now, **given)
    if made is None:
        raise NameTaken
    return made


def _check_criterion(given: dict[str, Any]) -> None:
    half = (given["criteria_type"] is None) != (given["criteria_value"] is None)
    if half or (given["auto_award"] and given["criteria_type"] is None):
        raise NoCriterion


async def change(ctx: Context, badge_id: str, changes: BadgeChanges) -> Badge:
    """Change a badge; whoever has it keeps it, also when its criterion becomes another.

    With `version`, or the header `If-Match`, the change is made only where the badge is still at that version.
    """
    given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    meant = given.pop("version", None)
    for _ in range(MOST_TRIES):
        before = await badge(ctx, badge_id)
        if meant not in (None, before.version) or not ctx.means(before.version):
            raise BadgeChanged
        after = {name: given.get(name, getattr(before, name)) for name in BadgeChanges.__struct_fields__}
        _check_criterion(after)
        after["version"] = before.version
        changed = await ctx.db.maybe(queries.CHANGE, org=ctx.org.id, id=int(before.id), now=ctx.now, **after)
        if changed is not None:
            return changed
    raise BadgeChanged


async def retire(ctx: Context, badge_id: str) -> Ok:
    """Retire a badge: whoever has it keeps it, nobody gets it any more."""
    if not await ctx.db.one(queries.RETIRE, org=ctx.org.id, id=ids.parse(badge_id), now=ctx.now):
        raise NoSuchBadge
    return Ok()


async def award(ctx: Context, badge_id: str, recipient: Recipient) -> Made[Award]:
    """Give somebody a badge, whatever its criterion; who has it keeps the one they have, and the answer is 200."""
    badge = ids.parse(badge_id)

    async def give(**whom: Any) -> Given:
        return await ctx.db.one(awarding.GIVE, **whom, org=ctx.org.id, id=ctx.new_id(), badge=badge, now=ctx.now)

    given = await meet(ctx, PersonRef(recipient.email), "email", give)
    if given.award is None:
        raise _REFUSALS[given.verdict]
    return Made(given.award, given.new, given.id)


async def awarded(ctx: Context, id: str) -> Award:  # noqa: A002 — the documentation's own name
    """An award as it is now; `NoSuchBadge` where it was taken back."""
    found = await ctx.db.maybe(awarding.FIND, org=ctx.org.id, id=ids.parse(id))
    if found is None:
        raise NoSuchBadge
    return found


async def take_back(ctx: Context, badge_id: str, email: PersonRef) -> Ok:
    """Take a badge back from somebody, who gets it again by staff alone; who does not have it stays without."""
    names = naming(ctx, email, "email")
    there = await ctx.db.one(awarding.TAKE_BACK, **ctx.viewer, **names, badge=ids.parse(badge_id), now=ctx.now)
    if not there:
        raise NoSuchBadge
    return Ok()
