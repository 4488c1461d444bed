// Re-encryption job: rewrites one page of a tenant's objects under its current KMS key, as new messages with the same metadata.
// An object that was written concurrently is left as it is. A header is never edited in place.
import { keyRef } from '../runtime/key-ref.ts';
import { orAbort } from '../runtime/clock.ts';
import { platformArns, type Config } from '../runtime/config.ts';
import { beginMessage, receiveMessage } from '../envelope/message.ts';
import { SealdexError, type Code } from '../runtime/errors.ts';
import type { ReencryptJobData } from '../jobs/jobs.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { unwrapFor } from '../keys/unwrap.ts';
import type { Gates } from '../parking/gate.ts';
import type { PassCounts, Reencryption } from '../reencryption/reencryption.ts';
import type { ListedObject, StoredObject } from '../store/store.ts';
import { getTenantObject, listTenantObjects, replaceMessage } from '../store/tenant-objects.ts';
import type { Tenant, Tenants } from '../tenants/tenants.ts';
import type { AdaptiveConcurrency } from './adaptive-concurrency.ts';
import { runIfAdmitted, type KeyAdmissionDeps } from './admission.ts';
import type { BackgroundGate } from './background-gate.ts';
import type { ContentDeps } from './content.ts';
import { deferToOtherJobs } from './outcome.ts';
import type { Outcome } from '../jobs/outcome.ts';
import type { Phase } from './phases.ts';
import { wholeMessage } from './whole-message.ts';

export interface ReencryptJobDeps extends KeyAdmissionDeps, ContentDeps {
  readonly config: Config;
  readonly ring: KeyRing;
  readonly tenants: Pick<Tenants, 'get' | 'fresh'>;
  readonly gates: Pick<Gates, 'refusal' | 'get'>;
  readonly reencryption: Pick<Reencryption, 'passOf' | 'finishPage'>;
  readonly backgroundGate: BackgroundGate;
  /** Limits the objects that are re-encrypted concurrently in this process. */
  readonly reencryptionConcurrency: AdaptiveConcurrency;
}

export type ReencryptJob = ReencryptJobData & { readonly id: string };

const PAGE_OBJECTS = 200;
/** A page that takes longer is cut short: a job has a deadline, and other jobs wait for its slot. */
const PAGE_MS = 20_000;

/** In memory an object is the stored message, its plaintext and the new message. */
const COPIES = 3;

type ObjectResult = keyof PassCounts;

const LATER: ReadonlySet<Code> = new Set(['TENANT_BACKLOG_FULL', 'CLOCK_SKEW']);

export async function runReencryptJob(
  deps: ReencryptJobDeps,
  job: ReencryptJob,
  signal: AbortSignal,
): Promise<Outcome> {
  // One page at a time in this process, for all tenants: the other slots are for jobs that callers wait for.
  const leave = deps.backgroundGate.enterBackground();
  if (!leave) return deferToOtherJobs('REENCRYPTION_NOT_DUE');
  try {
    return await runIfAdmitted(deps, job, signal, (known, phase, ending) =>
      runPage(deps, known, job, phase, ending, leave),
    );
  } catch (error) {
    // The next page could not be enqueued. The page runs again later, and finds its objects already moved.
    if (error instanceof SealdexError && LATER.has(error.code)) return deferToOtherJobs(error.code);
    throw error;
  } finally {
    leave();
  }
}

/** Whether a gate of the tenant is draining. Its parked jobs go first: a page could shut the gate of a former key again. */
const isReleasing = ({ gates }: ReencryptJobDeps, { tenant, readableArns }: Tenant): boolean =>
  [...readableArns].some((arn) => gates.get(keyRef(tenant, arn)).record?.state === 'draining');

async function runPage(
  deps: ReencryptJobDeps,
  known: Tenant,
  job: ReencryptJob,
  phase: Phase,
  signal: AbortSignal,
  leave: () => void,
): Promise<Outcome> {
  const { clock, metrics, reencryption } = deps;
  const pass = await reencryption.passOf(job);
  const owner = pass && (await ownerOf(deps, known, pass.change));
  if (!owner) return { kind: 'done', superseded: true };
  const early = pass.begun - clock.now();
  if (early > 0) return { kind: 'defer', code: 'REENCRYPTION_NOT_DUE', afterMs: early };
  if (isReleasing(deps, owner)) return deferToOtherJobs('REENCRYPTION_NOT_DUE');
  const { next, counts } = await movePage(deps, owner, job, phase, signal);
  for (const result of Object.keys(counts) as ObjectResult[])
    if (counts[result] > 0) metrics.count('sealdex_reencrypted_objects_total', { result }, counts[result]);
  // Before the next page is in the queue: this process may take it immediately.
  leave();
  await reencryption.finishPage(pass, counts, next);
  return { kind: 'done' };
}

