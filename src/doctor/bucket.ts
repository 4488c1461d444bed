// Tests a role's permissions in the bucket under each prefix, and conditional writes. No existing object changes: reads and
// removals use missing objects; writes have a condition that cannot hold, or a wrong checksum. Only a producer, which may not
// read, really writes an object; it removes that again.
import { randomBytes } from 'node:crypto';
import { SealdexError } from '../runtime/errors.ts';
import type { Role } from '../maintenance/heartbeat.ts';
import { fingerprintKeyName } from '../store/fingerprint-key.ts';
import { floorKey } from '../store/revision-floor.ts';
import { birthKey } from '../store/redis-identity.ts';
import { reencryptedKey } from '../store/reencrypted.ts';
import { isDenial, type Store } from '../store/store.ts';
import { canaryKey, runCanary, honorsConditionalRemoval, NO_ETAG, proveConditionalWrites } from '../store/system.ts';
import { failed, markOf, passed, warning, type Check, type CheckResult } from './finding.ts';

const VERBS = ['list', 'get', 'head', 'put', 'delete', 'write'] as const;
/** `put`, `delete`: with a condition, which needs read permission. `write`: real put and delete. */
type Verb = (typeof VERBS)[number];

const READ: readonly Verb[] = ['list', 'get', 'head'];
const ALL: readonly Verb[] = [...READ, 'put', 'delete'];

/** All roles need to list: without list permission, S3 responds with 403 instead of 404 for a missing object. */
const NEEDS: Readonly<Record<Role, readonly (readonly [prefix: string, verbs: readonly Verb[]])[]>> = Object.freeze({
  worker: [
    ['tenants/', READ],
    ['documents/', ALL],
    ['originals/', ALL],
    ['intake/', ALL],
  ],
  producer: [
    ['tenants/', READ],
    ['intake/', ['list', 'write']],
  ],
  reader: [
    ['tenants/', READ],
    ['documents/', READ],
    ['originals/', READ],
  ],
});

const ACTIONS: Readonly<Record<Verb, string>> = Object.freeze({
  list: 's3:ListBucket',
  get: 's3:GetObject',
  head: 's3:GetObject',
  put: 's3:PutObject',
  delete: 's3:DeleteObject',
  write: 's3:PutObject and s3:DeleteObject',
});

const random = (): string => randomBytes(8).toString('hex');

export interface BucketDeps {
  readonly store: Store;
  readonly bucket: string;
  readonly queue: string;
  readonly role: Role;
}

/** Tests that the bucket is reachable; if not, its other checks are skipped. A denial counts as reachable. */
export const reachCheck = ({ store, bucket }: BucketDeps): Check => ({
  check: 'bucket',
  async run(signal) {
    const fault = await faultOf(store.get(`tenants/doctor-${random()}`, { signal }));
    if (!fault || isDenial(fault)) return passed(`Bucket ${bucket} responds.`);
    return unreachable(bucket, fault);
  },
});

export function bucketChecks(deps: BucketDeps): Check[] {
  const { store, queue, role } = deps;
  const prefixes = NEEDS[role].map(([prefix, verbs]): Check => ({
    check: `bucket ${prefix}`,
    run: (signal) => permissions(deps, prefix, verbs, signal),
  }));
  if (role === 'producer') {
    return [...prefixes, { check: 'bucket system/', run: (signal) => producerSystem(deps, queue, signal) }];
  }
  if (role !== 'worker') return prefixes;
  return [
    ...prefixes,
    { check: 'bucket system/', run: (signal) => system(deps, signal) },
    { check: 'conditional writes', run: () => conditions(store, queue) },
    { check: 'conditional delete', run: (signal) => removal(store, queue, signal) },
  ];
}

/** The key of request fingerprints, and the floor of revisions. */
async function producerSystem(deps: BucketDeps, queue: string, signal: AbortSignal): Promise<CheckResult> {
  const fingerprints = await permissions(deps, fingerprintKeyName(queue), ['head', 'put'], signal);
  if (fingerprints.status !== 'ok') return fingerprints;
  const floor = await permissions(deps, floorKey(queue), ['head'], signal);
  return floor.status === 'ok' ? fingerprints : floor;
}

const verbsText = (verbs: readonly Verb[]): string =>
  verbs.map((verb) => (verb === 'write' ? 'put, delete' : verb)).join(', ');

/** `place`: a prefix, or the key of one object. */
async function permissions(
  { store, role, bucket }: BucketDeps,
  place: string,
  verbs: readonly Verb[],
  signal: AbortSignal,
): Promise<CheckResult> {
  const refused: Verb[] = [];
  for (const asked of verbs) {
    const { verb, fault } = await tried(store, asked, place, signal);
    if (fault && !isDenial(fault)) return unreachable(bucket, fault);
    if (fault) refused.push(verb);
  }
  if (refused.length === 0) return passed(`Allowed: ${verbsText(verbs)}.`);
  const actions = [...new Set(refused.map((verb) => ACTIONS[verb]))].join(', ');
  return failed(
    `S3 denied ${verbsText(refused)} (AccessDenied).`,
    `Allow ${role}: ${actions}. Full policy: sealdex policy ${role}`,
  );
}

