"""People: who is in an organisation, claimed or not, and the little that others see of them.

Table: `person`. `card(alias)` is the SQL of a `PersonCard`, which every record that shows a person carries.
"""

from plaza.domains.people.facts import PersonSuspended
from plaza.domains.people.queries import card
from plaza.domains.people.schemas import PersonCard
from plaza.domains.people.service import NoSuchPerson, Suspended, invite

__all__ = ["NoSuchPerson", "PersonCard", "PersonSuspended", "Suspended", "card", "invite"]
