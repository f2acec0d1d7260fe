"""Everything about what is shown and sent that PostgreSQL keeps."""

from .contacts import ContactLimit
from .content import Content, Placement
from .filters import Filter
from .holdout import Holdout
from .messages import Campaign, Message
from .reactions import Call, Reaction, Receiver, Webhook
from .windows import Window

__all__ = [
    "Call",
    "Campaign",
    "ContactLimit",
    "Content",
    "Filter",
    "Holdout",
    "Message",
    "Placement",
    "Reaction",
    "Receiver",
    "Webhook",
    "Window",
]
