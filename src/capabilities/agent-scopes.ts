/**
 * What an agent's own token may do, by the agent's name as it is typed: what it says, and nothing besides that it does not
 * need. Its page in docs/agents/ says the same, and a test compares them.
 */
export const agentScopes = {
  atlas: ['publish:atlas_*', 'publish:loop_cut', 'ack:self', 'read'],
  chronos: [
    ...(['publish:backup_*', 'publish:chronos_*', 'publish:drill_failed', 'publish:prune_failed'] as const),
    ...(['publish:loop_cut', 'ack:self', 'read'] as const),
  ],
  hades: ['publish:hades_*', 'publish:rollback_*', 'publish:loop_cut', 'call:hades.*', 'ack:self', 'read'],
} as const satisfies Readonly<Record<string, readonly string[]>>;
