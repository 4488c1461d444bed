// A process with its own key ring, controlled by messages from the test, with a clock set by the test.
import { keyRef } from '../../src/runtime/key-ref.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { loadConfig, type Settings } from '../../src/runtime/config.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { closeRedis, openRedis } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import '../support/raised-deadlines.ts';

export type Order =
  | { readonly kind: 'current'; readonly tenant: string; readonly arn: string }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'keys' }
  | { readonly kind: 'end' };

export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  /** The code of a SealdexError, or the name of another. */
  readonly code?: string;
}

const config = loadConfig(JSON.parse(process.argv[2] ?? '{}') as Settings, {});
const clock = new FakeClock();
const redis = await openRedis(config, 'patient');
const kms = createKms(config, createMetrics(), noAudit, 'patient');
const ring = new KeyRing({ clock, kms, shared: createSharedKeys(redis, config.queue, clock), use: 'patient' });

async function carryOut(order: Order): Promise<unknown> {
  switch (order.kind) {
    case 'current':
      return (await ring.current(keyRef(order.tenant, order.arn), 'documents', 1)).id;
    case 'advance':
      return clock.advance(order.ms);
    case 'keys':
      return ring.stats().keys;
    case 'end':
      ring.close();
      kms.close();
      closeRedis(redis);
      // No handle keeps the process running.
      return process.disconnect();
  }
  return undefined;
}

process.on('message', ({ id, order }: { id: number; order: Order }) => {
  const reply = (answer: Omit<Reply, 'id'>): unknown => process.connected && process.send?.({ id, ...answer });
  carryOut(order).then(
    (value) => reply({ value }),
    (error: Error) => reply({ code: error instanceof SealdexError ? error.code : error.name }),
  );
});
process.send?.({ id: 0 });
