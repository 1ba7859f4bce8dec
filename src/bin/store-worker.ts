import { parentPort, workerData } from 'node:worker_threads';
import { serveWriter, type WriterData } from '../bus/store/sqlite/writer-thread.ts';

/** The thread that writes the bus' database. */
if (!parentPort) throw new Error('store-worker runs as a worker thread only');
await serveWriter(parentPort, workerData as WriterData);