async function tried(
  store: Store,
  asked: Verb,
  place: string,
  signal: AbortSignal,
): Promise<{ readonly verb: Verb; readonly fault: SealdexError | undefined }> {
  const key = place.endsWith('/') ? `${place}doctor-${random()}` : place;
  if (asked !== 'write') return { verb: asked, fault: await faultOf(attempt(store, asked, key, place, signal)) };
  const fault = await faultOf(store.put(key, Buffer.from('1'), { signal }));
  // Also removes an object whose response was lost.
  return isDenial(fault)
    ? { verb: 'put', fault }
    : { verb: 'delete', fault: (await faultOf(store.remove(key))) ?? fault };
}

async function attempt(store: Store, verb: Verb, key: string, prefix: string, signal: AbortSignal): Promise<void> {
  if (verb === 'list') await store.list(prefix, { limit: 1, signal });
  if (verb === 'get') (await store.get(key, { signal }))?.discard();
  if (verb === 'head') await store.head(key, { signal });
  if (verb === 'delete') await store.remove(key, { etag: NO_ETAG, signal });
  if (verb !== 'put') return;
  const { kind } = await store.put(key, Buffer.from('1'), { condition: { etag: NO_ETAG }, signal });
  // The store ignored the condition.
  if (kind === 'written') await store.remove(key);
}

async function system({ store, queue, role, bucket }: BucketDeps, signal: AbortSignal): Promise<CheckResult> {
  const birth = birthKey(queue);
  const fault = (await faultOf(runCanary(store, queue))) ?? (await faultOf(store.head(birth, { signal })));
  const print = `Full policy: sealdex policy ${role}`;
  if (isDenial(fault))
    return failed(
      'S3 denied a test write, read or delete (AccessDenied).',
      `Allow ${role}: s3:PutObject, s3:GetObject, s3:DeleteObject on system/${queue}/. ${print}`,
    );
  if (fault) return unreachable(bucket, fault);
  const trial = canaryKey(queue);
  if ((await store.tryPut(trial, signal)) === 'written') {
    await store.remove(trial);
    return warning(
      `Wrote, read and deleted a test object. Writing ${birth} was not tested because the store ignores Content-MD5.`,
      `Make sure that ${role} is allowed s3:PutObject on all of system/${queue}/. ${print}`,
    );
  }
  // Existing objects must not be replaced or, elsewhere, removed.
  const refused: string[] = [];
  const floor = floorKey(queue);
  for (const key of [birth, floor, reencryptedKey(queue, `doctor-${random()}`)]) {
    const denied = (await faultOf(store.head(key, { signal }))) ?? (await faultOf(store.tryPut(key, signal)));
    if (denied && !isDenial(denied)) return unreachable(bucket, denied);
    if (denied) refused.push(key === birth || key === floor ? key : `system/${queue}/reencrypted/*`);
  }
  if (refused.length === 0) return passed('Wrote, read and deleted a test object.');
  return failed(
    `S3 denied reading or writing ${refused.join(' and ')} (AccessDenied).`,
    `Allow ${role}: s3:GetObject, s3:PutObject on these objects. ${print}`,
  );
}

async function conditions(store: Store, queue: string): Promise<CheckResult> {
  const fault = await faultOf(proveConditionalWrites(store, queue));
  if (!fault) return passed('If-None-Match and If-Match work.');
  if (fault.code !== 'CONFIG_INVALID') return failed(`Not tested (${markOf(fault)}).`, 'Fix the bucket first.');
  return failed(
    'The store ignores If-None-Match and If-Match, so concurrent writes would silently overwrite each other.',
    'Use S3 or a store that returns 412.',
  );
}

async function removal(store: Store, queue: string, signal: AbortSignal): Promise<CheckResult> {
  let honors = false;
  const fault = await faultOf(honorsConditionalRemoval(store, queue, signal).then((answer) => (honors = answer)));
  if (fault) return failed(`Not tested (${markOf(fault)}).`, 'Fix the bucket first.');
  if (honors) return passed('If-Match works on DELETE.');
  return warning(
    'The store ignores If-Match on DELETE, so tombstones are never removed.',
    'No action needed; this is harmless. S3 supports If-Match.',
  );
}

async function faultOf(call: Promise<unknown>): Promise<SealdexError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof SealdexError) return error;
    throw error;
  }
}

const CREDENTIALS = new Set([
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'RequestTimeTooSkewed',
]);

function unreachable(bucket: string, fault: SealdexError): CheckResult {
  const mark = `(${markOf(fault)})`;
  if (fault.reason === 'NoSuchBucket')
    return failed(`Bucket ${bucket} does not exist ${mark}.`, 'Create it or correct SEALDEX_BUCKET.');
  if (fault.reason === 'PermanentRedirect' || fault.reason === 'AuthorizationHeaderMalformed')
    return failed(`The bucket is in another region ${mark}.`, 'Correct AWS_REGION or SEALDEX_BUCKET.');
  if (fault.code === 'PLATFORM_CREDENTIALS' || CREDENTIALS.has(fault.reason ?? ''))
    return failed(`S3 rejected the credentials ${mark}.`, "Renew them, or check the IAM role and this host's clock.");
  return failed(
    `S3 returned an error or timed out ${mark}.`,
    'Check the network, AWS_ENDPOINT_URL_S3 and the AWS Health Dashboard.',
  );
}
