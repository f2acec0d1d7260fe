"""Nothing comes in; the names of the events that built-in facts are made from come out, as the Segment Spec has them.

Source: https://segment.com/docs/connections/spec/ecommerce/v2/ and .../spec/email/; what it has no name for (contents,
messages, coupons) is named in the same way.
"""

from typing import Final

DONE: Final = ("track", "page", "screen")
"""Types of what a customer does; the others only tell who it is."""
ORDER: Final = "Order Completed"
REDEEMED: Final = "Coupon Redeemed"
RECEIVED: Final = "Campaign Received"

ADDED: Final = "Product Added"
REMOVED: Final = "Product Removed"
CART: Final = "Cart Viewed"
CHECKOUT: Final = "Checkout Started"
BASKET: Final = (ADDED, REMOVED, CART, CHECKOUT)

SEARCHED: Final = "Products Searched"
VIEWED: Final = "Product Viewed"

SHOWN: Final = "Content Viewed"
CLICKED: Final = "Content Clicked"
CONVERTED: Final = "Content Converted"
SENT: Final = "Message Sent"
OPENED: Final = "Message Opened"
FOLLOWED: Final = "Message Clicked"

PASSIVE: Final = (RECEIVED, "Email Delivered", "Email Bounced", "Push Notification Received", SHOWN, CONVERTED, SENT)
"""Events that happen to a customer rather than by one: they are no visits."""
