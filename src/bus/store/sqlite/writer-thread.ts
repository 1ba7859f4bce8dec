import { type MessagePort, Worker } from 'node:worker_threads';
import { systemClock } from '../../../base/clock.ts';
import { Fault, reasonOf } from '../../../base/fault.ts';
import type { DeliveryRules } from '../deliveries.ts';
import type { BatchResult, Command, FaultData } from './commands.ts';
import { openDatabase } from './database.ts';
import type { CommitBatch } from './group-commit.ts';
import { faultData, faultOf, sqliteFault } from './sqlite-fault.ts';
import { type StartingPoint, startingPoint, writerOf } from './writer.ts';

type FromThread =
  | { kind: 'ready'; at: StartingPoint }
  | { kind: 'refused'; fault: FaultData }
  | { kind: 'done'; result: BatchResult }
  | { kind: 'closed' };
type ToThread = { commands: readonly Command[] } | 'close';

export type WriterThread = { at: StartingPoint; commitBatch: CommitBatch; close(): Promise<void> };

/** What the thread is started with. */
export type WriterData = { file: string; rules: DeliveryRules };

/** The thread's side: opens the database, then writes one batch after the other. */
export async function serveWriter(port: MessagePort, { file, rules }: WriterData): Promise<void> {
  const say = (message: FromThread) => port.postMessage(message);
  try {
    const open = await openDatabase(file, systemClock);
    const writer = writerOf(open.db, systemClock, file, rules);
    port.on('message', (message: ToThread) => {
      if (message !== 'close') {
        say({ kind: 'done', result: writer.commit(message.commands) });
        writer.tidy();
        return;
      }
      open.db.close();
      say({ kind: 'closed' });
      port.close();
    });
    say({ kind: 'ready', at: startingPoint(open, writer) });
  } catch (error) {
    say({ kind: 'refused', fault: faultData(sqliteFault(error, file)) });
    port.close();
  }
}

/**
 * Starts the thread and waits until the database is open.
 * @throws Fault when the database is refused. If the thread dies later the process dies with it: its supervisor starts
 *   it again, and the log is whole.
 */
export async function startWriterThread(entry: URL, data: WriterData): Promise<WriterThread> {
  const thread = new Worker(entry, { workerData: data, name: 'store-writer' });
  let heard: (message: FromThread) => void = () => {};
  let isClosing = false;
  let isReady = false;
  thread.on('message', (message: FromThread) => {
    // At once, not when the promise goes on: the end of the thread may be the very next event.
    if (message.kind === 'refused') isClosing = true;
    heard(message);
  });
  thread.on('error', (error: Error) => {
    if (isReady) throw error;
    // Before that it may be the machine that cannot make a thread (no files left to open, no memory).
    isClosing = true;
    heard({ kind: 'refused', fault: faultData(cannotStart(error)) });
  });
  thread.on('exit', (code) => {
    if (!isClosing) throw new Error(`the writer thread ended with code ${code}`);
  });
  const next = () =>
    new Promise<FromThread>((resolve) => {
      heard = resolve;
    });

  const first = await next();
  if (first.kind !== 'ready') {
    isClosing = true;
    throw first.kind === 'refused' ? faultOf(first.fault) : new Fault('unavailable', 'The writer did not start.');
  }
  isReady = true;
  return {
    at: first.at,
    async commitBatch(commands) {
      const answer = next();
      thread.postMessage({ commands } satisfies ToThread);
      const message = await answer;
      if (message.kind !== 'done') throw new Error(`the writer thread answered ${message.kind}`);
      return message.result;
    },
    async close() {
      isClosing = true;
      const answer = next();
      thread.postMessage('close' satisfies ToThread);
      await answer;
    },
  };
}

function cannotStart(cause: Error): Fault {
  return new Fault('unavailable', `The thread that writes the database does not start: ${reasonOf(cause)}.`, {
    hint: 'Look at the limits of this process: open files (ulimit -n), memory, threads.',
    cause,
  });
}
