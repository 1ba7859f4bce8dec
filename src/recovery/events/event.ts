/** What the bus is told, as it lies in the outbox and as it is published. */
export type OutboxEvent = {
  /** Its own for ever, so that the bus stores it once however often it is sent. */
  id: string;
  source_agent: 'GAIA';
  action:
    | 'backup_completed'
    | 'backup_failed'
    | 'backup_verified'
    | 'drill_completed'
    | 'drill_failed'
    | 'restore_started'
    | 'restore_completed'
    | 'restore_failed'
    | 'restore_rolled_back';
  target: string;
  /** What belongs to one run has the same. */
  correlation_id?: string;
  /** The event that a run was begun for. */
  causation_id?: string;
  details: { happened_at: string } & Readonly<Record<string, unknown>>;
};

const maxTextLength = 2000;

/** A sentence as the bus takes it: no longer than a person reads, without half characters from file names. */
export function sentence(text: string): string {
  return text.slice(0, maxTextLength).toWellFormed();
}
