// Gates for tests: shut or opened in Redis as by a process after a denial or a probe; subscribers receive the change.
import type { Redis } from 'ioredis';
import type { GateRecord } from '../../src/parking/gate-record.ts';
import { readGate, replaceGate } from '../../src/parking/gate-storage.ts';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { redisKeys } from '../../src/runtime/redis.ts';

export const SHUT_AT = Date.parse('2026-11-23T11:00:00Z');

/** The next probe is a day away, so that only the test opens it again. */
export async function setGate(
  { redis, queue }: { redis: Redis; queue: string },
  tenant: string,
  keyArn: string,
  change: Partial<GateRecord> = {},
): Promise<void> {
  const keys = redisKeys(queue);
  const id = gateId(keyRef(tenant, keyArn));
  const { epoch } = await readGate(redis, keys, id);
  const record: GateRecord = {
    ...keyRef(tenant, keyArn),
    state: 'shut',
    code: 'KEY_DISABLED',
    since: SHUT_AT,
    codeSince: SHUT_AT,
    wasCurrent: true,
    probes: 0,
    goodProbes: 0,
    nextProbe: Date.now() + 86_400_000,
    ...change,
  };
  const { isDone } = await replaceGate(redis, keys, id, epoch, { record, isPublished: true });
  if (!isDone) throw new Error('Somebody else has changed the gate.');
}
