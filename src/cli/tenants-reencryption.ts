// Re-encryption lines of a tenant: what the former key can still decrypt, the progress, and what the re-encryption waits for.
import type { Operator, ReencryptionProgress, ShownJob, TenantFile } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { PLATFORM } from '../runtime/names.ts';
import { counted, time } from './terminal.ts';

export interface ReencryptionView {
  readonly file: TenantFile;
  readonly progress: ReencryptionProgress;
  /** The job of the current page, if it needs an action. */
  readonly stuck?: Pick<ShownJob, 'state' | 'code'> | undefined;
}

export async function reencryptionViewOf(operator: Operator, file: TenantFile): Promise<ReencryptionView> {
  const progress = await operator.reencryption(file.tenant);
  return { file, progress, stuck: await stalledPage(operator, progress) };
}

/** The job of the current page if it is parked or dead, so that the re-encryption waits for an action. */
export async function stalledPage(
  operator: Operator,
  { state, jobId }: ReencryptionProgress,
): Promise<ShownJob | undefined> {
  if (state !== 'moving' || jobId === undefined) return undefined;
  const job = await operator.job(jobId);
  return job.state === 'parked' || job.state === 'dead' ? job : undefined;
}

/** One sentence per line; no lines for a tenant whose key was never changed. */
export function reencryptionLines(moving: ReencryptionView): string[] {
  const { file, progress } = moving;
  const { state, since } = progress;
  const changed = `The KMS key of tenant ${file.tenant} was changed${since === undefined ? '' : ` at ${time(since)}`}`;
  const former = formerOf(file);
  const again = `sealdex tenants reencrypt ${file.tenant}`;
  if (state === 'none') return [];
  if (state === 'not begun')
    return [
      `${changed}. Stored objects are still encrypted under ${former}. Re-encryption starts within 1h; to start it now: ${again}`,
    ];
  return state === 'done' ? doneLines(moving, changed, former, again) : moveLines(moving, changed, former);
}

function moveLines({ file, progress, stuck }: ReencryptionView, changed: string, former: string): string[] {
  const { current = 0, moved = 0, unreadable = 0 } = progress.counts ?? {};
  const { passBegun, jobId } = progress;
  const isOurs = wasPlatform(file);
  const whose =
    file.kmsKeyArn === undefined
      ? 'Keep that key enabled.'
      : isOurs
        ? 'The tenant cannot revoke access to those objects.'
        : 'Disabling only the current key does not revoke access. Keep both enabled.';
  const begins = passBegun !== undefined && passBegun > systemClock.now();
  const lines = [
    `${changed}. Until re-encryption finishes, some objects are still encrypted under ${former}. ${whose}`,
  ];
  if (stuck)
    return [
      ...lines,
      `Re-encryption is stalled: the next job is ${stuck.state} (${stuck.code}). See sealdex jobs show ${jobId}`,
    ];
  return [
    ...lines,
    begins
      ? `First pass complete. A final pass starts at ${time(passBegun)}, when no process can still use the old key.`
      : `This pass: ${moved} re-encrypted, ${current} already current, ${unreadable} unreadable.`,
  ];
}

function doneLines({ file, progress }: ReencryptionView, changed: string, former: string, again: string): string[] {
  const { left = 0, queued = 0, doneAt, settledAt } = progress;
  const at = doneAt === undefined ? '' : ` at ${time(doneAt)}`;
  const stored =
    left === 0
      ? `${changed}. Re-encryption finished${at}.`
      : `${changed}. ${counted(left, 'object')} could not be decrypted and ${left === 1 ? 'remains' : 'remain'} under ${former}. When that key works again: ${again}`;
  if (queued > 0)
    return [
      stored,
      `${counted(queued, 'job is', 'jobs are')} still queued, parked or dead. Jobs created before ${settledAt === undefined ? 'the change' : time(settledAt)} may contain content encrypted under ${former}. Finish, replay or discard them before that key is disabled: sealdex dead list --tenant ${file.tenant}`,
    ];
  return left === 0 ? [stored, `Tenant ${file.tenant} no longer needs ${former}.`] : [stored];
}

function formerOf(file: TenantFile): string {
  if (wasPlatform(file)) return 'the platform key';
  return file.formerKeyArns.length === 1 ? `the former key ${file.formerKeyArns[0]}` : 'the former keys';
}

/** Whether the tenant was on the platform key before its last key change. */
function wasPlatform({ history }: TenantFile): boolean {
  const last = history.findLast((entry) => (entry as { change?: unknown } | null)?.change === 'key');
  return (last as { from?: unknown } | undefined)?.from === PLATFORM;
}
