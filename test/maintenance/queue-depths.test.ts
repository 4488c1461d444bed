// Queue depths that one process counts for all: gates and parked jobs.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { queueKeys } from '../../src/runtime/redis.ts';
import { queueDepthsReader, queueDepthsTask, type GateOfDepth } from '../../src/maintenance/queue-depths.ts';
import { openMaintenanceFixture, type MaintenanceFixture } from './fixture.ts';

let fixture: MaintenanceFixture;

beforeEach(async () => {
  fixture = await openMaintenanceFixture();
});

afterEach(() => fixture[Symbol.asyncDispose]());

test('depths have the shut gates by code, and the parked jobs of all gates that are not open', async () => {
  const { deps, queue } = fixture;
  const gate = (tenant: string, code: string, state: string): GateOfDepth => ({
    ...keyRef(tenant, 'arn:aws:kms:us-west-2:111122223333:key/shared'),
    code,
    state,
  });
  const [first, second, third] = [
    gate('acme', 'KEY_DISABLED', 'shut'),
    gate('globex', 'KEY_DISABLED', 'shut'),
    gate('initech', 'KEY_DENIED', 'draining'),
  ] as const;
  const keys = queueKeys(deps.keys, 'index');
  await deps.redis.zadd(keys.parked(gateId(first)), deps.clock.now() - 5000, 'one', deps.clock.now(), 'other');
  await deps.redis.zadd(keys.parked(gateId(third)), deps.clock.now() - 9000, 'third');
  await queueDepthsTask({ ...deps, queue, gates: () => [first, second, third] }).run(new AbortController().signal);
  expect(await queueDepthsReader(deps.redis, deps.keys)()).toMatchObject({
    gatesShut: { KEY_DISABLED: 2 },
    parked: 3,
    oldestParkedSeconds: 9,
  });
});
