-- Secret values of calls, apart from the events, which hold only the placeholder. sealed: AES-256-GCM with a key that lies
-- beside the tokens in the home, in base64. until: milliseconds since the Unix epoch; then it is deleted at the latest.
CREATE TABLE call_secrets (
  call TEXT NOT NULL,
  side TEXT NOT NULL CHECK (side IN ('arguments', 'result')),
  member TEXT NOT NULL,
  placeholder TEXT NOT NULL,
  sealed TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (call, side, member)
) WITHOUT ROWID;
