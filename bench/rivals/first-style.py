"""An event bus as one writes it first: FastAPI, sqlite3 with its defaults (rollback journal, synchronous FULL), a
connection and a commit for each event, subscriptions matched by SQL LIKE. A rival for the bench, nothing else."""

import json
import sqlite3
import sys
import uuid
from datetime import datetime, timezone

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

FILE, PORT = sys.argv[1], int(sys.argv[2])

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
  id TEXT PRIMARY KEY, timestamp TEXT NOT NULL, source_agent TEXT NOT NULL, action TEXT NOT NULL, target TEXT,
  details TEXT, requires_human INTEGER DEFAULT 0, subscribed_agents TEXT, acknowledged_by TEXT,
  status TEXT DEFAULT 'pending');
CREATE INDEX IF NOT EXISTS by_time ON events (timestamp);
CREATE INDEX IF NOT EXISTS by_source ON events (source_agent);
CREATE INDEX IF NOT EXISTS by_status ON events (status);
CREATE TABLE IF NOT EXISTS agent_subscriptions (agent_name TEXT, action_pattern TEXT, priority INTEGER, enabled INTEGER);
"""

DEFAULTS = {
    "AEGIS": {"workflow_created": 1, "workflow_modified": 1, "container_deployed": 1, "credential_*": 1, "config_changed": 2},
    "CHRONOS": {"build_started": 1, "deploy_started": 1, "upgrade_started": 1, "config_changed": 2},
    "HADES": {"*_failed": 1, "audit_failed": 1, "health_check_failed": 1},
    "ALOY": {"workflow_deployed": 1, "container_started": 1, "restore_completed": 1, "config_changed": 2},
    "ATHENA": {"*": 10},
    "ARIA": {"*": 10, "human_input_required": 1},
    "HERMES": {"*_completed": 5, "*_failed": 1, "human_input_required": 1, "credential_expiring": 1, "backup_completed": 5},
    "ARGUS": {"health_*": 1, "*_started": 5, "*_completed": 5},
}


class EventIn(BaseModel):
    source_agent: str
    action: str
    target: str | None = None
    details: dict | None = None
    requires_human: bool = False


app = FastAPI()


def connect():
    db = sqlite3.connect(FILE)
    db.row_factory = sqlite3.Row
    return db


@app.get("/health")
def health():
    db = connect()
    head = db.execute("SELECT count(*) FROM events").fetchone()[0]
    db.close()
    return {"status": "healthy", "head": head}


@app.post("/events", status_code=201)
async def publish(event: EventIn):
    db = connect()
    agents = [
        row["agent_name"]
        for row in db.execute(
            "SELECT DISTINCT agent_name FROM agent_subscriptions"
            " WHERE enabled = 1 AND ? LIKE REPLACE(action_pattern, '*', '%') ORDER BY priority",
            (event.action,),
        )
    ]
    event_id = str(uuid.uuid4())
    db.execute(
        "INSERT INTO events (id, timestamp, source_agent, action, target, details, requires_human, subscribed_agents)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event_id,
            datetime.now(timezone.utc).isoformat(),
            event.source_agent,
            event.action,
            event.target,
            json.dumps(event.details),
            event.requires_human,
            json.dumps(agents),
        ),
    )
    db.commit()
    db.close()
    return {"id": event_id, "status": "created", "subscribed_agents": agents}


if __name__ == "__main__":
    setup = connect()
    setup.executescript(SCHEMA)
    setup.executemany(
        "INSERT INTO agent_subscriptions VALUES (?, ?, ?, 1)",
        [(agent, pattern, priority) for agent, hears in DEFAULTS.items() for pattern, priority in hears.items()],
    )
    setup.commit()
    setup.close()
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning", access_log=False)