/** The tenant as of the key change; undefined if its key was changed again since. */
async function ownerOf({ tenants }: ReencryptJobDeps, known: Tenant, change: string): Promise<Tenant | undefined> {
  const isOf = ({ reencryption }: Tenant): boolean => reencryption?.id === change;
  if (isOf(known)) return known;
  const fresh = await tenants.fresh(known.tenant);
  return isOf(fresh) ? fresh : undefined;
}

async function movePage(
  deps: ReencryptJobDeps,
  owner: Tenant,
  { tenant, after }: ReencryptJob,
  phase: Phase,
  signal: AbortSignal,
): Promise<{ next: string | undefined; counts: PassCounts }> {
  const { store, clock, backgroundGate, reencryptionConcurrency, budget } = deps;
  const page = await phase('store', () => listTenantObjects(store, tenant, { after, limit: PAGE_OBJECTS, signal }));
  if (!page) throw new SealdexError('JOB_INVALID', undefined, { field: 'after' });
  const counts: Record<ObjectResult, number> = { current: 0, moved: 0, changed: 0, unreadable: 0 };
  const begun = clock.monotonic();
  const running = new Set<Promise<void>>();
  const move = async (listed: ListedObject): Promise<void> => {
    counts[await moveObject(deps, owner, listed, phase, signal)] += 1;
    reencryptionConcurrency.onFinish();
  };
  reencryptionConcurrency.begin();
  try {
    for (const [at, listed] of page.objects.entries()) {
      const canStart = (): boolean =>
        running.size < reencryptionConcurrency.limit && !budget.isFull(listed.bytes * COPIES);
      while (running.size > 0 && !canStart()) await Promise.race(running);
      const before = page.objects[at - 1];
      if (before && clock.monotonic() - begun > PAGE_MS) {
        await Promise.all(running);
        return { next: before.key, counts };
      }
      if (!reencryptionConcurrency.isIdle) await backgroundGate.giveWay(signal);
      // A failed one stays in the set, so that the next wait throws its error.
      const moving = move(listed).then(() => void running.delete(moving));
      moving.catch(() => {});
      running.add(moving);
    }
    await Promise.all(running);
    return { next: page.next, counts };
  } finally {
    // After a failure no object is still being moved when the job ends.
    await Promise.allSettled(running);
  }
}

async function moveObject(
  deps: ReencryptJobDeps,
  owner: Tenant,
  listed: ListedObject,
  phase: Phase,
  signal: AbortSignal,
): Promise<ObjectResult> {
  const { store, budget, ring, clock } = deps;
  const giveBack = await budget.take(listed.bytes * COPIES, signal);
  try {
    const stored = await phase('content', () => getTenantObject(store, listed.key, signal));
    if (!stored) return 'changed';
    const plaintext = await phase('open', () => orAbort(openOther(deps, owner, stored), signal));
    if (!Buffer.isBuffer(plaintext)) return plaintext;
    const begun = ring.encrypt(owner, 'documents', plaintext.length, (key) => beginMessage(key));
    const message = await phase('encrypt', async () =>
      wholeMessage(await orAbort(begun, signal), plaintext, clock, signal),
    );
    const isReplaced = await phase('store', () => replaceMessage(store, listed.key, stored, message, signal));
    return isReplaced ? 'moved' : 'changed';
  } finally {
    giveBack();
  }
}

/** Decrypts an object that is under another key than the current one. @throws SealdexError of KMS and of S3 */
async function openOther(
  { ring, config }: ReencryptJobDeps,
  owner: Tenant,
  stored: StoredObject,
): Promise<Buffer | 'current' | 'unreadable'> {
  if (stored.metadata['deleted'] === '1') {
    stored.discard();
    return 'current';
  }
  const unwrap = unwrapFor(ring, { ...owner, intakeArns: platformArns(config) });
  const pieces: Buffer[] = [];
  try {
    const message = await receiveMessage(stored.body);
    const { arn, context } = message.header;
    // Intake content under the platform key is removed with its job.
    if (arn === owner.keyArn || context['purpose'] === 'intake') {
      await message.close();
      return 'current';
    }
    for await (const piece of message.decrypt(unwrap)) pieces.push(piece);
    return Buffer.concat(pieces);
  } catch (error) {
    const isUnreadable =
      error instanceof SealdexError && (error.code === 'OBJECT_TAMPERED' || error.code === 'PERIOD_DENIED');
    if (isUnreadable) return 'unreadable';
    throw error;
  }
}
