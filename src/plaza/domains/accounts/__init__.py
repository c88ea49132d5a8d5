"""Built-in accounts, for organisations without a login of their own: passwords, sessions, verified addresses, mail.

Tables: `account`, `session`, `account_code`, `mail`, `mail_quota`. Facts: `session.ended`, `mail.posted`.
An account has no person until its address is verified by mail; then it claims the person whom others may have named by
the address (contract, decision 16). A session is a family of refresh tokens; its access tokens carry its id as `sid`.
"""

from plaza.domains.accounts.facts import MailPosted, SessionEnded
from plaza.domains.accounts.service import readdress
from plaza.domains.accounts.sessions import TokenRevoked, over, resume

__all__ = ["MailPosted", "SessionEnded", "TokenRevoked", "over", "readdress", "resume"]
