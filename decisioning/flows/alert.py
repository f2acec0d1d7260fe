"""Something that somebody should know in; a warning in the log, and a mail to those whom ALERT_EMAILS names, out."""

import logging

from django.core.mail import mail_managers

log = logging.getLogger(__name__)


def alert(subject: str, text: str) -> None:
    """Tell it. A mail server that does not answer is no reason to stop."""
    log.warning("%s", text)
    mail_managers(subject, text, fail_silently=True)
