"""A write key in; the settings document that Segment's or RudderStack's client asks for before it sends, out.

Both say the same: send everything here, and nothing to anybody else.
"""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

SETTINGS_PREFIX, SETTINGS_SUFFIX = "/v1/projects/", "/settings"
RUDDER = ("/sourceConfig", "/sourceConfig/")


def settings_key(path: str) -> str:
    """The write key within `/v1/projects/<key>/settings`; "" for another path."""
    if path.startswith(SETTINGS_PREFIX) and path.endswith(SETTINGS_SUFFIX):
        key = path[len(SETTINGS_PREFIX) : -len(SETTINGS_SUFFIX)]
        return "" if "/" in key else key
    return ""


def segment(write_key: str, address: str) -> bytes:
    """What `@segment/analytics-next` and Segment's mobile clients load; `address` is ours, `https://host`."""
    split = urlsplit(address)
    host = f"{split.netloc}{split.path.rstrip('/')}/v1"
    everything = {"__default": {"enabled": True, "integrations": {}}}
    document: dict[str, Any] = {
        "integrations": {
            "Segment.io": {
                "apiKey": write_key,
                "apiHost": host,
                "protocol": split.scheme,
                "addBundledMetadata": True,
                "unbundledIntegrations": [],
                "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
            }
        },
        "plan": {"track": everything, "identify": everything, "group": everything},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0, "host": host},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }
    return msgspec.json.encode(document)


def rudder(prefix: str, at: datetime) -> bytes:
    """What RudderStack's clients load; `prefix` is the public part of the key, `at` when its settings last changed."""
    silent = {"enabled": False}
    source: dict[str, Any] = {
        "id": prefix,
        "name": "decisioning",
        "enabled": True,
        "workspaceId": "decisioning",
        "updatedAt": at,
        "config": {"statsCollection": {"errors": silent, "metrics": silent}},
        "destinations": [],
    }
    return msgspec.json.encode({"source": source, "updatedAt": at})
