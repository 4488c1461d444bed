// What can be seen of one gate from outside: its state and its parked jobs in Redis, the tries of its key in the workers'
// metrics, and the calls that KMS itself has counted.
import { gateId, keyRef } from '../runtime/key-ref.ts';
import { QUEUE_NAMES } from '../runtime/names.ts';
import { ask, queueKeys, type Redis, type RedisKeys } from '../runtime/redis.ts';
import type { KmsServer } from '@sealdex/local-aws';

export interface GateWatchDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly kms: Pick<KmsServer, 'counts' | 'state'>;
  readonly tenant: string;
  readonly keyArn: string;
  /** Where the workers that run now tell their metrics. */
  readonly ports: () => readonly number[];
  readonly signal: AbortSignal;
}

export interface GateWatch {
  key(): string;
  /** `open` when there has never been another. */
  gate(): Promise<string>;
  parked(): Promise<number>;
  /** Cryptographic calls for the key, good and refused ones. */
  calls(): number;
  /** Tries of all keys whose gates are shut: here it is one. */
  probes(): Promise<number>;
}

const METRIC = 'sealdex_probes_total';
const SCRAPE_MS = 10_000;

export function watchGate({ redis, keys, kms, tenant, keyArn, ports, signal }: GateWatchDeps): GateWatch {
  const id = gateId(keyRef(tenant, keyArn));
  return {
    key: () => kms.state(keyArn),
    async gate() {
      const record = await ask(redis.hget(keys.gates, id));
      return /"state":"(\w+)"/.exec(record ?? '')?.[1] ?? 'open';
    },
    async parked() {
      const indexes = QUEUE_NAMES.map((name) => queueKeys(keys, name).parked(id));
      const counts = await Promise.all(indexes.map((index) => ask(redis.zcard(index))));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    calls: () => kms.counts.count({ key: keyArn }) - kms.counts.count({ key: keyArn, operation: 'DescribeKey' }),
    async probes() {
      const texts = await Promise.all(ports().map((port) => metricsAt(port, signal)));
      return texts.reduce((sum, text) => sum + sumOf(text), 0);
    },
  };
}

async function metricsAt(port: number, signal: AbortSignal): Promise<string> {
  const late = AbortSignal.timeout(SCRAPE_MS);
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.any([signal, late]) });
  return answer.text();
}

/** Whatever the result was. */
const sumOf = (metrics: string): number =>
  metrics
    .split('\n')
    .filter((line) => line.startsWith(`${METRIC}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
