import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { stateOf } from '../recovery/kill.fixtures.ts';
import { type AgentName, gaiaAtWork, makeStory, type RunningAgent, type Story, until } from './story.fixtures.ts';

/** How long GAIA works between two looks whether it is in the middle. */
const stepMs = 3;

/** Something that an agent does by GAIA because it was told to. */
export type Reaction = {
  what: string;
  agent: AgentName;
  /** What must be there before, and what then sets it off; that answers the event, or the call, that it is done for. */
  ready(story: Story, t: TestContext): Promise<() => Promise<string>>;
  /** Words of GAIA's command line that does it. */
  gaia: readonly string[];
  /** By what it is known to be in the middle, where that is more than that it is there. */
  middle?: 'lock' | 'archive';
  /** That it is done, once, and told once. */
  assertOnce(story: Story, cause: string): Promise<void>;
};

type Scene = { story: Story; agent: RunningAgent; again(): Promise<RunningAgent>; reaction: Reaction };
/** Who is killed and when: from before it is set off until all have been started again. */
export type Point = { who: string; kill(scene: Scene, setOff: () => Promise<string>): Promise<string> };

/** Before anything: the bus has given it to an agent that does nothing any more. */
const inHand: Point = {
  who: 'its agent is, which has it in hand and has done nothing yet',
  async kill({ agent, again }, setOff) {
    process.kill(agent.pid, 'SIGSTOP');
    const cause = await setOff();
    await agent.kill();
    await again();
    return cause;
  },
};

const agentAlone: Point = {
  who: 'its agent is in the middle, and GAIA goes on',
  async kill(scene, setOff) {
    const cause = await setOff();
    const gaia = await stopped(scene);
    await scene.agent.kill();
    const second = await scene.again();
    await until(async () => (await second.inHand()) !== null);
    goOn(gaia);
    return cause;
  },
};

const both: Point = {
  who: 'both its agent and GAIA are in the middle',
  async kill(scene, setOff) {
    const cause = await setOff();
    const gaia = await stopped(scene);
    await scene.agent.kill();
    killAll(gaia);
    await scene.again();
    return cause;
  },
};

const gaiaAlone: Point = {
  who: 'GAIA is in the middle',
  async kill(scene, setOff) {
    const cause = await setOff();
    killAll(await stopped(scene));
    return cause;
  },
};

const untold: Point = {
  who: 'its agent is, when GAIA is through and it has not heard so',
  async kill(scene, setOff) {
    const cause = await setOff();
    const gaia = await stopped(scene);
    process.kill(scene.agent.pid, 'SIGSTOP');
    goOn(gaia);
    await until(() => gaia.every(isOver) && gaiaAtWork(scene.story.stand) === undefined);
    await scene.agent.kill();
    await scene.again();
    return cause;
  },
};

const bus: Point = {
  who: 'the bus is, and is away until GAIA is through',
  async kill(scene, setOff) {
    const cause = await setOff();
    const gaia = await stopped(scene);
    await scene.story.killBus();
    goOn(gaia);
    await until(() => gaia.every(isOver) && gaiaAtWork(scene.story.stand) === undefined);
    await scene.story.startBus();
    return cause;
  },
};

const everything: Point = {
  who: 'everything is, as by a power cut',
  async kill(scene, setOff) {
    const cause = await setOff();
    const gaia = await stopped(scene);
    await scene.story.killBus();
    await scene.agent.kill();
    killAll(gaia);
    await scene.story.startBus();
    await scene.again();
    return cause;
  },
};

export const points: readonly Point[] = [inHand, agentAlone, both, gaiaAlone, untold, bus, everything];

/** GAIA was through before she could be stopped, as on a busy machine: nothing was tried. */
class Missed extends Error {}
const attempts = 3;

/** A bus and the agent as processes of their own, the one killed at the point, and what came of it judged. */
export async function killedAt(t: TestContext, { kill }: Point, reaction: Reaction): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const story = await makeStory(t, { agents: [] });
    const again = () => story.agent(reaction.agent);
    const agent = await again();
    const setOff = await reaction.ready(story, t);
    try {
      const cause = await kill({ story, agent, again, reaction }, setOff);
      return await reaction.assertOnce(story, cause);
    } catch (error) {
      if (!(error instanceof Missed) || attempt === attempts) throw error;
      t.diagnostic('GAIA was through too soon; once more');
    }
  }
}

/** GAIA's processes, once it does that, standing still in the middle of it. */
async function stopped({ story: { stand }, agent, reaction: { gaia, middle } }: Scene): Promise<number[]> {
  const isIt = (pid: number) => gaia.every((word) => wordsOf(pid).includes(word));
  const isThere = (pid: number) => {
    if (middle === 'lock') return gaiaAtWork(stand) !== undefined;
    return middle === undefined || hasOpen(pid, /\.tar\.zst$/);
  };
  const found = await until(() => childrenOf(agent.pid).find(isIt), 1);
  // In small steps from its start on: on a busy machine it might else be through before anybody looks.
  process.kill(found, 'SIGSTOP');
  while (!isThere(found)) {
    requireThere([found]);
    process.kill(found, 'SIGCONT');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stepMs);
    process.kill(found, 'SIGSTOP');
    // Whatever else this process does it does while that one stands still.
    await setImmediate();
  }
  // A restore is done by a process of its own, which it waits for.
  const atWork = gaiaAtWork(stand);
  const all = [found, ...(atWork === undefined || atWork === found ? [] : [atWork])];
  requireThere(all);
  for (const pid of all) process.kill(pid, 'SIGSTOP');
  requireThere(all);
  return all;
}

function requireThere(pids: readonly number[]): void {
  if (pids.some(isOver)) throw new Missed('it was over before it could be stopped');
}

const goOn = (pids: readonly number[]) => pids.map((pid) => process.kill(pid, 'SIGCONT'));
const killAll = (pids: readonly number[]) => pids.map((pid) => process.kill(pid, 'SIGKILL'));

/** Ended; what started it may not have heard so yet. */
const isOver = (pid: number) => [undefined, 'Z', 'X'].includes(stateOf(pid));

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

function wordsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // It has ended.
  }
}

function hasOpen(pid: number, name: RegExp): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => name.test(readlinkSync(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false; // It has ended, or closed just this one.
  }
}
