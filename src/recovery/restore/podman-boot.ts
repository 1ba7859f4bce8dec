import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { requireWorked, worked } from '../compose/containers.ts';
import { hold, isHeld, release } from '../systemd/hold.ts';
import { type Systemd, systemdOf } from '../systemd/systemd.ts';

/**
 * Podman has no engine that starts containers with the machine: this unit does, for all that are to be restarted always. Their
 * policy cannot be changed while they exist, so that the unit is held.
 */
const name = 'podman-restart.service';
const startMs = 5 * 60_000;

/** From now on no container of Podman starts with the machine. Nothing where nothing would start them. @throws Fault */
export async function holdPodmanBoot(): Promise<void> {
  const systemd = await systemdHere();
  if (systemd === undefined || !(await isEnabled(systemd))) return;
  hold({ name, account: systemd.account }, userInfo().uid);
  requireWorked(await systemd.systemctl(['daemon-reload']), 'systemd could not read its units anew');
}

/** Takes that back, and starts what the machine has not started meanwhile. @throws Fault */
export async function releasePodmanBoot(): Promise<void> {
  const systemd = await systemdHere();
  if (systemd === undefined || !isHeld({ name, account: systemd.account })) return;
  release({ name, account: systemd.account });
  requireWorked(await systemd.systemctl(['daemon-reload']), 'systemd could not read its units anew');
  if (worked(await systemd.systemctl(['is-active', name])) || !(await isEnabled(systemd))) return;
  requireWorked(await systemd.systemctl(['start', name], startMs), `${name} could not be started`);
}

async function systemdHere(): Promise<Systemd | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined;
  const { uid, username } = userInfo();
  const systemd = await systemdOf(uid === 0 ? null : username, uid);
  return (await systemd.isRunning()) ? systemd : undefined;
}

const isEnabled = async (systemd: Systemd) => worked(await systemd.systemctl(['is-enabled', '--quiet', name]));
