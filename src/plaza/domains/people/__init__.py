"""People: who is in an organisation, claimed or not, what they say of themselves and what others see of them.

Tables: `person`, `profile`, `directory_entry` (who is listed, and found by what), `address_change` (which address was
whose). Facts: `person.suspended`, `person.reassigned`, `person.unlisted`, `person.address_changed`.
`card(person, viewer)` is the SQL of a `PersonCard`, which every record that shows a person carries; `fragments` is the
one place that says who sees what of somebody, and whom an address or an id names.
"""

from plaza.domains.people.addressing import AddressTaken, AddressWaiting
from plaza.domains.people.facts import AddressChanged, PersonReassigned, PersonSuspended, PersonUnlisted
from plaza.domains.people.finding import Sought, sought
from plaza.domains.people.fragments import card, met, named, open_card, public_profile
from plaza.domains.people.schemas import PersonCard, PublicProfile
from plaza.domains.people.service import NoSuchPerson, Suspended, invite, meet, naming
from plaza.domains.people.signing import SignerUnknown

__all__ = [
    "AddressChanged",
    "AddressTaken",
    "AddressWaiting",
    "NoSuchPerson",
    "PersonCard",
    "PersonReassigned",
    "PersonSuspended",
    "PersonUnlisted",
    "PublicProfile",
    "SignerUnknown",
    "Sought",
    "Suspended",
    "card",
    "invite",
    "meet",
    "met",
    "named",
    "naming",
    "open_card",
    "public_profile",
    "sought",
]
