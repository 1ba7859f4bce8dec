import type { Command } from './command.ts';
import { backup } from './commands/backup.ts';
import { bootstrap } from './commands/bootstrap.ts';
import { bot } from './commands/bot.ts';
import { code } from './commands/code.ts';
import { deliver } from './commands/deliver.ts';
import { doctor } from './commands/doctor.ts';
import { drill } from './commands/drill.ts';
import { health } from './commands/health.ts';
import { key } from './commands/key.ts';
import { kit } from './commands/kit.ts';
import { list } from './commands/list.ts';
import { pin, unpin } from './commands/pin.ts';
import { plan } from './commands/plan.ts';
import { prune } from './commands/prune.ts';
import { repository } from './commands/repository.ts';
import { restore } from './commands/restore.ts';
import { resume } from './commands/resume.ts';
import { run } from './commands/run.ts';
import { runbook } from './commands/runbook.ts';
import { runner } from './commands/runner.ts';
import { status } from './commands/status.ts';
import { twoFactor } from './commands/two-factor.ts';
import { undo } from './commands/undo.ts';
import { unlock } from './commands/unlock.ts';
import { verify } from './commands/verify.ts';

/** All verbs, in the order in which they are needed. */
export const commands: readonly Command[] = [
  list,
  verify,
  plan,
  backup,
  restore,
  undo,
  resume,
  status,
  drill,
  prune,
  pin,
  unpin,
  key,
  kit,
  repository,
  bootstrap,
  runbook,
  health,
  deliver,
  twoFactor,
  unlock,
  runner,
  bot,
  doctor,
  run,
  code,
];
