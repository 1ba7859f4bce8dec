import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { usualDeliveryRules } from '../deliveries.ts';
import { startWriterThread } from './writer-thread.ts';

/** A thread that refuses and is gone at once, so that its message and its end arrive together. */
const refusing = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.postMessage({ kind: 'refused', fault: { code: 'damaged', message: 'broken', mistakes: [] } });
    process.exit(0);
  `)}`,
);

describe('starting the writer thread', () => {
  it('is refused with the reason, however soon the thread ends', async () => {
    const starting = startWriterThread(refusing, { file: 'x.db', rules: usualDeliveryRules });
    // This thread is busy until the other is gone.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    await assert.rejects(starting, { code: 'damaged' });
  });
});
