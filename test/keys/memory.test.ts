// Remains of expired data keys in a process's memory: no key bytes; text of the SDK is counted and reported.
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { noAudit } from '../../src/runtime/audit-log.ts';
import type { KeyContext } from '../../src/keys/data-key.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import type { Kms } from '../../src/keys/kms.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { testServices } from '../support/services.ts';
import { contextOf, HOUR_MS } from './fixture.ts';
import { masked, MEMORY } from './memory-scan.ts';
import { startMemory } from './processes.ts';

interface WrappedKey {
  readonly wrapped: string;
  readonly context: KeyContext;
}

const names = (what: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${what}-${index}`);

const KEYS = 8;

/** Keys created by another process, to be unwrapped in the process with the searched memory. */
async function wrapped(kms: Kms, arn: string): Promise<WrappedKey[]> {
  const made = names('unwrapped', KEYS).map(async (tenant): Promise<WrappedKey> => {
    const context = contextOf(tenant);
    return { wrapped: (await kms.generateDataKey(keyRef(tenant, arn), context)).wrapped.toString('base64'), context };
  });
  return Promise.all(made);
}

/** The needles, masked: each key's bytes, and their base64 as in KMS' response. */
async function needlesOf(
  kms: Kms,
  arn: string,
  keys: readonly WrappedKey[],
): Promise<{ raw: number[][]; base64: number[][] }> {
  const plaintexts = await Promise.all(
    keys.map((key) => kms.decrypt(keyRef(key.context.tenant, arn), Buffer.from(key.wrapped, 'base64'), key.context)),
  );
  return {
    raw: plaintexts.map((plaintext) => [...masked(plaintext)]),
    base64: plaintexts.map((plaintext) => [...masked(Buffer.from(plaintext.toString('base64'), 'latin1'))]),
  };
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

test.skipIf(!existsSync(MEMORY))('expired data keys are nowhere in memory', async () => {
  await using services = await testServices();
  const arn = services.kms.createKey();
  using opened = new DisposableStack();
  const config = loadConfig(services.settings, {});
  const kms = opened.adopt(createKms(config, createMetrics(), noAudit, 'patient'), (client) => client.close());
  await using process = await startMemory(services.settings);
  const made = (await process.ask({ kind: 'current', tenants: names('made', KEYS), arn })) as WrappedKey[];
  const read = (await process.ask({ kind: 'unwrap', arn, keys: await wrapped(kms, arn) })) as WrappedKey[];
  const { raw, base64 } = await needlesOf(kms, arn, [...made, ...read]);
  const count = async (needles: number[][]): Promise<number[]> =>
    (await process.ask({ kind: 'count', needles })) as number[];

  // The control: every key is found while it is live. A moving garbage collection would leave old copies behind.
  await process.ask({ kind: 'collect' });
  for (const found of await count(raw)) expect(found).toBeGreaterThanOrEqual(1);

  await process.ask({ kind: 'advance', ms: HOUR_MS });
  expect(await count(raw)).toEqual(raw.map(() => 0));

  const before = sum(await count(base64));
  await process.ask({ kind: 'collect' });
  const after = sum(await count(base64));
  console.log(
    `Of ${raw.length} wiped data keys, KMS' answers hold ${before} copies in base64, ${after} after a garbage collection.`,
  );
});
