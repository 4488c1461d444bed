// A revocation is noticed while data keys are cached: a disabled key and a removed permission, for writers and readers, by
// one call for the fleet in each interval.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { KMS_ERRORS } from '@sealdex/local-aws';
import { eventually } from '../support/eventually.ts';
import { metricsOf, openInstallation, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const CHECK_MS = 1000;

const opened = new AsyncDisposableStack();
let installation: Installation;
let port: number;
let tenant: string;
let arn: string;
let count = 0;

beforeAll(async () => {
  installation = opened.use(await openInstallation({ SEALDEX_KEY_CHECK_MS: CHECK_MS }));
  ({ port } = opened.use(await startWorker(installation.settings, { host: '127.0.0.1' })));
});
afterAll(() => opened.disposeAsync());
beforeEach(async () => {
  tenant = `tenant-${(count += 1)}`;
  arn = await installation.tenant(tenant);
  const document = documentOf('one', 'Some text.');
  const { jobId } = await installation.producer.enqueueIndex({ tenant, corpus: 'docs', document });
  await installation.end(jobId);
  await installation.reader.metadata(nameOf());
});

const nameOf = () => ({ tenant, corpus: 'docs', id: 'one' });
const readCode = async (): Promise<string> =>
  installation.reader.metadata(nameOf()).then(
    () => 'read',
    ({ code }: { code: string }) => code,
  );
const gateCode = async (): Promise<string | undefined> =>
  (await installation.operator.gates({ tenant })).gates[0]?.code;

test('a revocation check finds a disabled key, though every process has a data key of it', async () => {
  installation.services.kms.disable(arn);
  expect(await eventually(gateCode)).toBe('KEY_DISABLED');
  await eventually(async () => (await readCode()) === 'KEY_DISABLED');
  const document = documentOf('two', 'More text.');
  const { jobId } = await installation.producer.enqueueIndex({ tenant, corpus: 'docs', document });
  await eventually(async () => (await installation.producer.status(jobId)).state === 'parked');
});

test('a revocation check finds a denial of Decrypt alone', async () => {
  installation.services.kms.faults.set({ match: { key: arn, operation: 'Decrypt' }, fault: KMS_ERRORS.accessDenied });
  expect(await eventually(gateCode)).toBe('KEY_DENIED');
  await eventually(async () => (await readCode()) === 'KEY_DENIED');
});

test('a fleet calls KMS once per interval, regardless of the number of processes with a key', async () => {
  const decrypts = (): number => installation.services.kms.counts.count({ operation: 'Decrypt', key: arn });
  const before = decrypts();
  const begun = performance.now();
  await eventually(() => decrypts() >= before + 3);
  // Worker, producer and reader each have one: separate checks would be three times as many.
  const intervals = (performance.now() - begun) / CHECK_MS;
  expect(decrypts() - before).toBeLessThanOrEqual(Math.ceil(intervals) + 1);
});

test('a metric of each writing and reading role has the time since the last check', async () => {
  const of = (role: string): string => `sealdex_key_unverified_seconds{role="${role}"}`;
  const roles = await eventually(async () => {
    const found = await metricsOf(port, 'sealdex_key_unverified_seconds');
    const checkedBy = ['worker', 'producer', 'reader'].filter((role) => (found[of(role)] ?? 0) > 0);
    return checkedBy.length === 3 && checkedBy;
  });
  expect(roles).toHaveLength(3);
});
