/** What runs on a target and must not while its state is swapped. Each call says what it did, and may be repeated. */
export type Services = { stop(): Promise<string>; start(): Promise<string> };

/** For targets made of files and databases alone. */
export const noServices: Services = { stop: async () => 'nothing to stop', start: async () => 'nothing to start' };
