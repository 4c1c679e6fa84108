"""JSON schemas of what Slack and PagerDuty take, written from what they publish.

Slack: docs.slack.dev, "Sending messages using incoming webhooks", and the blocks' and attachments' reference: a message has
text or blocks; a header's plain text has at most 150 characters, a section's text 3000, its fields are at most 10 of 2000, a
context has at most 10 elements, a message at most 50 blocks.
PagerDuty: developer.pagerduty.com, "Send an event to PagerDuty" (Events API v2): routing_key of 32 characters, dedup_key of at
most 255, summary of at most 1024; severity is one of four; timestamp is ISO 8601.
"""
TEXT = {"type": "object", "required": ["type", "text"], "additionalProperties": False,
        "properties": {"type": {"enum": ["plain_text", "mrkdwn"]}, "text": {"type": "string", "minLength": 1},
                       "emoji": {"type": "boolean"}, "verbatim": {"type": "boolean"}}}


def text(kind=None, most=3000):
    limits = {"text": {"type": "string", "minLength": 1, "maxLength": most}}
    if kind:
        limits["type"] = {"const": kind}
    return {"allOf": [TEXT, {"properties": limits}]}


def block(kind, required, **properties):
    return {"if": {"properties": {"type": {"const": kind}}},
            "then": {"required": required, "additionalProperties": False,
                     "properties": {"type": {}, "block_id": {"type": "string", "maxLength": 255}, **properties}}}


BLOCK = {
    "type": "object", "required": ["type"], "properties": {"type": {"enum": ["header", "section", "context", "divider"]}},
    "allOf": [
        block("header", ["text"], text=text("plain_text", 150)),
        block("section", [], text=text(), fields={"type": "array", "minItems": 1, "maxItems": 10, "items": text(most=2000)}),
        block("context", ["elements"], elements={"type": "array", "minItems": 1, "maxItems": 10, "items": text()}),
        block("divider", []),
    ],
}
BLOCKS = {"type": "array", "minItems": 1, "maxItems": 50, "items": BLOCK}
SLACK = {
    "type": "object", "additionalProperties": False, "anyOf": [{"required": ["text"]}, {"required": ["blocks"]}],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 40000},
        "blocks": BLOCKS,
        "attachments": {"type": "array", "maxItems": 20, "items": {
            "type": "object", "additionalProperties": False,
            "properties": {"color": {"type": "string", "pattern": "^(good|warning|danger|#[0-9A-Fa-f]{6})$"},
                           "fallback": {"type": "string", "minLength": 1}, "blocks": BLOCKS}}},
    },
}

TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)$"
PAGERDUTY = {
    "type": "object", "required": ["routing_key", "event_action"], "additionalProperties": False,
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": {"type": "string"}, "client_url": {"type": "string"},
        "links": {"type": "array"}, "images": {"type": "array"},
        "payload": {
            "type": "object", "required": ["summary", "source", "severity"], "additionalProperties": False,
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string", "pattern": TIME},
                "component": {"type": "string"}, "group": {"type": "string"}, "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
        },
    },
    "allOf": [
        {"if": {"properties": {"event_action": {"const": "trigger"}}}, "then": {"required": ["payload"]}},
        {"if": {"properties": {"event_action": {"enum": ["acknowledge", "resolve"]}}}, "then": {"required": ["dedup_key"]}},
    ],
}
