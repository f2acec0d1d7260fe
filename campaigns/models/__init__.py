"""Everything about what is shown and sent that PostgreSQL keeps."""

from .content import Content, Placement
from .filters import Filter
from .messages import Campaign, Message
from .reactions import Call, Reaction, Receiver, Webhook

__all__ = ["Call", "Campaign", "Content", "Filter", "Message", "Placement", "Reaction", "Receiver", "Webhook"]
