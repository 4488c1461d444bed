// A process that gets data keys as a worker does, encrypts with them, and counts masked needles in its memory. It must never
// hold an unmasked needle: the test creates them.
import { keyRef } from '../../src/runtime/key-ref.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { loadConfig, type Settings } from '../../src/runtime/config.ts';
import { encryptMessage } from '../../src/envelope/message.ts';
import type { DataKey, KeyContext } from '../../src/keys/data-key.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { openRedis } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import '../support/raised-deadlines.ts';
import { countInMemory } from './memory-scan.ts';

export type MemoryOrder =
  | { readonly kind: 'current'; readonly tenants: readonly string[]; readonly arn: string }
  | {
      readonly kind: 'unwrap';
      readonly arn: string;
      readonly keys: readonly { wrapped: string; context: KeyContext }[];
    }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'collect' }
  | { readonly kind: 'count'; readonly needles: readonly (readonly number[])[] };

const config = loadConfig(JSON.parse(process.argv[2] ?? '{}') as Settings, {});
const clock = new FakeClock();
const redis = await openRedis(config, 'patient');
const kms = createKms(config, createMetrics(), noAudit, 'patient');
const ring = new KeyRing({ clock, kms, shared: createSharedKeys(redis, config.queue, clock), use: 'patient' });

/** The state of a worker: the keys themselves and messages made with them. */
const kept: unknown[] = [];

function useAndKeep(key: DataKey): { wrapped: string; context: KeyContext } {
  for (let message = 0; message < 20; message += 1) kept.push(encryptMessage(key, Buffer.alloc(2000)));
  kept.push(key);
  return { wrapped: key.wrapped.toString('base64'), context: key.context };
}

async function carryOut(order: MemoryOrder): Promise<unknown> {
  switch (order.kind) {
    case 'current': {
      const keys = await Promise.all(
        order.tenants.map((tenant) => ring.current(keyRef(tenant, order.arn), 'documents', 2000)),
      );
      return keys.map(useAndKeep);
    }
    case 'unwrap': {
      const unwrap = ({ wrapped, context }: { wrapped: string; context: KeyContext }): Promise<DataKey> =>
        ring.unwrap(keyRef(context.tenant, order.arn), Buffer.from(wrapped, 'base64'), context);
      return (await Promise.all(order.keys.map(unwrap))).map(useAndKeep);
    }
    case 'advance':
      return clock.advance(order.ms);
    case 'collect':
      return global.gc?.();
    case 'count':
      return countInMemory(order.needles.map((needle) => Uint8Array.from(needle)));
  }
  return undefined;
}

process.on('message', ({ id, order }: { id: number; order: MemoryOrder }) => {
  carryOut(order).then(
    (value) => process.send?.({ id, value }),
    (error: Error) => process.send?.({ id, code: error.message }),
  );
});
process.send?.({ id: 0 });
