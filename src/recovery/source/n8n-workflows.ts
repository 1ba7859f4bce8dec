import { DatabaseSync } from 'node:sqlite';

/** Makes n8n's workflows in an SQLite database inactive, so that none of their schedules runs. How many; 0 for any other database. */
export function deactivateWorkflows(file: string): number {
  const database = new DatabaseSync(file);
  try {
    const table = database
      .prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'workflow_entity'")
      .get();
    if (table === undefined) return 0;
    return Number(database.prepare('UPDATE workflow_entity SET active = 0 WHERE active = 1').run().changes);
  } finally {
    database.close();
  }
}
