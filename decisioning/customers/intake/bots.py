"""A browser's User-Agent text in; whether a program without a person behind it sent it, out.

Crawlers are what ua-parser's patterns (the uap-core project) call the device family "Spider"; browsers driven by
programs and monitors of web sites call themselves ordinary browsers there, and are known by a word of their own.
"""

import re
from functools import lru_cache

import ua_parser

LONGEST = 512
SPIDER = "Spider"
DRIVEN = re.compile(
    r"headless|phantomjs|slimerjs|puppeteer|playwright|selenium|webdriver|cypress|electron-prerender|prerender"
    r"|lighthouse|pagespeed|gtmetrix|webpagetest|ptst/|speedcurve|calibreapp"
    r"|pingdom|uptime|statuscake|site24x7|newrelic|datadog|catchpoint|monitis|dynatrace|checkly|better ?stack"
    r"|zabbix|nagios"
    r"|(?<!cu)bot\b|crawler|spider|slurp|proofpoint|mimecast|barracuda",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def is_bot(user_agent: str) -> bool:
    """True for crawlers, previews, monitors and driven browsers; False for "" (nothing is known then)."""
    known = user_agent[:LONGEST]
    if not known:
        return False
    if DRIVEN.search(known):
        return True
    device = ua_parser.parse_device(known)
    return device is not None and device.family == SPIDER
