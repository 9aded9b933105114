"""The body of POST /alerts in Alertmanager's API v2, as its OpenAPI description defines it (postableAlerts)."""

LABELS = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
}
TIME = {"type": "string", "format": "date-time"}
ALERTS = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "additionalProperties": False,
        "properties": {
            "startsAt": TIME,
            "endsAt": TIME,
            "annotations": LABELS,
            "labels": {**LABELS, "minProperties": 1},
            "generatorURL": {"type": "string", "format": "uri"},
        },
    },
}
