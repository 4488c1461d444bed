// What is said of a tenant whose KMS key was changed: what the tenant cannot yet revoke, how far the move has come, what it waits
// for, and what still needs the former key when all that is stored has moved.
import type { Operator, ReencryptionProgress, ShownJob, Status, TenantFile } from '../app.ts';
import { systemClock } from '../clock.ts';
import { PLATFORM } from '../names.ts';
import { counted, time } from './terminal.ts';

export interface Moving {
  readonly file: TenantFile;
  readonly progress: ReencryptionProgress;
  /** The job of the page that comes next, when it does not move by itself. */
  readonly stuck?: Pick<ShownJob, 'state' | 'code'> | undefined;
  /** Of the tenant, in the queue: they carry content under the key that it came under. */
  readonly parked?: number;
  readonly dead?: number;
  /** Whether jobs from before the change may wait yet, of whichever tenant. */
  readonly hasOldJobs?: boolean;
}

export async function movingOf(operator: Operator, file: TenantFile): Promise<Moving> {
  const progress = await operator.reencryption(file.tenant);
  if (progress.state === 'none') return { file, progress };
  const stuck = await stuckPage(operator, progress);
  return progress.state === 'done'
    ? { file, progress, ...leftIn(await operator.status(), file.tenant, progress) }
    : { file, progress, stuck };
}

/** The page's job when it is parked or dead: it moves nothing before somebody has done something. */
export async function stuckPage(
  operator: Operator,
  { state, jobId }: ReencryptionProgress,
): Promise<ShownJob | undefined> {
  if (state !== 'moving' || jobId === undefined) return undefined;
  const job = await operator.job(jobId);
  return job.state === 'parked' || job.state === 'dead' ? job : undefined;
}

function leftIn(status: Status, tenant: string, { since = 0 }: ReencryptionProgress): Partial<Moving> {
  const ofTenant = <T extends { tenant?: string }>(all: readonly T[]): T[] =>
    all.filter((one) => one.tenant === tenant);
  const oldest = Math.max(status.index.oldestWaitingMs ?? 0, status.upload.oldestWaitingMs ?? 0);
  return {
    parked: ofTenant(status.parkedByTenant).reduce((sum, { jobs }) => sum + jobs, 0),
    dead: ofTenant(status.deadByTenant).reduce((sum, { letters }) => sum + letters, 0),
    hasOldJobs: systemClock.now() - oldest < since,
  };
}

/** One sentence a line; none for a tenant whose key was never changed. */
export function movingLines(moving: Moving): string[] {
  const { file, progress } = moving;
  const { state, since } = progress;
  const changed = `The KMS key of tenant ${file.tenant} was changed${since === undefined ? '' : ` ${time(since)}`}`;
  const former = formerOf(file);
  const again = `sealdex tenants reencrypt ${file.tenant}`;
  if (state === 'none') return [];
  if (state === 'not begun')
    return [
      `${changed}; what is stored is still under ${former}. A worker begins to move it within the hour, ${again} does at once.`,
    ];
  return state === 'done' ? doneLines(moving, changed, former, again) : moveLines(moving, changed, former);
}

function moveLines({ file, progress, stuck }: Moving, changed: string, former: string): string[] {
  const { current = 0, moved = 0, unreadable = 0 } = progress.counts ?? {};
  const { passBegun, jobId } = progress;
  const isOurs = wasPlatform(file);
  const whose =
    file.kmsKeyArn === undefined
      ? 'keep that key enabled'
      : isOurs
        ? 'the tenant cannot revoke it, only we can'
        : 'disabling the present key alone does not revoke it. Keep both enabled';
  const begins = passBegun !== undefined && passBegun > systemClock.now();
  const lines = [`${changed}; until all is moved, the rest of what is stored is under ${former}: ${whose}.`];
  if (stuck)
    return [...lines, `Nothing moves: the next page is ${stuck.state} (${stuck.code}): sealdex jobs show ${jobId}`];
  return [
    ...lines,
    begins
      ? `Everything is moved that was there; it is looked through once more ${time(passBegun)}, when no process can still use the former key.`
      : `This pass: ${moved} moved, ${current} were under the current key already, ${unreadable} cannot be read.`,
  ];
}

function doneLines(
  { file, progress, parked = 0, dead = 0, hasOldJobs = false }: Moving,
  changed: string,
  former: string,
  again: string,
): string[] {
  const unreadable = progress.counts?.unreadable ?? 0;
  const at = progress.doneAt === undefined ? '' : ` since ${time(progress.doneAt)}`;
  const stored =
    unreadable === 0
      ? `${changed}; all that is stored is under the current key${at}.`
      : `${changed}; ${counted(unreadable, 'object')} could not be read: still under ${former}. Once that key reads them: ${again}`;
  if (parked + dead > 0)
    return [
      stored,
      `${counted(parked, 'parked job')} and ${counted(dead, 'dead letter')} of it may need ${former} yet: small content travels in them, under the key that it came under. Before that key goes, let them go on, replay or discard them: sealdex dead list --tenant ${file.tenant}`,
    ];
  if (hasOldJobs) return [stored, `Jobs from before the change wait in the queue: they may need ${former} yet.`];
  return unreadable === 0 ? [stored, `Nothing of it needs ${former} any more.`] : [stored];
}

function formerOf(file: TenantFile): string {
  if (wasPlatform(file)) return 'the platform key';
  return file.formerKeyArns.length === 1 ? `the former key ${file.formerKeyArns[0]}` : 'the former keys';
}

/** By the last change in the tenant's history. */
function wasPlatform({ history }: TenantFile): boolean {
  const last = history.findLast((entry) => (entry as { change?: unknown } | null)?.change === 'key');
  return (last as { from?: unknown } | undefined)?.from === PLATFORM;
}
